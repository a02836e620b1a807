// The smallest program: http://127.0.0.1:5000/ says hello. On a device it is port 80 (scripts/firmware run
// hello).
// hello [--host ADDRESS] [--port NUMBER] [--workers NUMBER]
#include <microdot/microdot.hpp>

#include "../arguments.hpp"

using namespace microdot;

#if MICRODOT_HOSTED
App app;
#else  // all memory is fixed at build time
StaticApp<Limits::device()> app;
#endif

int main(int argc, char** argv) {
  ServerOptions options{.host = "127.0.0.1", .port = 5000};
  if (!parse_arguments_with_workers(argc, argv, options)) return 2;

  app.get("/", [](Request&) { return "Hello, World!\n"; });
  app.get("/hello/<name>",
          [](Request& req, std::string_view name) { return req.format("Hello, {}!\n", name); });
  return app.run(options);
}
