// What handlers may return, and what is sent for it.

#include <array>
#include <map>
#include <tuple>
#include <vector>

#include "support.hpp"

namespace {

struct Point {
  int x;
  int y;
};

}  // namespace

template <>
struct microdot::IntoResponse<Point> {
  static Response make(const Point& point) {
    return Response(std::to_string(point.x) + "," + std::to_string(point.y), 200,
                    {{"Content-Type", "text/x-point"}});
  }
};

namespace {

using Fields = std::map<std::string, std::string>;

/// Serves what `handler` returns at "/", and gives the answer.
template <typename F>
TestResponse answer(F handler) {
  App app;
  app.get("/", handler);
  TestClient client(app);
  return client.get("/");
}

}  // namespace

TEST(Returns, TextOfAllKinds) {
  EXPECT_EQ(answer([](Request&) { return "literal"; }).text, "literal");
  EXPECT_EQ(answer([](Request&) { return std::string(5000, 's'); }).text, std::string(5000, 's'));
  EXPECT_EQ(answer([](Request&) { return std::string("short"); }).text, "short");
  EXPECT_EQ(answer([](Request&) { return std::string_view("view"); }).text, "view");
  EXPECT_EQ(answer([](Request& req) { return req.format("{} °C", 21); }).text, "21 °C");
  static const std::string kept = "a reference is copied";
  EXPECT_EQ(answer([](Request&) -> const std::string& { return kept; }).text, kept);
  EXPECT_EQ(answer([](Request&) { return std::string_view("\xff\0\xfe", 3); }).text,
            std::string("\xff\0\xfe", 3));
}

TEST(Returns, AnEmptyTextIsAnAnswerToo) {
  auto res = answer([](Request&) { return ""; });
  EXPECT_EQ(res.status_code, 200);
  EXPECT_EQ(res.headers["Content-Length"], "0");
}

TEST(Returns, AStatusAlone) {
  auto res = answer([](Request&) { return 202; });
  EXPECT_EQ(res.status_code, 202);
  EXPECT_EQ(res.reason, "Accepted");
  EXPECT_EQ(res.text, "");
  EXPECT_EQ(res.headers["Content-Length"], "0");
}

TEST(Returns, NothingIsNoContent) {
  for (const TestResponse& res : {
           answer([](Request&) {}),
           answer([](Request&) -> Task<> { co_return; }),
           answer([](Request&) -> std::optional<Response> { return {}; }),
           answer([](Request&) -> std::optional<std::string> { return std::nullopt; }),
           answer([](Request&) -> Task<std::optional<const char*>> { co_return std::nullopt; }),
           answer([](Request&) { return 204; }),
           answer([](Request&) { return Response("ignored", 204); }),
       }) {
    EXPECT_EQ(res.status_code, 204);
    EXPECT_EQ(res.text, "");
    // RFC 9110 8.6: no Content-Length in a 204.
    EXPECT_FALSE(res.headers.contains("Content-Length"));
    EXPECT_FALSE(res.headers.contains("Transfer-Encoding"));
    EXPECT_FALSE(res.headers.contains("Content-Type"));
  }
}

TEST(Returns, OptionalsThatHoldSomething) {
  EXPECT_EQ(answer([](Request&) -> std::optional<std::string> { return "text"; }).text, "text");
  EXPECT_EQ(answer([](Request&) -> std::optional<Response> { return Response("no", 404); }).status_code, 404);
  EXPECT_EQ(answer([](Request&) -> Task<std::optional<int>> { co_return 418; }).status_code, 418);
}

TEST(Returns, BodyAndStatusAndHeaders) {
  auto res = answer([](Request&) { return std::pair("two", 202); });
  EXPECT_EQ(res.text, "two");
  EXPECT_EQ(res.status_code, 202);

  res = answer([](Request&) { return std::pair("<p>three</p>", Fields{{"Content-Type", "text/html"}}); });
  EXPECT_EQ(res.text, "<p>three</p>");
  EXPECT_EQ(res.status_code, 200);
  EXPECT_EQ(res.headers["Content-Type"], "text/html");
  EXPECT_EQ(res.headers.count("Content-Type"), 1U);

  res = answer([](Request&) {
    return std::tuple(std::string("<p>four</p>"), 202, std::array<Header, 2>{{{"X-A", "a"}, {"X-B", "b"}}});
  });
  EXPECT_EQ(res.text, "<p>four</p>");
  EXPECT_EQ(res.status_code, 202);
  EXPECT_EQ(res.headers["X-A"], "a");
  EXPECT_EQ(res.headers["X-B"], "b");

  res = answer([](Request&) { return std::tuple("one field", 201, Header{"Location", "/new"}); });
  EXPECT_EQ(res.status_code, 201);
  EXPECT_EQ(res.headers["Location"], "/new");

  res = answer([](Request&) {
    return std::pair(202, std::vector<std::pair<const char*, const char*>>{{"X", "y"}});
  });
  EXPECT_EQ(res.text, "");
  EXPECT_EQ(res.status_code, 202);
  EXPECT_EQ(res.headers["X"], "y");

  res = answer([](Request&) { return std::pair(Response("made", 200, {{"X-Made", "1"}}), 203); });
  EXPECT_EQ(res.text, "made");
  EXPECT_EQ(res.status_code, 203);
  EXPECT_EQ(res.headers["X-Made"], "1");

  res = answer(
      [](Request&) -> Task<std::pair<std::string, int>> { co_return std::pair(std::string("later"), 202); });
  EXPECT_EQ(res.text, "later");
  EXPECT_EQ(res.status_code, 202);
}

TEST(Returns, Responses) {
  auto res = answer([](Request&) { return Response("body", 404, {{"X-Test", "Foo"}}); });
  EXPECT_EQ(res.status_code, 404);
  EXPECT_EQ(res.text, "body");
  EXPECT_EQ(res.headers["x-test"], "Foo");
  EXPECT_EQ(answer([](Request&) -> Response { return "implicit"; }).text, "implicit");
  EXPECT_EQ(answer([](Request&) -> Response { return std::string("owned"); }).text, "owned");
  EXPECT_EQ(answer([](Request&) -> Task<Response> { co_return Response("done", 202); }).status_code, 202);
  EXPECT_EQ(answer([](Request&) { return Response(); }).status_code, 200);
}

TEST(Returns, TypesOfTheUsersOwn) {
  auto res = answer([](Request&) { return Point{1, 2}; });
  EXPECT_EQ(res.text, "1,2");
  EXPECT_EQ(res.headers["Content-Type"], "text/x-point");
  res = answer([](Request&) { return std::pair(Point{3, 4}, 201); });
  EXPECT_EQ(res.text, "3,4");
  EXPECT_EQ(res.status_code, 201);
  EXPECT_EQ(answer([](Request&) -> Task<std::optional<Point>> { co_return Point{5, 6}; }).text, "5,6");
}

TEST(Returns, GeneratorsAreStreamed) {
  int alive = 0;
  App app;
  app.get("/", [&alive](Request&) -> Generator<std::string_view> {
    const Counted counted(alive);
    co_yield "foo";
    co_await sleep_for(1s);
    co_yield "";  // must not end the body
    const std::string local(10'000, 'x');
    co_yield local;
    co_yield "bar";
  });
  app.get("/pair", [](Request&) -> std::pair<Generator<std::string_view>, int> {
    struct Source {
      static Generator<std::string_view> lines() { co_yield "line"; }
    };
    return {Source::lines(), 202};
  });
  app.get("/empty", [](Request&) -> Generator<std::string_view> { co_return; });
  TestClient client(app);
  auto res = client.get("/");
  EXPECT_EQ(res.status_code, 200);
  EXPECT_EQ(res.text, "foo" + std::string(10'000, 'x') + "bar");
  EXPECT_EQ(res.headers["Transfer-Encoding"], "chunked");
  EXPECT_FALSE(res.headers.contains("Content-Length"));
  EXPECT_EQ(res.headers["Content-Type"], "text/plain; charset=UTF-8");
  EXPECT_FALSE(res.connection_closed);
  EXPECT_EQ(alive, 0);

  res = client.get("/pair");
  EXPECT_EQ(res.status_code, 202);
  EXPECT_EQ(res.text, "line");
  EXPECT_EQ(client.get("/empty").text, "");

  // HTTP/1.0 knows no chunks: the end of the connection ends the body (RFC 9112 6.3).
  const std::string old = client.raw("GET /pair HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.find("Transfer-Encoding"), std::string::npos);
  EXPECT_EQ(old.substr(old.find("\r\n\r\n") + 4), "line");
}

TEST(Returns, AGeneratorsPiecesAreSentAsTheyCome) {
  App app;
  app.get("/", [](Request&) -> Generator<std::string_view> {
    co_yield "first";
    co_await sleep_for(1h);
    co_yield "second";
  });
  TestClient client(app);
  SimClient other = connect(client);
  other.send(get("/"));
  client.run_for(1s);
  EXPECT_NE(other.received().find("\r\n5\r\nfirst\r\n"), std::string_view::npos);
  EXPECT_EQ(other.received().find("second"), std::string_view::npos);
}
