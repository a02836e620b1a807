// Which handler answers which request, and what is said where none does.

#include "support.hpp"

#include <vector>

#include <microdot/http/url.hpp>

TEST(AppRouting, PlainHandlersAndCoroutinesAnswer) {
  App app;
  app.get("/", [](Request&) { return "plain"; });
  app.get("/async", [](Request&) -> Task<const char*> { co_return "coroutine"; });
  app.get("/slow/<int:id>", [](Request&, int id) -> Task<std::string> {
    co_await sleep_for(1h / 2);
    co_return std::to_string(id);
  });
  TestClient client(app);
  auto res = client.get("/");
  EXPECT_EQ(res.status_code, 200);
  EXPECT_EQ(res.reason, "OK");
  EXPECT_EQ(res.text, "plain");
  EXPECT_EQ(res.headers["Content-Type"], "text/plain; charset=UTF-8");
  EXPECT_EQ(res.headers["Content-Length"], "5");
  EXPECT_EQ(client.get("/async").text, "coroutine");
}

TEST(AppRouting, EveryMethodHasItsFunction) {
  App app;
  const auto echo = [](Request& req) { return req.method; };
  app.get("/m", echo);
  app.post("/m", echo);
  app.put("/m", echo);
  app.patch("/m", echo);
  app.delete_("/m", echo);
  app.options("/m", echo);
  app.route("/default", echo);
  app.route("/two", {"GET", "DELETE"}, echo);
  app.route("/set", {Method::put, Method::patch}, echo);
  TestClient client(app);
  for (const char* method : {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}) {
    auto res = client.request(method, "/m", "");
    EXPECT_EQ(res.status_code, 200) << method;
    EXPECT_EQ(res.text, method);
  }
  EXPECT_EQ(client.get("/default").text, "GET");
  EXPECT_EQ(client.post("/default").status_code, 405);
  EXPECT_EQ(client.delete_("/two").text, "DELETE");
  EXPECT_EQ(client.patch("/set").text, "PATCH");
  EXPECT_EQ(client.get("/set").status_code, 405);
}

TEST(AppRouting, TheFirstRouteThatHasThePathAnswers) {
  App app;
  app.get("/early", [](Request&) { return "literal before"; });
  app.get("/post", [](Request&) { return "get only"; });
  app.get("/<name>", [](Request&, std::string_view name) { return "name " + std::string(name); });
  app.get("/late", [](Request&) { return "never"; });
  app.post("/late", [](Request&) { return "post"; });
  app.post("/late", [](Request&) { return "never"; });
  std::vector<std::string> patterns;
  for (int i = 0; i < 300; ++i) patterns.push_back("/many/" + std::to_string(i));
  for (const std::string& pattern : patterns)
    app.get(runtime(pattern), [&pattern](Request&) { return pattern; });
  TestClient client(app);
  EXPECT_EQ(client.get("/early").text, "literal before");
  EXPECT_EQ(client.get("/%65arly").text, "literal before");
  EXPECT_EQ(client.get("/late").text, "name late");
  EXPECT_EQ(client.get("/l%61te").text, "name late");
  EXPECT_EQ(client.request("POST", "/late", "").text, "post");
  EXPECT_EQ(client.request("POST", "/lat%65", "").text, "post");
  EXPECT_EQ(client.request("POST", "/post", "").status_code, 405);
  for (const std::string& pattern : patterns) EXPECT_EQ(client.get(pattern).text, pattern);
  EXPECT_EQ(client.get("/many/300").status_code, 404);
  EXPECT_EQ(client.get("/many/").status_code, 404);
}

// The App looks at the text of most patterns only once, when they are added.
TEST(AppRouting, ComponentsMatchAsThePatternSays) {
  const std::string_view patterns[] = {"/<a>",    "/u/<a>",      "/u/<string:a>", "/u/<path:a>",
                                       "/u/<a>/", "/<a>/u",      "/<path:a>",     "/u%2f/<a>",
                                       "/u//<a>", "/long/u/<a>", "/u/<a>/x"};
  const std::string_view paths[] = {"/",       "/u",       "/u/",       "/u/v",     "/u/v/",
                                    "/u//",    "/u//v",    "/u/v/w",    "/U/v",     "/uu/v",
                                    "/u%2f/v", "/%75/v",   "/u/%76",    "/u/v%2fw", "/v/u",
                                    "/v/u/",   "/long/u/", "/long/u/v", "/u/v/x",   "/u/%zz"};
  for (const std::string_view pattern : patterns) {
    App app;
    app.get(runtime(pattern), [](Request&, std::string_view a) { return "<" + std::string(a) + ">"; });
    TestClient client(app);
    for (const std::string_view path : paths) {
      PathArgs args;
      char decoded[32];
      std::string wanted = "not found";
      if (match_path(pattern, path, args)) {
        if (const auto value = percent_decode(args.values[0], decoded))
          wanted = "<" + std::string(*value) + ">";
      }
      const auto res = client.get(std::string(path));
      EXPECT_EQ(res.status_code == 200 ? std::string(res.text) : "not found", wanted)
          << pattern << " " << path;
    }
  }
}

TEST(AppRouting, HeadIsGetWithoutItsBody) {
  App app;
  app.get("/", [](Request& req) {
    EXPECT_EQ(req.method, "HEAD");
    return std::pair("foo", 202);
  });
  app.get("/stream", [](Request&) -> Generator<std::string_view> { co_yield "never sent"; });
  app.post("/post", [](Request&) { return "x"; });
  TestClient client(app);
  auto res = client.head("/");
  EXPECT_EQ(res.status_code, 202);
  EXPECT_EQ(res.headers["Content-Length"], "3");
  EXPECT_EQ(res.headers["Content-Type"], "text/plain; charset=UTF-8");
  EXPECT_EQ(client.head("/stream").status_code, 200);
  EXPECT_EQ(client.head("/post").status_code, 405);
  EXPECT_EQ(client.head("/missing").status_code, 404);
  // Nothing of a body follows: the next answer stands right behind.
  const std::string both = client.raw(
      "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nHEAD /missing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(both.find("foo"), std::string::npos);
  EXPECT_EQ(both.find("Not found"), std::string::npos);
  EXPECT_NE(both.find("HTTP/1.1 404 "), std::string::npos);
}

TEST(AppRouting, OptionsNamesTheMethods) {
  App app;
  app.get("/", [](Request&) { return "x"; });
  app.post("/", [](Request&) { return "x"; });
  app.delete_("/", [](Request&) { return "x"; });
  app.route("/bar", {"POST", "PUT"}, [](Request&) { return "x"; });
  TestClient client(app);
  auto res = client.options("/");
  EXPECT_EQ(res.status_code, 200);
  EXPECT_EQ(res.text, "");
  EXPECT_EQ(res.headers["Allow"], "GET, HEAD, POST, DELETE, OPTIONS");
  EXPECT_EQ(client.options("/bar").headers["Allow"], "POST, PUT, OPTIONS");
  EXPECT_EQ(client.options("/missing").status_code, 404);
}

TEST(AppRouting, UnknownPathsAndMethods) {
  App app;
  app.get("/", [](Request&) { return "x"; });
  app.put("/", [](Request&) { return "x"; });
  TestClient client(app);
  auto res = client.get("/foo");
  EXPECT_EQ(res.status_code, 404);
  EXPECT_EQ(res.text, "Not found");
  EXPECT_EQ(res.headers["Content-Type"], "text/plain; charset=UTF-8");
  EXPECT_EQ(client.get("//").status_code, 404);
  EXPECT_EQ(client.get("/foo/").status_code, 404);
  res = client.post("/");
  EXPECT_EQ(res.status_code, 405);
  EXPECT_EQ(res.text, "Method not allowed");
  EXPECT_EQ(res.headers["Allow"], "GET, HEAD, PUT, OPTIONS");
  // RFC 9110 15.6.2: a method that is not known at all.
  EXPECT_EQ(client.request("BREW", "/", "").status_code, 501);
  // Method names are case-sensitive (RFC 9110 9.1).
  EXPECT_EQ(client.request("get", "/", "").status_code, 501);
}

TEST(AppRouting, AnErrorHandlersMethodNotAllowedStillNamesTheMethods) {
  App app;
  app.get("/", [](Request&) { return "x"; });
  app.errorhandler(405, [](Request&) { return Response("no way", 405); });
  TestClient client(app);
  auto res = client.post("/");
  EXPECT_EQ(res.status_code, 405);
  EXPECT_EQ(res.text, "no way");
  EXPECT_EQ(res.headers["Allow"], "GET, HEAD, OPTIONS");
}

TEST(AppRouting, FunctionsAndCallableObjectsAreHandlers) {
  struct Greeter {
    std::string greeting;
    std::string operator()(Request&, std::string_view name) { return greeting + std::string(name); }
  };
  struct Functions {
    static const char* plain(Request&) { return "function"; }
    static Task<int> coroutine(Request&) { co_return 202; }
  };
  App app;
  app.get("/function", Functions::plain);
  app.get("/coroutine", &Functions::coroutine);
  app.get("/object/<name>", Greeter{"Hello, "});
  int calls = 0;
  app.get("/mutable", [&calls, n = 0](Request&) mutable {
    calls = ++n;
    return "";
  });
  TestClient client(app);
  EXPECT_EQ(client.get("/function").text, "function");
  EXPECT_EQ(client.get("/coroutine").status_code, 202);
  EXPECT_EQ(client.get("/object/Ada").text, "Hello, Ada");
  client.get("/mutable");
  client.get("/mutable");
  EXPECT_EQ(calls, 2);
}

TEST(AppRouting, ACoroutineHandlersClosureStaysThroughItsWaits) {
  App app;
  const std::string text(100, 'x');
  app.get("/<int:n>", [text](Request&, int n) -> Task<std::string> {
    co_await sleep_for(1s);
    co_return text + std::to_string(n);
  });
  TestClient client(app);
  EXPECT_EQ(client.get("/7").text, text + "7");
}

TEST(AppRouting, WhatCannotWorkIsSaidAtTheStart) {
  App app;
  app.route("/brew", {"BREW"}, [](Request&) { return ""; });
  TestClient client(app);
  EXPECT_FALSE(client.started());
  EXPECT_TRUE(logged(client, "/brew"));
  EXPECT_TRUE(logged(client, "unknown request method"));
}

TEST(AppRouting, MoreRoutesThanARouterCanHaveAreRefusedAtTheStart) {
  App app;
  for (int i = 0; i < 65'536; ++i) app.get(runtime("/" + std::to_string(i)), [](Request&) { return ""; });
  TestClient client(app);
  EXPECT_FALSE(client.started());
  EXPECT_TRUE(logged(client, "a router has at most 65,535 routes"));
}

TEST(AppRouting, ClosuresAreDestroyedWithTheirRouter) {
  int alive = 0;
  {
    App app;
    Router late;  // destroyed before the app that it is mounted in
    late.get("/", [counted = std::make_shared<Counted>(alive)](Request&) { return ""; });
    late.before_request([counted = std::make_shared<Counted>(alive)](Request&) {});
    late.errorhandler(404, [counted = std::make_shared<Counted>(alive)](Request&) {});
    app.after_request([counted = std::make_shared<Counted>(alive)](Request&, Response&) {});
    app.mount(late, "/late");
    EXPECT_EQ(alive, 4);
    TestClient client(app);
    EXPECT_EQ(client.get("/late/").status_code, 200);
  }
  EXPECT_EQ(alive, 0);
}
