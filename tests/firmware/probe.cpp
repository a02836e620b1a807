// What tests ask of an image beyond hello: bodies of several segments both ways, a file, live streams, and
// what happens when a handler fails.
#include <cstdio>
#include <stdexcept>
#include <utility>

#include <microdot/ext/monitor.hpp>
#include <microdot/ext/sse.hpp>
#include <microdot/ext/websocket.hpp>
#include <microdot/microdot.hpp>

#include "files.hpp"

using namespace microdot;

namespace {

constexpr std::size_t kLargeBytes = 20'000;
// 'a' … 'z' again and again, in flash.
constexpr auto kLarge = [] {
  std::array<char, kLargeBytes> text{};
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 26);
  return text;
}();

StaticApp<Limits::device()> app;
Channel<std::uint32_t> channel;
bool ticking = false;
FixedText<400> text;  // what does not wait is sent before the next one writes it

// As long as somebody listens.
Task<> tick() {
  for (std::uint32_t i = 0; channel.subscribers() != 0; ++i) {
    channel.publish(i);
    co_await sleep_for(10ms);
  }
  ticking = false;
}

template <typename Stream>
Task<> ticks(Request&, Stream& stream) {
  Channel<std::uint32_t>::Subscription<4> subscription(channel);
  if (!std::exchange(ticking, true)) create_task(tick);
  while (auto number = co_await subscription.next()) {
    text.clear();
    text.append("tick ").append(*number).append(" ").append(std::string_view(kLarge.data(), kLarge.size()));
    if (!co_await stream.send(text.view())) co_return;
  }
}
static_assert(decltype(app)::memory() <= 36 * 1024);

}  // namespace

int main(int argc, char** argv) {
  app.get("/arguments", [argc, argv](Request& req) { return req.format("{} {}", argc, argv[argc - 1]); });
  app.get("/large", [](Request&) { return std::string_view(kLarge.data(), kLarge.size()); });
  app.static_files("/files", files);
  app.get("/users/<int:id>", [](Request& req, int id) { return req.format("{}", id); });
  app.post("/length", [](Request& req) { return req.format("{}", req.body().size()); });
  app.post("/count", [](Request& req) -> Task<std::string_view> {  // more than is kept
    std::size_t size = 0;
    for (;;) {
      const Result<std::string_view> part = co_await req.stream().next();
      if (!part) co_return "failed";
      if (part->empty()) break;
      size += part->size();
    }
    co_return req.format("{}", size);
  });
  app.get("/sleep", [](Request&) -> Task<std::string_view> {
    co_await sleep_for(50ms);
    co_return "slept";
  });
  app.get("/fail", [](Request&) -> Response {
#if MICRODOT_EXCEPTIONS
    throw std::range_error("thrown");
#else
    return abort(418, "aborted");
#endif
  });
  app.get("/hang", [](Request&) {
    for (;;) asm volatile("");
    return "never";
  });
#if MICRODOT_EXCEPTIONS
  app.errorhandler<std::range_error>([](Request& req, const std::range_error& error) {
    return Response(req.format("{}", error.what()), 418);
  });
#endif
  app.get("/echo", with_websocket([](Request&, WebSocket& ws) -> Task<> {
            while (auto message = co_await ws.receive()) co_await ws.send(*message);
          }));
  app.get("/ticks", with_websocket(ticks<WebSocket>, {.when_slow = WhenSlow::drop_oldest}));
  app.get("/events", with_sse(ticks<SSE>, {.when_slow = WhenSlow::drop_oldest}));
  app.get("/flood", with_websocket(
                        [](Request&, WebSocket& ws) -> Task<> {
                          const std::string_view large(kLarge.data(), 400);
                          while (co_await ws.send(large)) co_await yield();
                        },
                        {.when_slow = WhenSlow::drop_oldest}));
  app.get("/streams", [](Request& req) {
    const Stats stats = app.stats();
    return req.format("{} {} {} {}", stats.streams, stats.messages_out, stats.messages_dropped,
                      stats.stream_high_water);
  });
  monitor(app);
  app.on_network_lost([] { std::puts("probe: the network is lost"); });
  app.on_network_up([] { std::puts("probe: the network is back"); });
  return app.run({.port = 80});
}
