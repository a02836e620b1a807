// WebSockets and Server-Sent Events on real sockets: prints "listening on ADDRESS:PORT", serves until
// SIGTERM, then prints what is left.
//
//   websocket_server [--host ADDRESS] [--port PORT]      default: a free port of 127.0.0.1

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include <microdot/ext/sse.hpp>
#include <microdot/ext/websocket.hpp>
#include <microdot/microdot.hpp>

using namespace microdot;
using namespace std::chrono_literals;

namespace {

// Limits that the cases know (cases.mjs).
constexpr std::uint32_t kMessageBytes = 256 * 1024;
constexpr int kFillBytes = 300'000;

std::string_view fill() {
  static const std::string kText(kFillBytes, '*');
  return kText;
}

Task<> echo(Request&, WebSocket& ws) {
  while (auto message = co_await ws.receive()) co_await ws.send(*message);
}

void add_echoes(App& app) {
  app.get("/", [](Request&) {
    return Response(std::string_view("<!doctype html><title>streams</title>"), 200,
                    {{"Content-Type", "text/html"}});
  });
  app.get("/favicon.ico", [](Request&) { return 204; });
  app.get("/echo", with_websocket(echo));
  app.get("/any-origin", with_websocket(echo, {.origins = "*"}));
  app.get("/origins", with_websocket(echo, {.origins = "https://a.example, https://b.example:8443"}));
  // Says first what was agreed upon.
  app.get("/chat", with_websocket(
                       [](Request&, WebSocket& ws) -> Task<> {
                         co_await ws.send(ws.subprotocol());
                         while (auto message = co_await ws.receive()) co_await ws.send(*message);
                       },
                       {.subprotocols = "v2.chat, v1.chat"}));
  // A queue that is smaller than most messages.
  app.get("/small-queue", with_websocket(echo, {.queue_bytes = 256}));
  // Tells the code and reason that the client has closed the one before with.
  static std::string last_close = "none";
  app.get("/watched", with_websocket([](Request&, WebSocket& ws) -> Task<> {
            while (co_await ws.receive()) {
            }
            last_close = std::to_string(ws.close_code()) + " " + std::string(ws.close_reason());
          }));
  app.get("/last-close", [](Request&) { return last_close; });
}

void add_servers_doings(App& app) {
  app.get("/close/<int:code>", with_websocket([](Request& req, WebSocket& ws, int code) -> Task<> {
            ws.close(static_cast<std::uint16_t>(code), req.args["reason"]);
            co_return;
          }));
  // Closes when it is told the code: "4001 reason".
  app.get("/close", with_websocket([](Request&, WebSocket& ws) -> Task<> {
            const auto message = co_await ws.receive();
            if (!message) co_return;
            const std::string text(message->data);
            ws.close(static_cast<std::uint16_t>(std::atoi(text.c_str())), text.substr(text.find(' ') + 1));
          }));
  app.get("/returns", with_websocket([](Request&, WebSocket& ws) -> Task<> { co_await ws.send("bye"); }));
  app.get("/fails", with_websocket([](Request&, WebSocket& ws) -> Task<> {
            co_await ws.send("bye");
            co_await abort(500, "on purpose");
          }));
  app.get("/text/<int:bytes>", with_websocket([](Request&, WebSocket& ws, int bytes) -> Task<> {
            co_await ws.send(fill().substr(0, static_cast<std::size_t>(bytes)));
            (void)co_await ws.receive();
          }));
  app.get("/binary/<int:bytes>", with_websocket([](Request&, WebSocket& ws, int bytes) -> Task<> {
            co_await ws.send_binary(fill().substr(0, static_cast<std::size_t>(bytes)));
            (void)co_await ws.receive();
          }));
  // Does not receive for a while; then it does.
  app.get("/busy", with_websocket([](Request&, WebSocket& ws) -> Task<> {
            co_await sleep_for(300ms);
            while (auto message = co_await ws.receive()) co_await ws.send(*message);
          }));
  app.get("/impatient", with_websocket(echo, {.keep_alive = 200ms}));
}

// Events count on from the last one that the client has seen.
void add_events(App& app) {
  app.get("/events", with_sse([](Request& req, SSE& sse) -> Task<> {
            std::uint64_t number = 0;
            for (const char c : sse.last_event_id())
              number = number * 10 + static_cast<std::uint64_t>(c - '0');
            const int most = req.args.get<int>("most", 1'000'000'000);
            if (!co_await sse.retry(200ms)) co_return;
            for (int i = 0; i < most; ++i) {
              const std::string text = std::to_string(++number);
              if (!co_await sse.send(text, {}, text)) co_return;
              co_await sleep_for(50ms);
            }
          }));
  app.get("/quiet-events", with_sse(
                               [](Request&, SSE& sse) -> Task<> {
                                 co_await sleep_for(500ms);
                                 co_await sse.send("a\nb\r\nc\rd", "name", "7");
                               },
                               {.keep_alive = 100ms}));
}

// What is broadcast.
struct Tick {
  std::uint64_t number;
  std::int64_t nanoseconds;  // of the monotonic clock, which all processes share
};
using Ticks = Channel<Tick>;

Task<> publish(Ticks& ticks) {
  TimePoint next = Loop::current().now();
  for (std::uint64_t number = 0; !exit_requested(); ++number) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    ticks.publish({number, std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()});
    next += 10ms;
    co_await sleep_until(next);
  }
}

Task<> subscribe(WebSocket& ws, Ticks& ticks) {
  Ticks::Subscription<8> subscription(ticks);
  char text[2048];
  std::memset(text, '.', sizeof text);
  for (;;) {
    const auto tick = co_await subscription.next();
    if (!tick) co_return;
    char numbers[64];
    const int size =
        std::snprintf(numbers, sizeof numbers, "%llu %lld ", static_cast<unsigned long long>(tick->number),
                      static_cast<long long>(tick->nanoseconds));
    std::memcpy(text, numbers, static_cast<std::size_t>(size));
    if (!co_await ws.send(std::string_view(text, sizeof text))) co_return;
  }
}

void add_broadcasts(App& app, Ticks& ticks) {
  app.get("/broadcast/drop",
          with_websocket([&ticks](Request&, WebSocket& ws) -> Task<> { return subscribe(ws, ticks); },
                         {.when_slow = WhenSlow::drop_oldest}));
  app.get("/broadcast/close",
          with_websocket([&ticks](Request&, WebSocket& ws) -> Task<> { return subscribe(ws, ticks); },
                         {.when_slow = WhenSlow::close}));
  app.get("/broadcast/wait",
          with_websocket([&ticks](Request&, WebSocket& ws) -> Task<> { return subscribe(ws, ticks); }));
  app.get("/stats", [&ticks](Request& req) {
    const Stats stats = req.app.stats();
    Response answer(req.format(
        R"({{"connections":{},"exchanges":{},"streams":{},"streams_high_water":{},"messages_in":{},)"
        R"("messages_out":{},"messages_dropped":{},"slow_streams":{},"timed_out":{},"channel_dropped":{}}})",
        stats.connections, stats.exchanges, stats.streams, stats.streams_high_water, stats.messages_in,
        stats.messages_out, stats.messages_dropped, stats.slow_streams, stats.timed_out, ticks.dropped()));
    answer.header("Content-Type", "application/json");
    return answer;
  });
}

Task<int> serve(App& app, Ticks& ticks, ServerOptions options) {
  auto server = create_task("server", app.start_server(options));
  while (!app.running() && !server.done()) co_await yield();
  if (app.running()) {
    std::printf("listening on %.*s:%u\n", static_cast<int>(options.host.size()), options.host.data(),
                static_cast<unsigned>(app.port()));
    std::fflush(stdout);
    create_task("publisher", publish, std::ref(ticks));
  }
  const TaskState end = co_await server;
  const Stats stats = app.stats();
  std::printf("ended with %u connections, %u exchanges, %u streams\n", stats.connections, stats.exchanges,
              stats.streams);
  co_return end == TaskState::done ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  ServerOptions options{.host = "127.0.0.1", .port = 0};
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view option = argv[i];
    if (option == "--host") options.host = argv[i + 1];
    if (option == "--port") options.port = static_cast<std::uint16_t>(std::atoi(argv[i + 1]));
  }
  Limits limits;
  limits.streams = 320;
  limits.ws_message_bytes = kMessageBytes;
  limits.connections_per_client = limits.connections;
  Ticks ticks;
  App app{limits};
  add_echoes(app);
  add_servers_doings(app);
  add_events(app);
  add_broadcasts(app, ticks);
  return run(serve(app, ticks, options));
}
