// A server on an ESP32 that tells in the log when Wi-Fi goes and comes back.
#include <esp_log.h>
#include <wifi.hpp>

#include <microdot/configured_limits.hpp>
#include <microdot/microdot.hpp>

using namespace microdot;

static StaticApp<kConfiguredLimits> app;

extern "C" void app_main() {
  start_wifi();
  app.get("/", [](Request&) { return "Hello from an ESP32!\n"; });
  // The port sees the events of the network itself.
  app.on_network_lost([] { ESP_LOGW("hello", "the network is gone"); });
  app.on_network_up([] { ESP_LOGI("hello", "the network is back"); });
  app.run({.port = 80});
}
