// Every way to declare a route, a hook and an error handler, as the documentation prints them.
#include <cstdio>

#include <microdot/microdot.hpp>
#include <microdot/testing/test_client.hpp>
using namespace microdot;

App app;
App small_app{Limits{.connections = 8, .exchanges = 2}};
Router sub_app;

const char* handler(Request&) { return "both"; }

void declare() {
  app.get("/", [](Request&) { return "Hello, World!"; });
  app.get("/users/<int:id>", [](Request&, int id) { return std::to_string(id); });
  app.get("/files/<path:p>", [](Request&, std::string_view p) -> Response { return send_file(p, {.root = "static", .max_age = 86400}); });
  app.post("/echo", [](Request& req) { return Response(req.body()); });
  app.get("/slow", [](Request&) -> Task<Response> { co_await sleep_for(100ms); co_return Response("done", 202); });
  app.get("/count", [](Request&) -> Generator<std::string_view> { co_yield "a"; co_await sleep_for(1s); co_yield "b"; });
  app.route("/both", {"GET", "POST"}, handler);        // get post put patch delete_ options
  app.before_request([](Request&) -> std::optional<Response> { return {}; });
  app.after_request([](Request&, Response& res) { res.header("X-A", "b"); });     // after_error_request likewise
  app.errorhandler(404, [](Request&) { return Response("nope", 404); });
  app.errorhandler<std::range_error>([](Request&, const std::range_error&) { return Response("range", 400); });
  app.mount(sub_app, "/prefix", {.local = true});       // a Router: routes and hooks only; every App is one too
}

int serve() {
  int rc = app.run({.host = "127.0.0.1", .port = 5000});           // blocks; SIGINT and SIGTERM end it gracefully
  return rc;
}

int failures = 0;

void expect(const char* what, int status, std::string_view text, int wanted_status, std::string_view wanted) {
  if (status == wanted_status && text == wanted) return;
  ++failures;
  std::fprintf(stderr, "%s: %d \"%.*s\", not %d \"%.*s\"\n", what, status, static_cast<int>(text.size()),
               text.data(), wanted_status, static_cast<int>(wanted.size()), wanted.data());
}

int main(int argc, char**) {
  sub_app.get("/inner", [](Request&) { return "inner"; });
  declare();
  if (argc > 1) return serve();

  TestClient client(app);
  auto hello = client.get("/");
  expect("/", hello.status_code, hello.text, 200, "Hello, World!");
  if (hello.headers["X-A"] != "b") {
    ++failures;
    std::fputs("X-A is missing\n", stderr);
  }
  auto user = client.get("/users/1");
  expect("/users/1", user.status_code, user.text, 200, "1");
  auto no_user = client.get("/users/one");
  expect("/users/one", no_user.status_code, no_user.text, 404, "nope");
  auto echo = client.post("/echo", "over and out");
  expect("/echo", echo.status_code, echo.text, 200, "over and out");
  auto slow = client.get("/slow");
  expect("/slow", slow.status_code, slow.text, 202, "done");
  auto count = client.get("/count");
  expect("/count", count.status_code, count.text, 200, "ab");
  auto both = client.post("/both", "");
  expect("/both", both.status_code, both.text, 200, "both");
  auto inner = client.get("/prefix/inner");
  expect("/prefix/inner", inner.status_code, inner.text, 200, "inner");
  return failures == 0 ? 0 : 1;
}
