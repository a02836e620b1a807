// Routers mounted in the App and in each other.

#include <stdexcept>

#include "support.hpp"

namespace {

struct MountTrace {
  std::string text;
};

/// A hook that adds `what` to the request's trace.
auto noting(const char* what) {
  return [what](Request& req) {
    if (req.g<MountTrace>() == nullptr) req.g_emplace<MountTrace>();
    req.g<MountTrace>()->text.append(what).append(" ");
  };
}

/// A hook that adds `what` to the field X-After.
auto marking(const char* what) {
  return [what](Request& req, Response& res) {
    res.header("X-After", req.format("{}<{}>", res.headers()["X-After"], what));
  };
}

std::string mount_trace(Request& req) {
  return req.g<MountTrace>() != nullptr ? req.g<MountTrace>()->text : "";
}

std::string report(Request& req) {
  return mount_trace(req) + "at " + std::string(req.url_prefix) + " route " + std::string(req.route);
}

}  // namespace

TEST(Mount, HooksAndErrorHandlersServeTheWholeApp) {
  Router sub;
  sub.before_request(noting("before"));
  sub.after_request(marking("after"));
  sub.after_error_request(marking("errorafter"));
  sub.errorhandler(404, [](Request&) { return Response("404", 404); });
  sub.get("/app", report);
  App app;
  app.get("/own", report);
  app.mount(sub, "/sub");
  TestClient client(app);
  auto res = client.get("/app");
  EXPECT_EQ(res.status_code, 404);
  EXPECT_EQ(res.text, "404");
  EXPECT_EQ(res.headers["X-After"], "<errorafter>");
  res = client.get("/sub/app");
  EXPECT_EQ(res.text, "before at /sub route /app");
  EXPECT_EQ(res.headers["X-After"], "<after>");
  EXPECT_EQ(client.get("/own").text, "before at  route /own");
}

TEST(Mount, LocalHooksServeTheirOwnRoutesOnly) {
  Router one;
  one.before_request(noting("one"));
  one.after_request(marking("one"));
  one.after_error_request(marking("error-one"));
  one.errorhandler(409, [](Request&) { return Response("conflict in one", 409); });
  one.get("/foo", report);
  one.get("/conflict", [](Request&) -> Response { return abort(409); });
  Router two;
  two.before_request(noting("two"));
  two.after_request(marking("two"));
  two.errorhandler(405, [](Request&) { return Response("405 in two", 405); });
  two.errorhandler(404, [](Request&) { return Response("never: no route of two", 404); });
  two.get("/bar", report);
  two.get("/baz", [](Request&) -> Response { return abort(405); });
  App app;
  app.before_request(noting("app"));
  app.after_request(marking("app"));
  app.errorhandler(409, [](Request&) { return Response("conflict in app", 409); });
  app.get("/conflict-of-app", [](Request&) -> Response { return abort(409); });
  app.mount(one, "", {.local = true});
  app.mount(two, "/sub", {.local = true});
  TestClient client(app);
  auto res = client.get("/foo");
  EXPECT_EQ(res.text, "app one at  route /foo");
  EXPECT_EQ(res.headers["X-After"], "<one><app>");
  res = client.get("/sub/bar");
  EXPECT_EQ(res.text, "app two at /sub route /bar");
  EXPECT_EQ(res.headers["X-After"], "<two><app>");
  res = client.get("/conflict");
  EXPECT_EQ(res.text, "conflict in one");
  EXPECT_EQ(res.headers["X-After"], "<error-one>");
  EXPECT_EQ(client.get("/conflict-of-app").text, "conflict in app");
  // Of a path that is two's, but not with this method.
  res = client.post("/sub/bar");
  EXPECT_EQ(res.status_code, 405);
  EXPECT_EQ(res.text, "405 in two");
  EXPECT_EQ(client.get("/sub/baz").text, "405 in two");
  res = client.get("/sub/missing");
  EXPECT_EQ(res.status_code, 404);
  EXPECT_EQ(res.text, "Not found");
}

TEST(Mount, Nested) {
  Router inner;
  inner.before_request(noting("inner"));
  inner.after_request(marking("inner"));
  inner.get("/<int:n>", [](Request& req, int n) { return report(req) + " " + std::to_string(n); });
  Router middle;
  middle.before_request(noting("middle"));
  middle.after_request(marking("middle"));
  middle.mount(inner, "/inner", {.local = true});
  middle.get("/", report);
  App app;
  app.before_request(noting("app"));
  app.mount(middle, "/a/b", {.local = true});
  app.get("/", report);
  TestClient client(app);
  auto res = client.get("/a/b/inner/7?x=1");
  EXPECT_EQ(res.text, "app middle inner at /a/b/inner route /<int:n> 7");
  EXPECT_EQ(res.headers["X-After"], "<inner><middle>");
  EXPECT_EQ(client.get("/a/b/").text, "app middle at /a/b route /");
  EXPECT_EQ(client.get("/").text, "app at  route /");
  EXPECT_EQ(client.get("/a/b").status_code, 404);
  EXPECT_EQ(client.get("/a/bb/").status_code, 404);
}

TEST(Mount, TheSameRouterAtTwoPlaces) {
  Router sub;
  sub.get("/x", report);
  App app;
  app.mount(sub, "/one");
  app.mount(sub, "/two");
  TestClient client(app);
  EXPECT_EQ(client.get("/one/x").text, "at /one route /x");
  EXPECT_EQ(client.get("/two/x").text, "at /two route /x");
}

TEST(Mount, AnAppIsARouterToo) {
  App other;
  other.get("/x", report);
  App app;
  app.mount(other, "/other");
  TestClient client(app);
  EXPECT_EQ(client.get("/other/x").text, "at /other route /x");
}

TEST(Mount, MethodsOfOnePathInSeveralRouters) {
  Router sub;
  sub.post("/x", [](Request&) { return "post"; });
  App app;
  app.get("/x", [](Request&) { return "get"; });
  app.mount(sub);
  TestClient client(app);
  EXPECT_EQ(client.get("/x").text, "get");
  EXPECT_EQ(client.post("/x").text, "post");
  EXPECT_EQ(client.put("/x").headers["Allow"], "GET, HEAD, POST, OPTIONS");
}

TEST(Mount, InACircleIsRefusedAtTheStart) {
  Router one;
  Router two;
  one.mount(two, "/two");
  two.mount(one, "/one");
  App app;
  app.mount(one, "/one");
  TestClient client(app);
  EXPECT_FALSE(client.started());
  EXPECT_TRUE(logged(client, "in a circle"));
}

TEST(Mount, InItselfIsRefusedAtTheStart) {
  App app;
  app.mount(app, "/app");
  TestClient client(app);
  EXPECT_FALSE(client.started());
  EXPECT_TRUE(logged(client, "in itself"));
}

#if MICRODOT_EXCEPTIONS
TEST(Mount, LocalHandlersOfExceptions) {
  Router sub;
  sub.errorhandler<std::runtime_error>(
      [](Request&, const std::runtime_error& e) { return Response(std::string("sub ") + e.what(), 400); });
  sub.get("/range", [](Request&) -> Response { throw std::range_error("range"); });
  sub.get("/logic", [](Request&) -> Response { throw std::logic_error("logic"); });
  App app;
  app.errorhandler<std::exception>([](Request&, const std::exception&) { return Response("app", 501); });
  app.get("/range", [](Request&) -> Response { throw std::range_error("range"); });
  app.mount(sub, "/sub", {.local = true});
  TestClient client(app);
  EXPECT_EQ(client.get("/sub/range").text, "sub range");
  EXPECT_EQ(client.get("/sub/logic").text, "app");
  EXPECT_EQ(client.get("/range").text, "app");
}
#endif
