// A device's page: readings of a weather sensor as they come, and pins that are switched, by everybody who
// looks at it. http://127.0.0.1:5000/ ; on a device port 80 (scripts/firmware run dashboard). Sensor and pins
// are simulated. dashboard [--host ADDRESS] [--port NUMBER]
#include <array>
#include <cstdint>
#include <cstdlib>
#include <functional>

#include <microdot/base/text.hpp>
#include <microdot/ext/sse.hpp>
#include <microdot/ext/websocket.hpp>
#include <microdot/microdot.hpp>

#include "../arguments.hpp"
#include "page.hpp"

using namespace microdot;

namespace {

#if MICRODOT_HOSTED
App app;
#else
StaticApp<Limits::device()> app;
#endif

// ---- The sensor: one task reads it, whoever looks is told ----

struct Reading {
  int temperature;  // tenths of a degree
  int humidity;     // tenths of a percent
};
Channel<Reading> readings;

Task<> read_sensor() {
  std::uint32_t noise = 1;
  int temperature = 215;
  int humidity = 480;
  for (;;) {
    noise = noise * 1664525 + 1013904223;
    temperature += static_cast<int>(noise >> 24) % 5 - 2;
    humidity += static_cast<int>(noise >> 16 & 0xff) % 7 - 3;
    readings.publish({temperature, humidity});
    co_await sleep_for(1s);
  }
}

void append_tenths(TextBuilder& text, int tenths) {
  if (tenths < 0) text.append('-');
  text.append(std::abs(tenths) / 10).append('.').append(std::abs(tenths) % 10);
}

Task<> send_readings(Request&, SSE& sse) {
  Channel<Reading>::Subscription<2> subscription(readings);
  while (auto reading = co_await subscription.next()) {
    FixedText<64> text;
    text.append("{\"temperature\":");
    append_tenths(text, reading->temperature);
    text.append(",\"humidity\":");
    append_tenths(text, reading->humidity);
    text.append('}');
    if (!co_await sse.send(text.view())) co_return;
  }
}

// ---- The pins: "+2" sets pin 2, "-2" clears it; all who look get "0010" ----

using Pins = std::array<char, 4>;
Pins pins = {'0', '0', '0', '0'};
Channel<Pins> switched;

void set_pin(std::size_t pin, bool on) {  // here a GPIO register would be written
  pins[pin] = on ? '1' : '0';
  switched.publish(pins);
}

Task<> show_pins(WebSocket& ws) {
  Channel<Pins>::Subscription<2> subscription(switched);
  Pins now = pins;
  while (co_await ws.send(std::string_view(now.data(), now.size()))) {
    const auto next = co_await subscription.next();
    if (!next) co_return;
    now = *next;
  }
}

Task<> switch_pins(Request&, WebSocket& ws) {
  TaskGroup group;
  group.create_task(show_pins, std::ref(ws));
  while (auto message = co_await ws.receive()) {
    const std::string_view text = message->data;
    const bool understood =
        text.size() == 2 && (text[0] == '+' || text[0] == '-') && text[1] >= '0' && text[1] < '4';
    if (!understood) {
      ws.close(kCloseUnsupportedData, "+0 to -3");
      co_return;
    }
    set_pin(static_cast<std::size_t>(text[1] - '0'), text[0] == '+');
  }
}

Task<Result<void>> main_task(ServerOptions options) {
  auto sensor = create_task("sensor", read_sensor);
  co_return co_await app.start_server(options);
}

}  // namespace

int main(int argc, char** argv) {
  ServerOptions options{.host = "127.0.0.1", .port = 5000};
  if (!parse_arguments(argc, argv, options)) return 2;

  app.get("/", [](Request&) { return Response(kPage, 200, {{"Content-Type", "text/html; charset=utf-8"}}); });
  app.get("/events", with_sse(send_readings));
  app.get("/pins", with_websocket(switch_pins));
  return microdot::run(main_task(options));
}
