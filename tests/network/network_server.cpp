// The server that tests/network/run takes the network from. Prints "listening on PORT", "lost" and "up", a
// line each, and serves until SIGTERM.
//
//   network_server HOST FILE      "/" answers "Hello", "/file" the file

#include <chrono>
#include <cstdio>

#include <microdot/microdot.hpp>

namespace {

using namespace microdot;

void print(const char* line) {
  std::puts(line);
  std::fflush(stdout);
}

Task<int> serve(App& app, ServerOptions options) {
  auto server = create_task("server", app.start_server(options));
  while (!app.running() && !server.done()) co_await sleep_for(std::chrono::milliseconds(1));
  if (server.done()) co_return 1;
  std::printf("listening on %u\n", static_cast<unsigned>(app.port()));
  std::fflush(stdout);
  co_await server;
  co_return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("network_server HOST FILE\n", stderr);
    return 2;
  }
  const char* const file = argv[2];
  App app(Limits{.connections = 128,
                 .connections_per_client = 128,
                 .exchanges = 8,
                 .when_full = WhenFull::wait,
                 .slow_grace = std::chrono::seconds(8)});
  app.get("/", [](Request&) { return "Hello"; });
  app.get("/file", [file](Request&) { return send_file(file); });
  app.on_network_lost([] { print("lost"); });
  app.on_network_up([]() -> Task<> {
    co_await yield();
    print("up");
  });
  return run(serve(app, {.host = argv[1], .port = 0}));
}
