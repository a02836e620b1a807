// Requests that use up their arena are answered 503, and nobody else notices.

#include "support.hpp"

namespace {

constexpr Limits kTight{.connections = 8, .exchanges = 2, .arena_bytes = 4096};

Task<int> recurse(int depth) {
  char room[256];
  room[0] = static_cast<char>(depth);
  co_await yield();
  if (depth == 0) co_return room[0];
  const int below = co_await recurse(depth - 1);
  co_return below + room[0] - room[0];
}

}  // namespace

TEST(ArenaLimits, TextThatDoesNotFit) {
  App app{kTight};
  app.get("/<int:n>", [](Request& req, std::size_t n) {
    return req.format("{:>500}", std::string_view("x")).size() == n ? "fits" : "lost";
  });
  app.get("/much", [](Request& req) {
    for (int i = 0; i < 20; ++i) static_cast<void>(req.format("{:>500}", i));
    return "not sent";
  });
  app.get("/copy", [](Request& req) { return req.copy(std::string(10'000, 'x')); });
  app.get("/task", [](Request& req) -> Task<std::string_view> {
    co_await sleep_for(1s);
    co_return req.copy(std::string(10'000, 'x'));
  });
  TestClient client(app);
  EXPECT_EQ(client.get("/500").text, "fits");
  for (const char* url : {"/much", "/copy", "/task"}) {
    auto res = client.get(url);
    EXPECT_EQ(res.status_code, 503) << url;
    EXPECT_EQ(res.text, "Service unavailable") << url;
    EXPECT_FALSE(res.connection_closed) << url;
    EXPECT_EQ(res.headers["Retry-After"], "") << "it would be the same: " << url;
    EXPECT_TRUE(logged(client, std::string("GET ") + url + ": out of memory: see Limits::arena_bytes"));
  }
  EXPECT_EQ(client.get("/500").text, "fits");
}

TEST(ArenaLimits, GoThroughTheErrorHandler) {
  App app{kTight};
  app.errorhandler(503, [](Request&) { return Response("short of memory", 503); });
  app.get("/", [](Request& req) { return req.copy(std::string(10'000, 'x')); });
  app.get("/again", [](Request& req) -> Response {
    static_cast<void>(req.copy(std::string(10'000, 'x')));
    return abort(404);
  });
  TestClient client(app);
  EXPECT_EQ(client.get("/").text, "short of memory");
  EXPECT_EQ(client.get("/again").text, "short of memory");
}

TEST(ArenaLimits, CoroutinesThatGoTooDeep) {
  App app{kTight};
  app.get("/<int:depth>", [](Request&, int depth) -> Task<Response> {
    static_cast<void>(co_await recurse(depth));
    co_return Response("came back");
  });
  app.get("/gather/<int:depth>", [](Request&, int depth) -> Task<Response> {
    co_await gather(recurse(1), recurse(depth));
    co_return Response("came back");
  });
  TestClient client(app);
  EXPECT_EQ(client.get("/1").text, "came back");
  for (const char* url : {"/1000", "/gather/1000"}) {
    SimClient other = connect(client);
    other.send(get("/2"));
    auto res = client.get(url);
    EXPECT_EQ(res.status_code, 503) << url;
    client.run_for(1s);
    EXPECT_NE(other.received().find("came back"), std::string_view::npos) << url;
    EXPECT_EQ(client.get("/2").text, "came back") << url;
  }
}

TEST(ArenaLimits, AFirstFrameThatDoesNotFit) {
  App app{Limits{.exchanges = 1, .arena_bytes = 4096}};
  app.get("/task", [](Request&) -> Task<Response> {
    char room[8000];
    room[0] = 1;
    co_await yield();
    co_return Response(room[0] == 1 ? "x" : "y");
  });
  app.get("/stream", [](Request&) -> Generator<std::string_view> {
    char room[8000];
    room[0] = 'x';
    co_yield std::string_view(room, 1);
  });
  app.before_request([](Request& req) -> Task<> {
    if (req.path != "/hook") co_return;
    char room[8000];
    room[0] = 'x';
    co_await yield();
    EXPECT_EQ(room[0], 'x');
  });
  TestClient client(app);
  for (const char* url : {"/task", "/stream"}) EXPECT_EQ(client.get(url).status_code, 503) << url;
}

TEST(ArenaLimits, PiecesOfAStreamThatDoNotFit) {
  App app{kTight};
  app.get("/<int:n>", [](Request& req, int n) -> Response {
    return Response([](Request& r, int large) -> Generator<std::string_view> {
      for (int i = 0; i < 3; ++i) {
        const std::string text = i == large ? std::string(10'000, 'x') : "piece";
        co_yield r.copy(text);
        co_await sleep_for(1ms);
      }
    }(req, n));
  });
  TestClient client(app);
  EXPECT_EQ(client.get("/3").text, "piecepiecepiece");
  const TestResponse first = client.get("/0");
  EXPECT_EQ(first.status_code, 503) << first.text;
  EXPECT_EQ(first.headers["Retry-After"], "");
  EXPECT_TRUE(logged(client, "GET /0: out of memory: see Limits::arena_bytes"));
  EXPECT_FALSE(first.connection_closed);
  for (const char* url : {"/1", "/2"}) EXPECT_EQ(client.get(url).error, "the body ended early") << url;
  EXPECT_EQ(client.get("/3").text, "piecepiecepiece");
}

TEST(ArenaLimits, ObjectsHooksAndFieldsThatDoNotFit) {
  struct Large {
    char room[8000];
  };
  int destroyed = 0;
  App app{kTight};
  app.get("/g", [](Request& req) {
    EXPECT_EQ(req.g_emplace<Large>(), nullptr);
    EXPECT_EQ(req.g<Large>(), nullptr);
    return "x";
  });
  app.get("/on_end", [&destroyed](Request& req) {
    Large large{};
    EXPECT_FALSE(req.on_end([large, ended = Ended(destroyed)] { static_cast<void>(large); }));
    return "x";
  });
  app.get("/hook", [](Request& req) {
    Large large{};
    req.after_request([large](Request&, Response&) { ADD_FAILURE() << large.room[0]; });
    return "x";
  });
  app.get("/fields", [](Request&) {
    Response res("x");
    for (int i = 0; i < 100; ++i) res.add_header("X-Field", std::string(100, 'x'));
    return res;
  });
  app.get("/cookie",
          [](Request&) { return std::move(Response("x").set_cookie("c", std::string(8000, 'x'))); });
  TestClient client(app);
  for (const char* url : {"/g", "/on_end", "/hook", "/fields", "/cookie"}) {
    EXPECT_EQ(client.get(url).status_code, 503) << url;
  }
  EXPECT_EQ(destroyed, 1);
}

TEST(ArenaLimits, AHooksClosureIsDestroyedAlsoWhenItsRegistrationFails) {
  // Each time the arena is a little fuller: somewhere the hook fits, and what shall destroy it does not.
  for (int fill = 0; fill < 64; ++fill) {
    int alive = 0;
    App app{kTight};
    app.get("/", [&alive, fill](Request& req) {
      const std::size_t room = req.arena().rest().size();
      if (room > 512)
        static_cast<void>(req.copy(std::string(room - 512 + static_cast<std::size_t>(fill) * 8, 'x')));
      req.after_request([counted = std::make_shared<Counted>(alive)](Request&, Response&) {});
      return "x";
    });
    TestClient client(app);
    client.get("/");
    EXPECT_EQ(alive, 0) << fill;
  }
}

TEST(ArenaLimits, QueriesAndFormsThatDoNotFit) {
  App app{kTight};
  app.route("/", {"GET", "POST"}, [](Request& req) {
    static_cast<void>(req.form());
    return "x";
  });
  TestClient client(app);
  std::string pairs = "a=1";
  for (int i = 0; i < 400; ++i) pairs += "&a=1";
  EXPECT_EQ(client.get("/?" + pairs).status_code, 414);
  EXPECT_EQ(client.post("/", pairs, {{"Content-Type", "application/x-www-form-urlencoded"}}).status_code,
            413);
  EXPECT_EQ(client.get("/?a=1").text, "x");
}

TEST(ArenaLimits, AnAppOnADeviceHasNoMoreThanItsBlock) {
  static StaticApp<Limits::device()> app;
  constexpr Limits kLimits = Limits::device();
  static_assert(decltype(app)::memory() - kLimits.streams * kLimits.stream_memory() <=
                (sizeof(void*) == 8 ? 32 : 24) * 1024);
  app.get("/", [](Request& req) { return req.format("{}", 1); });
  TestClient client(app);
  EXPECT_EQ(client.get("/").text, "1");
}

TEST(ArenaLimits, RoutesThatDoNotFitAreSaidAtTheStart) {
  static StaticApp<Limits{.connections = 2, .exchanges = 1, .routes = 4, .handler_bytes = 256}> app;
  for (int i = 0; i < 20; ++i) app.get("/", [](Request&) { return ""; });
  TestClient client(app);
  EXPECT_FALSE(client.started());
  EXPECT_TRUE(logged(client, "Limits::handler_bytes"));
}
