// What each route was asked for.

#include <vector>

#include "support.hpp"

namespace {

std::vector<std::string> routes_of(const App& app) {
  std::vector<std::string> lines;
  app.for_each_route([&](const RouteStats& route) {
    char methods[kMaxAllow];
    std::string line(write_allow(route.methods, methods));
    line += ' ';
    for (const std::string_view prefix : route.prefixes) line.append(prefix).append("|");
    line.append(route.pattern).append(route.directory ? "/*" : "").append(" ");
    lines.push_back(line + std::to_string(route.requests));
  });
  return lines;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST(RouteStats, EachRouteCountsWhatCameToIt) {
  Router inner;
  inner.get("/<int:id>", [](Request&, int) { return "user"; });
  Router outer;
  outer.mount(inner, "/users");
  outer.get("/fails", [](Request&) { return abort(500); });
  App app;
  app.get("/", [](Request&) { return "Hello"; });
  app.mount(outer, "/api");
  app.static_files("/static", ".");
  app.post("/", [](Request&) { return "posted"; });
  app.route("/both", {"GET", "POST"}, [](Request&) { return "both"; });
  EXPECT_EQ(routes_of(app), (Lines{"GET / 0", "GET /api|/users|/<int:id> 0", "GET /api|/fails 0",
                                   "GET /static/* 0", "POST / 0", "GET, POST /both 0"}));
  TestClient client(app);
  for (const char* url : {"/", "/", "/api/users/7", "/api/users/x", "/none", "/api/fails", "/static/none"})
    client.get(url);
  client.head("/");
  client.post("/");
  client.post("/api/fails");  // 405: nobody's
  for (int i = 0; i < 4; ++i) client.post("/both");
  EXPECT_EQ(routes_of(app), (Lines{"GET / 3", "GET /api|/users|/<int:id> 1", "GET /api|/fails 1",
                                   "GET /static/* 1", "POST / 1", "GET, POST /both 4"}));
}

TEST(RouteStats, AnAnswerOfAHookCountsAsTheRoutes) {
  App app;
  app.before_request([](Request&) -> std::optional<Response> { return Response("no", 403); });
  app.get("/", [](Request&) { return "Hello"; });
  TestClient client(app);
  client.get("/");
  EXPECT_EQ(routes_of(app), Lines{"GET / 1"});
}

TEST(RouteStats, AServerThatIsStartedAgainBeginsAnew) {
  App app;
  app.get("/", [](Request&) { return "Hello"; });
  {
    TestClient client(app);
    client.get("/");
    client.get("/");
    EXPECT_EQ(routes_of(app), Lines{"GET / 2"});
  }
  TestClient client(app);
  client.get("/");
  EXPECT_EQ(routes_of(app), Lines{"GET / 1"});
}
