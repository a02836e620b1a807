// What handlers see of a request.

#include "support.hpp"

TEST(RequestParts, OfTheRequestLineAndTheConnection) {
  App app;
  app.get("/foo/<path:rest>", [&app](Request& req, std::string_view rest) {
    EXPECT_EQ(&req.app, &app);
    EXPECT_EQ(req.method, "GET");
    EXPECT_EQ(req.url, "/foo/a%20b?x=1&y=%2f");
    EXPECT_EQ(req.path, "/foo/a%20b");
    EXPECT_EQ(req.query_string, "x=1&y=%2f");
    EXPECT_EQ(req.http_version, "1.1");
    EXPECT_EQ(req.scheme, "http");
    EXPECT_EQ(req.host, "example.com:1234");
    EXPECT_EQ(req.route, "/foo/<path:rest>");
    EXPECT_EQ(req.url_prefix, "");
    char address[Endpoint::kMaxText];
    EXPECT_EQ(std::string_view(req.client_addr.format_address(address)), "127.0.0.1");
    EXPECT_NE(req.client_addr.port, 0);
    EXPECT_EQ(rest, "a b");
    return "";
  });
  TestClient client(app);
  EXPECT_EQ(client.get("/foo/a%20b?x=1&y=%2f", {{"Host", "example.com:1234"}}).status_code, 200);
}

TEST(RequestParts, ThatAreMissingAreEmpty) {
  App app;
  app.get("/", [](Request& req) {
    EXPECT_EQ(req.query_string, "");
    EXPECT_TRUE(req.args.empty());
    EXPECT_EQ(req.args["x"], "");
    EXPECT_EQ(req.cookies()["x"], "");
    EXPECT_EQ(req.headers["X"], "");
    EXPECT_EQ(req.content_type, "");
    EXPECT_EQ(req.content_length, 0U);
    EXPECT_EQ(req.body(), "");
    EXPECT_EQ(req.form(), nullptr);
    EXPECT_EQ(req.g<int>(), nullptr);
    EXPECT_EQ(req.http_version, "1.0");
    return "";
  });
  TestClient client(app);
  EXPECT_EQ(client.raw("GET / HTTP/1.0\r\n\r\n").substr(0, 15), "HTTP/1.1 200 OK");
}

TEST(RequestParts, TheHostOfAnAbsoluteTargetCounts) {
  App app;
  app.get("/x", [](Request& req) { return req.format("{} {}", req.host, req.path); });
  TestClient client(app);
  EXPECT_EQ(client.get("http://other.example/x").text, "other.example /x");
}

TEST(RequestParts, HeadersInAnyCase) {
  App app;
  app.post("/", [](Request& req) {
    EXPECT_EQ(req.headers["x-one"], "1");
    EXPECT_EQ(req.headers["X-ONE"], "1");
    EXPECT_EQ(req.content_type, "text/plain");
    EXPECT_EQ(req.content_length, 3U);
    return Response(req.body());
  });
  TestClient client(app);
  EXPECT_EQ(client.post("/", "aaa", {{"X-One", "1"}, {"content-type", "text/plain"}}).text, "aaa");
}

TEST(RequestParts, Args) {
  App app;
  app.get("/", [](Request& req) {
    EXPECT_EQ(req.args["foo"], "bar");
    EXPECT_EQ(req.args["abc"], "d f");
    EXPECT_EQ(req.args["flag"], "");
    EXPECT_TRUE(req.args.contains("flag"));
    EXPECT_FALSE(req.args.contains("none"));
    EXPECT_EQ(req.args["x"], "/%");
    EXPECT_EQ(req.args.get<int>("page", 1), 3);
    EXPECT_EQ(req.args.get<int>("foo", 1), 1);
    EXPECT_EQ(req.args.get<int>("none", 7), 7);
    EXPECT_EQ(req.args.get("none", "else"), "else");
    std::string all;
    for (const std::string_view value : req.args.getlist("many")) all += value;
    EXPECT_EQ(all, "123");
    return "";
  });
  TestClient client(app);
  EXPECT_EQ(client.get("/?foo=bar&abc=d+f&flag&x=%2f%25&page=3&many=1&many=2&many=3").status_code, 200);
  // RFC 3986 2.1: a target with a '%' that encodes nothing is none.
  EXPECT_EQ(client.get("/?x=%2f%%").status_code, 400);
}

TEST(RequestParts, Forms) {
  App app;
  app.post("/", [](Request& req) -> Response {
    const MultiDict* form = req.form();
    EXPECT_EQ(req.form(), form);
    if (form == nullptr) return "no form";
    EXPECT_EQ((*form)["x"], "a b");
    EXPECT_EQ(form->getlist("y").size(), 2U);
    EXPECT_EQ((*form)["z"], "/%%");  // what is no encoding stays as it is
    return Response(req.body());
  });
  TestClient client(app);
  const std::string body = "x=a+b&y=1&y=%32&z=%2f%%";
  const char* const kForm = "application/x-www-form-urlencoded";
  EXPECT_EQ(client.post("/", body, {{"Content-Type", kForm}}).text, body);
  EXPECT_EQ(
      client.post("/", body, {{"Content-Type", "Application/X-WWW-form-urlencoded ; charset=UTF-8"}}).text,
      body);
  EXPECT_EQ(client.post("/", body, {{"Content-Type", "text/plain"}}).text, "no form");
  EXPECT_EQ(client.post("/", body).text, "no form");
}

TEST(RequestParts, AFormThatWasNotKeptIsTooLarge) {
  App app{Limits{.max_content_length = 4096, .max_body_length = 1024}};
  app.post("/", [](Request& req) { return req.form()->size() == 1 ? "kept" : "lost"; });
  TestClient client(app);
  const Header form{"Content-Type", "application/x-www-form-urlencoded"};
  EXPECT_EQ(client.post("/", "x=" + std::string(1000, 'x'), {form}).text, "kept");
  EXPECT_EQ(client.post("/", "x=" + std::string(2000, 'x'), {form}).status_code, 413);
}

TEST(RequestParts, Cookies) {
  App app;
  app.get("/", [](Request& req) {
    EXPECT_EQ(req.cookies()["foo"], "bar");
    EXPECT_EQ(req.cookies()["nothing"], "");
    EXPECT_EQ(req.cookies()["abc"], "def=ghi");
    EXPECT_EQ(req.cookies()["FOO"], "");
    return "";
  });
  TestClient client(app);
  EXPECT_EQ(client.get("/", {{"Cookie", "foo=bar; nothing=; abc=def=ghi"}}).status_code, 200);
}

TEST(RequestGlobals, AreSharedByHooksAndHandlers) {
  struct User {
    std::string name;
    int visits = 0;
  };
  App app;
  app.before_request([](Request& req) {
    EXPECT_EQ(req.g<User>(), nullptr);
    User* user = req.g_emplace<User>("ada");
    ASSERT_NE(user, nullptr);
    user->visits = 3;
    *req.g_emplace<int>() = 5;
  });
  app.get("/", [](Request& req) {
    return req.g<User>()->name + std::to_string(req.g<User>()->visits + *req.g<int>());
  });
  TestClient client(app);
  EXPECT_EQ(client.get("/").text, "ada8");
  EXPECT_EQ(client.get("/").text, "ada8");
}

TEST(RequestGlobals, AreDestroyedInReverseOrderWhenTheAnswerIsOut) {
  std::string order;
  struct Noted {
    std::string* order;
    char name;
    Noted(std::string& its_order, char its_name) : order(&its_order), name(its_name) {}
    ~Noted() { *order += name; }
  };
  struct Second : Noted {
    using Noted::Noted;
  };
  App app;
  app.after_request([&order](Request& req, Response&) {
    EXPECT_EQ(order, "");
    EXPECT_NE(req.g<Noted>(), nullptr);
  });
  app.get("/", [&order](Request& req) {
    req.g_emplace<Noted>(order, 'a');
    req.on_end([&order] { order += 'b'; });
    req.g_emplace<Second>(order, 'c');
    return "";
  });
  TestClient client(app);
  client.get("/");
  EXPECT_EQ(order, "cba");
}

TEST(RequestArena, FormatsAndCopiesInTheRequestsMemory) {
  App app;
  app.get("/<int:n>",
          [](Request& req, int n) { return req.format("{:>5}|{:x}|{:.1f}|{}", n, 255, 2.5, "text"); });
  app.get("/client", [](Request& req) {
    EXPECT_NE(req.client_addr.port, 0);
    return req.format("{}", req.client_addr);
  });
  app.get("/copy", [](Request& req) {
    std::string local = "a local that goes";
    const std::string_view copy = req.copy(local);
    local.assign(local.size(), '?');
    return copy;
  });
  TestClient client(app);
  EXPECT_EQ(client.get("/42").text, "   42|ff|2.5|text");
  EXPECT_THAT(client.get("/client").text, testing::MatchesRegex("127\\.0\\.0\\.1:[0-9]+"));
  EXPECT_EQ(client.get("/copy").text, "a local that goes");
}
