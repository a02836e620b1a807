// expect-ok
// The twin of handler_*, response_*, *_hook_*, errorhandler_*, mount_* and static_app_*, right.
#include <stdexcept>

#include <microdot/app.hpp>

using namespace microdot;

struct Reading {
  double celsius;
};
template <>
struct microdot::IntoResponse<Reading> {
  static Response make(const Reading&) { return Response("reading"); }
};

StaticApp<Limits{.connections = 1, .exchanges = 1, .head_bytes = 65535}> device_app;

Response answer() {
  static const char text[16] = "stays";
  return Response(text);
}

int main() {
  Router sub;
  App app;
  app.get("/text", [](Request&) -> const char* { return "x"; });
  app.get("/reading", [](Request&) { return Reading{21.5}; });
  app.get("/task", [](Request&) -> Task<Reading> { co_return Reading{21.5}; });
  app.get("/pair", [](Request&) { return std::pair("x", 404); });
  app.before_request([](Request&) {});
  app.after_request([](Request&, Response&) {});
  app.errorhandler(404, [](Request&) { return "x"; });
  app.errorhandler<std::range_error>([](Request&, const std::range_error&) { return "x"; });
  app.mount(sub, "/sub");
}
