// A working device: sensors, an actuator, an MQTT broker and a web page, on one loop; nothing waits for
// anything else. device_hub [--host ADDRESS] [--port NUMBER] [--broker HOST[:PORT]] [--id NAME]
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
#include <string_view>

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

#if MICRODOT_HOSTED
using Client = MqttClient;
// Last words come after the server, while there still is a connection: 5 s (docs/guide/mqtt.md).
struct Server : App {
  Server() noexcept : App({.shutdown_timeout = 2s}) {}
};
#else
using Client =
    StaticMqttClient<MqttLimits{.outbox_bytes = 768, .message_bytes = 128, .subscription_bytes = 384}>;
constexpr Limits kLimits = [] {
  Limits limits = Limits::device();
  limits.connections = limits.connections_per_client = 10;
  limits.streams = 3;
  return limits;
}();
using Server = StaticApp<kLimits>;
#endif

struct Hub {
  explicit Hub(const MqttOptions& broker) : mqtt(broker) {}

  Lock bus;  // sensors and actuator are on one bus: who uses it must not be interrupted by another
  Watch<State> state;
  Client mqtt;
};

// "hub/<id>/<name>"
struct Topic : FixedText<80> {
  Topic(std::string_view id, std::string_view name) { append("hub/").append(id).append('/').append(name); }
};
struct Topics {
  explicit Topics(std::string_view id) : state(id, "state"), online(id, "online"), set(id, "set") {}
  Topic state, online, set;
};

// ---- The bus ----

Task<> sample_sensors(Hub& hub) {
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

Task<> switch_actuator(Hub& hub, Command command) {
  auto guard = co_await hub.bus.acquire();
  State state = hub.state.value();
  state.actuator = command == Command::toggle ? !state.actuator : command == Command::on;
  hub.state.set(state);
}

// ---- The broker ----

using Json = FixedText<200>;

void append_tenths(TextBuilder& text, int tenths) {
  if (tenths < 0) text.append('-');
  text.append(std::abs(tenths) / 10).append('.').append(std::abs(tenths) % 10);
}

// Without the last bracket.
void append_state(TextBuilder& text, const State& state) {
  text.append("{\"temperature\":");
  append_tenths(text, state.temperature);
  text.append(",\"humidity\":");
  append_tenths(text, state.humidity);
  text.append(",\"actuator\":").append(state.actuator ? "true" : "false");
  text.append(",\"samples\":").append(state.samples);
}

Task<> publish_state(Hub& hub, const Topics& topics) {
  Json json;
  append_state(json, hub.state.value());
  json.append('}');
  (void)co_await hub.mqtt.publish(topics.state.view(), json.view(), {.qos = 1, .retain = true});
}

Task<> publish_states(Hub& hub, const Topics& topics) {
  (void)co_await hub.mqtt.connect();  // goes on trying by itself, if that fails
  auto tick = every(1s);
  for (;;) {
    if (hub.mqtt.connected()) co_await publish_state(hub, topics);  // nobody needs old ones later
    co_await tick;
  }
}

Task<> take_commands(Hub& hub, const Topics& topics) {
  MqttInbox<256> inbox(hub.mqtt, topics.set.view(), {.qos = 1});
  while (auto message = co_await inbox.next()) {
    const Command command = read_command(message->payload);
    if (command != Command::none) co_await switch_actuator(hub, command);
  }
}

// ---- The page ----

Task<> send_states(Hub& hub, SSE& sse) {
  auto states = hub.state.watch();
  while (auto state = co_await states.next()) {  // a slow browser gets the latest only
    Json json;
    append_state(json, *state);
    const bool connected = hub.mqtt.connected();
    json.append(",\"broker\":\"")
        .append(connected ? "connected" : hub.mqtt.stats().last_reason)
        .append("\"}");
    if (!co_await sse.send(json.view())) co_return;
  }
}

Task<> obey(Hub& hub, WebSocket& ws) {
  while (auto message = co_await ws.receive()) {
    const Command command = read_command(message->data);
    if (command == Command::none) {
      ws.close(kCloseUnsupportedData, "on, off or toggle");
      co_return;
    }
    co_await switch_actuator(hub, command);
  }
}

void add_routes(App& app, Hub& hub) {
  app.get("/", [](Request&) { return Response(kPage, 200, {{"Content-Type", "text/html; charset=utf-8"}}); });
  app.get("/events", with_sse([&hub](Request&, SSE& sse) { return send_states(hub, sse); }));
  app.get("/commands", with_websocket([&hub](Request&, WebSocket& ws) { return obey(hub, ws); }));
#if MICRODOT_HOSTED
  monitor(app);  // http://127.0.0.1:5000/status
#endif
}

// ---- All of it, side by side ----

Task<int> main_task(App& app, Hub& hub, const Topics& topics, ServerOptions options) {
  (void)hub.mqtt.on_connected([&hub, &topics] {
    (void)hub.mqtt.try_publish(topics.online.view(), "true", {.qos = 1, .retain = true});
  });
  auto server = create_task("server", app.start_server(options));
  auto sensors = supervise("sensors", {}, sample_sensors, std::ref(hub));
  auto publisher = supervise("publisher", {}, publish_states, std::ref(hub), std::cref(topics));
  create_task("commands", take_commands, std::ref(hub), std::cref(topics));

  const TaskState served = co_await server;  // ends with Ctrl-C
  sensors.cancel();
  publisher.cancel();
  co_await publish_state(hub, topics);
  const auto published = co_await hub.mqtt.publish(topics.online.view(), "false", {.qos = 1, .retain = true});
  const auto sent = co_await hub.mqtt.disconnect();
  Loop::current().port().log().write(
      LogLevel::info, published && sent ? "said goodbye to the broker" : "ended, with no broker to tell");
  co_return served == TaskState::done ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  ServerOptions options{.host = "127.0.0.1", .port = 5000};
  MqttOptions broker{.keep_alive = 10s};
  std::string_view id = "1";
  const auto more = [&](std::string_view name, const char* value) {
    if (value != nullptr && name == "--broker")
      return read_host_and_port(value, broker.host, broker.port) ? 2 : kBadValue;
    if (value != nullptr && name == "--id") {
      id = value;
      return id.empty() || id.size() > 64 || id.find_first_of("/+#") != id.npos ? kBadValue : 2;
    }
    return 0;
  };
  if (!parse_arguments(argc, argv, options, " [--broker HOST[:PORT]] [--id NAME]", more)) return 2;

  static const Topics topics(id);
  broker.will = {.topic = topics.online.view(), .payload = "false", .qos = 1, .retain = true};
  static Hub hub(broker);
  static Server app;
  add_routes(app, hub);
  return microdot::run(main_task(app, hub, topics, options));
}
