// The smallest program: http://127.0.0.1:5000/ says hello. On a device it is port 80 (scripts/firmware run
// hello).
#include <microdot/microdot.hpp>

using namespace microdot;

#if MICRODOT_HOSTED
App app;
constexpr ServerOptions kServer{.host = "127.0.0.1", .port = 5000};
#else  // all memory is fixed at build time
StaticApp<Limits::device()> app;
constexpr ServerOptions kServer{.port = 80};
#endif

int main() {
  app.get("/", [](Request&) { return "Hello, World!\n"; });
  app.get("/hello/<name>",
          [](Request& req, std::string_view name) { return req.format("Hello, {}!\n", name); });
  return app.run(kServer);
}
