// before_request, after_request, after_error_request: who is called, in which order, and what they may do.

#include "support.hpp"

namespace {

/// What the hooks of a request saw, shared through `g`.
struct Trace {
  std::string text;
};

void note(Request& req, std::string_view what) {
  Trace* trace = req.g<Trace>();
  if (trace == nullptr) trace = req.g_emplace<Trace>();
  trace->text.append(trace->text.empty() ? "" : " ").append(what);
}

std::string trace(Request& req) { return req.g<Trace>() != nullptr ? req.g<Trace>()->text : "-"; }

}  // namespace

TEST(Hooks, RunInTheOrderInWhichTheyWereAdded) {
  App app;
  app.before_request([](Request& req) { note(req, "b1"); });
  app.before_request([](Request& req) -> Task<> {
    co_await sleep_for(1s);
    note(req, "b2");
  });
  app.before_request([](Request& req) -> std::optional<Response> {
    note(req, "b3");
    return {};
  });
  app.after_request([](Request& req, Response&) { note(req, "a1"); });
  app.after_request([](Request& req, Response& res) -> Task<> {
    co_await sleep_for(1s);
    note(req, "a2");
    res.header("X-Trace", trace(req));
  });
  app.get("/", [](Request& req) {
    note(req, "handler");
    return "body";
  });
  TestClient client(app);
  for (int i = 0; i < 2; ++i) {
    auto res = client.get("/");
    EXPECT_EQ(res.text, "body");
    EXPECT_EQ(res.headers["X-Trace"], "b1 b2 b3 handler a1 a2");
  }
}

TEST(Hooks, ABeforeHookMayAnswer) {
  App app;
  app.before_request([](Request& req) -> std::optional<Response> {
    if (req.path == "/blocked") return Response("blocked", 202);
    return {};
  });
  app.before_request([](Request& req) -> Task<std::optional<const char*>> {
    co_await sleep_for(1s);
    if (req.path == "/later") co_return "later";
    co_return std::nullopt;
  });
  app.after_request([](Request&, Response& res) { res.header("X-After", "1"); });
  const auto handler = [](Request&) {
    ADD_FAILURE() << "the handler ran";
    return "";
  };
  app.get("/blocked", handler);
  app.get("/later", handler);
  app.get("/through", [](Request&) { return "through"; });
  TestClient client(app);
  auto res = client.get("/blocked");
  EXPECT_EQ(res.status_code, 202);
  EXPECT_EQ(res.text, "blocked");
  EXPECT_EQ(res.headers["X-After"], "1");
  EXPECT_EQ(client.get("/later").text, "later");
  EXPECT_EQ(client.get("/through").text, "through");
}

TEST(Hooks, AnAfterHookMayChangeOrReplaceTheResponse) {
  App app;
  app.after_request([](Request& req, Response& res) {
    if (req.path == "/change") {
      res.status_code = 203;
      res.header("X-One", "1").set_cookie("foo", "bar");
      res.set_body("changed");
    }
  });
  app.after_request([](Request& req, Response& res) -> std::optional<Response> {
    if (req.path != "/replace") return {};
    EXPECT_EQ(res.body(), "body");
    return Response("replaced", 201);
  });
  app.after_request([](Request& req, Response& res) -> Task<std::optional<Response>> {
    co_await sleep_for(1s);
    if (req.path != "/replace") co_return std::nullopt;
    EXPECT_EQ(res.body(), "replaced");
    co_return Response("replaced again", 202);
  });
  const auto handler = [](Request&) { return "body"; };
  app.get("/change", handler);
  app.get("/replace", handler);
  TestClient client(app);
  auto res = client.get("/change");
  EXPECT_EQ(res.status_code, 203);
  EXPECT_EQ(res.text, "changed");
  EXPECT_EQ(res.headers["Content-Length"], "7");
  EXPECT_EQ(res.headers["X-One"], "1");
  EXPECT_EQ(res.headers["Set-Cookie"], "foo=bar");
  res = client.get("/replace");
  EXPECT_EQ(res.status_code, 202);
  EXPECT_EQ(res.text, "replaced again");
}

TEST(Hooks, OfOneRequestRunAfterTheAppsOwn) {
  int destroyed = 0;
  App app;
  app.after_request([](Request& req, Response&) { note(req, "app"); });
  app.get("/", [&destroyed](Request& req) {
    req.after_request([ended = Ended(destroyed)](Request& r, Response&) { note(r, "one"); });
    req.after_request([](Request& r, Response& res) -> Task<> {
      co_await sleep_for(1s);
      note(r, "two");
      res.header("X-Trace", trace(r));
    });
    return "x";
  });
  app.get("/without", [](Request&) { return "x"; });
  TestClient client(app);
  EXPECT_EQ(client.get("/").headers["X-Trace"], "app one two");
  EXPECT_EQ(destroyed, 1);
  EXPECT_FALSE(client.get("/without").headers.contains("X-Trace"));
}

TEST(Hooks, AfterErrorHooksSeeErrorsOnly) {
  App app;
  app.after_request([](Request&, Response& res) { res.header("X-After", "1"); });
  app.after_error_request([](Request&, Response& res) { res.header("X-One", "1"); });
  app.after_error_request([](Request&, Response& res) -> Task<> {
    co_await sleep_for(1s);
    res.set_cookie("foo", "bar");
  });
  app.get("/", [](Request&) { return "fine"; });
  app.get("/404", [](Request&) { return Response("an answer, not an error", 404); });
  app.get("/abort", [](Request&) -> Response { return abort(403); });
  app.post("/large", [](Request&) { return ""; });
  TestClient client(app);
  for (const char* url : {"/", "/404"}) {
    auto res = client.get(url);
    EXPECT_EQ(res.headers["X-After"], "1") << url;
    EXPECT_FALSE(res.headers.contains("X-One")) << url;
  }
  EXPECT_TRUE(client.cookies.empty());
  for (const TestResponse& res : {client.get("/missing"), client.put("/"), client.get("/abort"),
                                  client.post("/large", "", {{"Content-Length", "1000000"}})}) {
    EXPECT_GE(res.status_code, 400);
    EXPECT_EQ(res.headers["X-One"], "1") << res.status_code;
    EXPECT_EQ(res.headers["Set-Cookie"], "foo=bar") << res.status_code;
    EXPECT_FALSE(res.headers.contains("X-After")) << res.status_code;
  }
}

TEST(Hooks, AreNotCalledBeforeUnmatchedRequests) {
  App app;
  int calls = 0;
  app.before_request([&calls](Request&) { ++calls; });
  app.get("/", [](Request&) { return ""; });
  TestClient client(app);
  client.get("/missing");
  client.post("/");
  EXPECT_EQ(calls, 0);
  client.get("/");
  EXPECT_EQ(calls, 1);
}

TEST(Hooks, MayAbort) {
  App app;
  app.before_request([](Request& req) -> std::optional<Response> {
    if (req.path == "/before") return abort(401, "who are you?");
    return {};
  });
  app.before_request([](Request& req) -> Task<> {
    if (req.path == "/before-task") co_await abort(402);
  });
  app.after_request([](Request& req, Response&) -> Task<> {
    if (req.path == "/after") co_await abort(409, "too late");
  });
  app.errorhandler(402, [](Request&) { return Response("pay", 402); });
  const auto handler = [](Request&) { return "body"; };
  app.get("/before", handler);
  app.get("/before-task", handler);
  app.get("/after", handler);
  TestClient client(app);
  auto res = client.get("/before");
  EXPECT_EQ(res.status_code, 401);
  EXPECT_EQ(res.text, "who are you?");
  EXPECT_EQ(client.get("/before-task").text, "pay");
  res = client.get("/after");
  EXPECT_EQ(res.status_code, 409);
  EXPECT_EQ(res.text, "too late");
}

#if MICRODOT_EXCEPTIONS
TEST(Hooks, ThatThrowAreErrorsOfTheRequest) {
  App app;
  app.before_request([](Request& req) {
    if (req.path == "/before") throw std::runtime_error("in before");
  });
  app.after_request([](Request& req, Response&) {
    if (req.path == "/after") throw std::runtime_error("in after");
  });
  app.after_error_request([](Request& req, Response&) {
    if (req.path == "/error") throw std::runtime_error("in after_error");
  });
  const auto handler = [](Request& req) -> Response {
    if (req.path == "/error") return abort(404);
    return "body";
  };
  app.get("/before", handler);
  app.get("/after", handler);
  app.get("/error", handler);
  TestClient client(app);
  for (const char* url : {"/before", "/after", "/error"}) {
    auto res = client.get(url);
    EXPECT_EQ(res.status_code, 500) << url;
    EXPECT_EQ(res.text, "Internal server error") << url;
  }
  EXPECT_TRUE(logged(client, "in before"));
  EXPECT_TRUE(logged(client, "in after"));
  EXPECT_TRUE(logged(client, "in after_error"));
}
#endif
