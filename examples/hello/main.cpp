// The smallest program: http://127.0.0.1:5000/ says hello.
#include <microdot/microdot.hpp>

using namespace microdot;

int main() {
  App app;
  app.get("/", [](Request&) { return "Hello, World!\n"; });
  app.get("/hello/<name>",
          [](Request& req, std::string_view name) { return req.format("Hello, {}!\n", name); });
  return app.run({.host = "127.0.0.1", .port = 5000});
}
