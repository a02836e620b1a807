// The reference application on a real socket: prints "listening on 127.0.0.1:PORT" and serves until SIGTERM.
//
//   corpus_server [PORT]      default: a free one

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <microdot/microdot.hpp>

#include "corpus_app.hpp"

namespace {

microdot::Task<int> serve(corpus::ReferenceApp& reference, std::uint16_t port) {
  const microdot::ServerOptions options{.host = "127.0.0.1", .port = port};
  auto server = microdot::create_task("server", reference.app.start_server(options));
  while (reference.app.port() == 0 && !server.done())
    co_await microdot::sleep_for(std::chrono::milliseconds(1));
  if (server.done()) co_return 1;
  std::printf("listening on 127.0.0.1:%u\n", static_cast<unsigned>(reference.app.port()));
  std::fflush(stdout);
  co_await server;
  co_return 0;
}

}  // namespace

int main(int argc, char** argv) {
  corpus::ReferenceApp reference;
  const int port = argc > 1 ? std::atoi(argv[1]) : 0;
  return microdot::run(serve(reference, static_cast<std::uint16_t>(port)));
}
