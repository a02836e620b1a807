// A working device: sensors, an actuator, an MQTT broker and a web page, on one loop; nothing waits for
// anything else. device_hub [--host ADDRESS] [--port NUMBER] [--broker HOST:PORT] [--id NAME]
//
// hub/<id>/state  every second, retained: {"temperature":21.5,"humidity":48.0,"actuator":false,"samples":120}
// hub/<id>/online "true"; "false" when it has ended, by its will if nobody else can say so
// hub/<id>/set    commands to it: "on", "off", "toggle", or {"actuator":true}
//
// The page at / shows it all live and sends the same commands; where no broker answers it says so, and goes
// on. Ctrl-C publishes the last state and says goodbye. Sensors and actuator are simulated.
#include <cstdint>
#include <cstdlib>
#include <functional>

#include <microdot/base/text.hpp>
#include <microdot/ext/monitor.hpp>
#include <microdot/ext/mqtt.hpp>
#include <microdot/ext/sse.hpp>
#include <microdot/ext/websocket.hpp>
#include <microdot/microdot.hpp>

#include "../arguments.hpp"
#include "command.hpp"
#include "page.hpp"

using namespace microdot;

namespace {

// ---- What the tasks share ----

struct State {
  int temperature = 215;  // tenths of a degree
  int humidity = 480;     // tenths of a percent
  bool actuator = false;
  std::uint32_t samples = 0;
};

struct Hub {
  Lock bus;  // the sensors and the actuator are on one bus: whoever uses it must not be interrupted by others
  Watch<State> state{State{}};
};
Hub hub;

// ---- The devices on the bus ----

Task<> sample_sensors() {
  std::uint32_t noise = 1;
  auto tick = every(100ms);
  for (;;) {
    co_await tick;
    auto guard = co_await hub.bus.acquire();
    co_await sleep_for(2ms);  // the sensor converts: others run meanwhile, but nobody else is on the bus
    noise = noise * 1664525 + 1013904223;
    State state = hub.state.value();
    state.temperature += static_cast<int>(noise >> 24) % 5 - 2;
    state.humidity += static_cast<int>(noise >> 16 & 0xff) % 7 - 3;
    ++state.samples;
    hub.state.set(state);
  }
}

Task<> switch_actuator(Command command) {
  auto guard = co_await hub.bus.acquire();
  State state = hub.state.value();
  state.actuator = command == Command::toggle ? !state.actuator : command == Command::on;
  hub.state.set(state);
}

// ---- The broker ----

MqttOptions broker{.host = "127.0.0.1", .port = 1883};
FixedText<64> id;
FixedText<96> state_topic;
FixedText<96> online_topic;
FixedText<96> set_topic;

#if MICRODOT_HOSTED
MqttClient mqtt(broker);
#else
StaticMqttClient<MqttLimits{.outbox_bytes = 512, .message_bytes = 128}> mqtt(broker);
#endif

void append_tenths(TextBuilder& text, int tenths) {
  if (tenths < 0) text.append('-');
  text.append(std::abs(tenths) / 10).append('.').append(std::abs(tenths) % 10);
}

using Json = FixedText<200>;

void append_state(TextBuilder& text, const State& state) {
  text.append("{\"temperature\":");
  append_tenths(text, state.temperature);
  text.append(",\"humidity\":");
  append_tenths(text, state.humidity);
  text.append(",\"actuator\":").append(state.actuator ? "true" : "false");
  text.append(",\"samples\":").append(state.samples);
}

Task<> publish_state() {
  Json json;
  append_state(json, hub.state.value());
  json.append('}');
  (void)co_await mqtt.publish(state_topic.view(), json.view(), {.qos = 1, .retain = true});
}

Task<> publish_states() {
  auto tick = every(1s);
  for (;;) {
    co_await tick;
    co_await publish_state();
  }
}

Task<> take_commands() {
  MqttInbox<256> inbox(mqtt, set_topic.view(), {.qos = 1});
  while (auto message = co_await inbox.next()) {
    const Command command = read_command(message->payload);
    if (command != Command::none) co_await switch_actuator(command);
  }
}

// ---- The page ----

Task<> send_states(Request&, SSE& sse) {
  auto states = hub.state.watch();
  while (auto state = co_await states.next()) {
    Json json;
    append_state(json, *state);
    json.append(",\"broker\":\"").append(mqtt.connected() ? "connected" : mqtt.stats().reason).append("\"}");
    if (!co_await sse.send(json.view())) co_return;
  }
}

Task<> obey(Request&, WebSocket& ws) {
  while (auto message = co_await ws.receive()) {
    const Command command = read_command(message->data);
    if (command == Command::none) {
      ws.close(kCloseUnsupportedData, "on, off or toggle");
      co_return;
    }
    co_await switch_actuator(command);
  }
}

Task<int> main_task(ServerOptions options) { (void)co_await mqtt.connect(); }
