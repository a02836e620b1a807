// One chat of many nodes: each of them serves WebSockets, Server-Sent Events and POST, and what is said at
// one is heard at all, through an MQTT broker. A load balancer stands in front; no client has to come back to
// the same node. cluster [--host ADDRESS] [--port NUMBER] [--broker HOST[:PORT]] [--name NODE]
//
// `scripts/run cluster` starts a broker, two nodes and HAProxy (see `start`), then: http://127.0.0.1:5000/
//
// GET /chat    WebSocket: the node's name, then what is said; what is sent is said
// GET /events  the same as Server-Sent Events
// POST /lines  says the body
// GET /node    which node this is, and what it has shared
// GET /healthz for the load balancer: 503 while the node is about to end
#include <array>
#include <functional>
#include <string_view>

#include <microdot/ext/cluster.hpp>
#include <microdot/ext/monitor.hpp>
#include <microdot/ext/mqtt.hpp>
#include <microdot/ext/sse.hpp>
#include <microdot/ext/websocket.hpp>
#include <microdot/microdot.hpp>

#include "../arguments.hpp"
#include "page.hpp"

using namespace microdot;

namespace {

// A text of a few bytes that is a value: nothing here takes from the heap.
class Line {
 public:
  static constexpr std::size_t kMax = 160;

  explicit Line(std::string_view text)
      : size_(static_cast<std::uint8_t>(text.copy(text_.data(), text_.size()))) {}
  operator std::string_view() const { return {text_.data(), size_}; }

 private:
  std::array<char, kMax> text_{};
  std::uint8_t size_;
};

constexpr Limits kLimits{
    .connections = 4096,
    .streams = 3072,
    .stream_bytes = 8192,            // a frame, and what waits for its client: 16 lines
    .ws_message_bytes = Line::kMax,  // so that none is cut
    .max_content_length = Line::kMax,
    .max_body_length = Line::kMax,
};

struct Lobby {
  explicit Lobby(const MqttOptions& broker)
      : mqtt(broker, {.outbox_bytes = 256 * 1024, .when_full = MqttWhenFull::drop_oldest}) {}

  Channel<Line> room;
  MqttClient mqtt;
  ShareStats shared;
  std::string_view node;
};

using Listener = Channel<Line>::Subscription<16>;

Task<> listen(Channel<Line>::Subscriber& lines, WebSocket& ws) {
  while (auto line = co_await lines.next()) {
    if (!co_await ws.send(*line)) co_return;
  }
}

Task<> chat(Lobby& lobby, WebSocket& ws) {
  Listener lines(lobby.room);
  FixedText<64> hello;
  hello.append("at node ").append(lobby.node);
  if (!co_await ws.send(hello.view())) co_return;
  TaskGroup group;  // ends with this function: when the client goes
  group.create_task(listen, std::ref(static_cast<Channel<Line>::Subscriber&>(lines)), std::ref(ws));
  while (auto line = co_await ws.receive()) lobby.room.publish(Line(*line));
}

Task<> send_events(Lobby& lobby, SSE& sse) {
  Listener lines(lobby.room);
  co_await sse.retry(1s);
  if (!co_await sse.send(lobby.node, "node")) co_return;
  while (auto line = co_await lines.next()) {
    if (!co_await sse.send(*line)) co_return;
  }
}

void add_routes(App& app, Lobby& lobby) {
  app.get("/", [](Request&) { return Response(kPage, 200, {{"Content-Type", "text/html; charset=utf-8"}}); });
  app.get("/chat", with_websocket([&lobby](Request&, WebSocket& ws) { return chat(lobby, ws); }));
  app.get("/events", with_sse([&lobby](Request&, SSE& sse) { return send_events(lobby, sse); }));
  app.post("/lines", [&lobby](Request& req) -> Response {
    if (!is_utf8(req.body())) return abort(400, "a line is UTF-8");
    lobby.room.publish(Line(req.body()));
    return Response("", 204);
  });
  app.get("/node", [&lobby](Request& req) {
    const ShareStats& shared = lobby.shared;
    return req.format("{}: {} here; sent {}, unsent {}, received {}, missed {}, repeated {}, rejected {}\n",
                      lobby.node, lobby.room.subscribers(), shared.sent, shared.unsent, shared.received,
                      shared.missed, shared.repeated, shared.rejected);
  });
  app.get("/healthz", healthz);
}

Task<int> main_task(App& app, Lobby& lobby, ServerOptions options) {
  create_task("cluster",
              [&lobby] { return share(lobby.room, lobby.mqtt, "microdot/lobby", {.stats = &lobby.shared}); });
  auto server = create_task("server", app.start_server(options));
  (void)co_await lobby.mqtt.connect();  // goes on trying; who is here can chat meanwhile
  const TaskState served = co_await server;
  (void)co_await lobby.mqtt.disconnect();
  co_return served == TaskState::done ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  ServerOptions options{.host = "127.0.0.1",
                        .port = 5000,
                        .trusted_proxies = "127.0.0.1, ::1",
                        .drain = 2s};  // longer than HAProxy takes to see it: haproxy.cfg
  // With a session the broker keeps what is said while it is not reached.
  MqttOptions broker{.clean_session = false, .keep_alive = 10s, .max_backoff = 1s};
  std::string_view name = "a";
  const auto more = [&](std::string_view argument, const char* value) {
    if (value != nullptr && argument == "--broker")
      return read_host_and_port(value, broker.host, broker.port) ? 2 : kBadValue;
    if (value != nullptr && argument == "--name") {
      name = value;
      return name.empty() || name.size() > 32 ? kBadValue : 2;
    }
    return 0;
  };
  if (!parse_arguments(argc, argv, options, " [--broker HOST[:PORT]] [--name NODE]", more)) return 2;

  broker.client_id = name;
  static Lobby lobby(broker);
  lobby.node = name;
  static App app(kLimits);
  add_routes(app, lobby);
  return microdot::run(main_task(app, lobby, options));
}
