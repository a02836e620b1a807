// What tests ask of an image beyond hello: bodies of several segments both ways, a file, and what happens
// when a handler fails.
#include <cstdio>
#include <stdexcept>

#include <microdot/ext/monitor.hpp>
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
static_assert(decltype(app)::memory() <= 36 * 1024);

}  // namespace

int main(int argc, char** argv) {
  app.get("/arguments", [argc, argv](Request& req) { return req.format("{} {}", argc, argv[argc - 1]); });
  app.get("/large", [](Request&) { return std::string_view(kLarge.data(), kLarge.size()); });
  app.static_files("/files", files);
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
  monitor(app);
  app.on_network_lost([] { std::puts("probe: the network is lost"); });
  app.on_network_up([] { std::puts("probe: the network is back"); });
  return app.run({.port = 80});
}
