// The smallest program: http://127.0.0.1:5000/ says hello.
// hello [--host ADDRESS] [--port NUMBER]
#include <microdot/microdot.hpp>

#include "../arguments.hpp"

using namespace microdot;

int main(int argc, char** argv) {
  ServerOptions options{.host = "127.0.0.1", .port = 5000};
  if (!parse_arguments(argc, argv, options)) return 2;

  App app;
  app.get("/", [](Request&) { return "Hello, World!\n"; });
  app.get("/hello/<name>",
          [](Request& req, std::string_view name) { return req.format("Hello, {}!\n", name); });
  return app.run(options);
}
