// What is attacked: prints "listening on 127.0.0.1:PORT", serves until SIGTERM, then prints what is left.
//
//   attack_server [--small] [--connections NUMBER] [--root DIRECTORY]
//
// The limits are those of a host. --small: a tenth of them, with everything that several attackers share.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <microdot/microdot.hpp>

using namespace microdot;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kOwnedBytes = 256 * 1024;

void add_routes(App& app, std::string_view root) {
  app.get("/", [](Request&) { return "Hello"; });
  app.get("/file", [root](Request&) { return send_file("file", {.root = root}); });  // 64 KiB
  app.get("/large", [](Request&) {
    static const std::string kLarge(std::size_t{4} * 1024 * 1024, 'l');
    return std::string_view(kLarge);
  });
  app.get("/owned", [](Request&) { return Response(std::string(kOwnedBytes, 'o')); });
  app.get("/endless", [](Request&) -> Generator<std::string_view> {
    static const std::string kPiece(4096, 'e');
    for (;;) co_yield kPiece;
  });
  app.get("/sleep/<int:milliseconds>", [](Request&, int milliseconds) -> Task<Response> {
    co_await sleep_for(Duration(std::chrono::milliseconds(milliseconds)));
    co_return Response("slept");
  });
  app.post("/echo", [](Request& req) { return Response(req.body()); });
  app.post("/stream", [](Request& req) -> Task<Response> {
    for (std::size_t bytes = 0;;) {
      const auto part = co_await req.stream().next();
      if (!part) co_return Response(to_string(part.error()), 400);
      if (part->empty()) co_return Response(std::to_string(bytes));
      bytes += part->size();
    }
  });
  app.get("/stats", [](Request& req) {
    const Stats stats = req.app.stats();
    Response answer(req.format(
        R"({{"connections":{},"exchanges":{},"queued":{},"accepted":{},"requests":{},"refused":{},)"
        R"("evicted":{},"timed_out":{},"forfeited":{}}})",
        stats.connections, stats.exchanges, stats.queued, stats.accepted, stats.requests, stats.refused,
        stats.evicted, stats.timed_out, stats.forfeited));
    answer.header("Content-Type", "application/json");
    return answer;
  });
}

Task<int> serve(App& app) {
  auto server = create_task("server", app.start_server({.host = "127.0.0.1", .port = 0}));
  while (!app.running() && !server.done()) co_await yield();
  if (app.running()) {
    std::printf("listening on 127.0.0.1:%u\n", static_cast<unsigned>(app.port()));
    std::fflush(stdout);
  }
  const TaskState end = co_await server;
  const Stats stats = app.stats();
  std::printf("ended with %u connections, %u exchanges, %u queued\n", stats.connections, stats.exchanges,
              stats.queued);
  co_return end == TaskState::done ? 0 : 1;
}

Limits small_limits() {
  Limits limits;
  limits.connections = 100;
  limits.exchanges = 6;
  limits.queue_length = 50;
  return limits;
}

}  // namespace

int main(int argc, char** argv) {
  Limits limits = Limits::host();
  std::string_view root = ".";
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--small") {
      limits = small_limits();
    } else if (option == "--connections" && i + 1 < argc) {
      limits.connections = static_cast<std::uint32_t>(std::atoi(argv[++i]));
    } else if (option == "--root" && i + 1 < argc) {
      root = argv[++i];
    } else {
      std::fprintf(stderr, "usage: attack_server [--small] [--connections NUMBER] [--root DIRECTORY]\n");
      return 2;
    }
  }
  App app{limits};
  add_routes(app, root);
  return run(serve(app));
}
