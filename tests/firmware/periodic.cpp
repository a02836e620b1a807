// Tasks that have to keep their period beside a server which gives all it can: how late were they, at worst?
#include <array>

#include <microdot/microdot.hpp>

#include "board_config.hpp"
#include "gallery_assets.hpp"

using namespace microdot;

namespace {

struct Lateness {
  Duration worst{};
  unsigned times = 0;

  void note(TimePoint due) noexcept {
    const Duration late = system_port().clock().now() - due;
    if (late > worst) worst = late;
    ++times;
  }
};
Lateness led, sensor;

Task<> blink(Duration period) {
  bool on = false;
  auto tick = every(period);
  for (;;) {
    co_await tick;
    firmware::board::Led::set(on = !on);
    led.note(tick.due());
  }
}

// A moving average of a sensor, which here is the clock's lowest bits.
Task<> read_sensor(Duration period) {
  std::array<int, 16> readings{};
  int sum = 0;
  unsigned at = 0;
  auto tick = every(period);
  for (;;) {
    co_await tick;
    sensor.note(tick.due());
    int& place = readings[at++ % readings.size()];
    sum -= place;
    place = static_cast<int>(system_port().clock().now().time_since_epoch().count() & 0xFF);
    sum += place;
  }
}

StaticApp<Limits::device()> app;

Task<int> main_task() {
  create_task("led", blink, Duration(250ms));
  create_task("sensor", read_sensor, Duration(100ms));
  const Result<void> served = co_await app.start_server({.port = 80});
  co_return served ? 0 : 1;
}

}  // namespace

int main(int, char**) {
  firmware::board::Led::start();
  app.get("/", [](Request&) { return send_file("index.html", {.root = gallery_assets}); });
  app.static_files("/static", gallery_assets);
  // Since it was asked last: times and microseconds.
  app.get("/lateness", [](Request& req) {
    Response answer(req.format("led {} {} sensor {} {}", led.times, led.worst.count(), sensor.times,
                               sensor.worst.count()));
    led = sensor = {};
    return answer;
  });
  return run(main_task());
}
