// The smallest program with microdot, whose size scripts/bench tells: hello PORT.

#include <microdot/microdot.hpp>

#include <cstdlib>

int main(int argc, char** argv) {
  microdot::App app;
  app.get("/", [](microdot::Request&) { return "Hello, World!"; });
  return app.run(
      {.host = "127.0.0.1", .port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 5000)});
}
