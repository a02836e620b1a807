// A server on an ESP32 under Arduino, with a task beside it that blinks.
#include <WiFi.h>
#include <microdot.h>

using namespace microdot;

static StaticApp<Limits::device()> app;

static Task<> blink() {
  for (bool on = true;; on = !on) {
    digitalWrite(2, on ? HIGH : LOW);
    co_await sleep_for(500ms);
  }
}

void setup() {
  pinMode(2, OUTPUT);
  WiFi.begin("network", "password");
  app.get("/", [](Request&) { return "Hello from an ESP32!\n"; });
  app.on_network_lost([] { Serial.println("the network is gone"); });
  app.on_network_up([] { Serial.println("the network is back"); });
}

static Task<int> main_task() {
  create_task("blink", blink);
  const Result<void> served = co_await app.start_server({.port = 80});
  co_return served ? 0 : 1;
}

// Does not return while the server runs: what else there is to do is a task like blink.
void loop() { microdot::run(main_task()); }
