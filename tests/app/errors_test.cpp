// abort, error handlers by status and by class of exception.

#include <stdexcept>

#include "support.hpp"

namespace {

Task<> abort_deep(int depth, int status) {
  if (depth == 0) {
    co_await abort(status, "from below");
    ADD_FAILURE() << "went on after abort";
    co_return;
  }
  co_await sleep_for(1ms);
  co_await abort_deep(depth - 1, status);
  ADD_FAILURE() << "went on after abort";
}

Task<int> counted_sleep(int& alive) {
  const Counted counted(alive);
  co_await sleep_for(24h);
  co_return 1;
}

}  // namespace

TEST(Abort, EndsTheRequestFromAnyDepth) {
  int alive = 0;
  App app;
  app.get("/return", [](Request&) -> Response { return abort(403); });
  app.get("/reason", [](Request&) -> Response { return abort(418, "short and stout"); });
  app.get("/co_return", [](Request&) -> Task<Response> { co_return abort(406); });
  app.get("/co_await", [&alive](Request&) -> Task<Response> {
    const Counted counted(alive);
    co_await abort(410);
    ADD_FAILURE() << "went on after abort";
    co_return Response("x");
  });
  app.get("/deep", [&alive](Request&) -> Task<Response> {
    const Counted counted(alive);
    co_await abort_deep(5, 409);
    co_return Response("x");
  });
  app.get("/gather", [&alive](Request&) -> Task<Response> {
    co_await gather(counted_sleep(alive), abort_deep(2, 422));
    co_return Response("x");
  });
  app.get("/wait_for", [&alive](Request&) -> Task<Response> {
    const Counted counted(alive);
    static_cast<void>(co_await wait_for(abort_deep(2, 423), 1h));
    co_return Response("x");
  });
  app.get("/group", [&alive](Request&) -> Task<Response> {
    TaskGroup group;
    group.create_task([](int& count) -> Task<> { static_cast<void>(co_await counted_sleep(count)); },
                      std::ref(alive));
    group.create_task(abort_deep, 2, 424);
    co_await group.join();
    co_return Response("x");
  });
  TestClient client(app);
  const auto expect = [&](std::string_view url, int status, std::string_view text) {
    auto res = client.get(url);
    EXPECT_EQ(res.status_code, status) << url;
    EXPECT_EQ(res.text, text) << url;
    EXPECT_EQ(alive, 0) << url;
    EXPECT_FALSE(res.connection_closed) << url;
  };
  expect("/return", 403, "Forbidden");
  expect("/reason", 418, "short and stout");
  expect("/co_return", 406, "Not Acceptable");
  expect("/co_await", 410, "Gone");
  expect("/deep", 409, "from below");
  expect("/gather", 422, "from below");
  expect("/wait_for", 423, "from below");
  expect("/group", 424, "from below");
}

TEST(Abort, CopiesItsReason) {
  App app;
  app.get("/<name>", [](Request&, std::string_view name) -> Task<Response> {
    const std::string reason = "no such name, and this text is not a short one: " + std::string(name);
    co_await abort(404, reason);
    co_return Response();
  });
  TestClient client(app);
  EXPECT_EQ(client.get("/bob").text, "no such name, and this text is not a short one: bob");
}

TEST(ErrorHandlers, MakeTheAnswerForAStatus) {
  App app;
  app.errorhandler(404, [](Request&) { return "404"; });
  app.errorhandler(405, [](Request&) { return std::pair("405", 405); });
  app.errorhandler(413, [](Request&) -> Task<Response> {
    co_await sleep_for(1s);
    co_return Response("413", 400);
  });
  app.errorhandler(406, [](Request&) -> std::optional<Response> { return {}; });
  app.errorhandler(409, [](Request&) {});
  app.get("/", [](Request&) { return "x"; });
  app.get("/406", [](Request&) -> Response { return abort(406, "nothing for you"); });
  app.get("/409", [](Request&) -> Response { return abort(409); });
  app.get("/404", [](Request&) { return Response("the handler's own", 404); });
  TestClient client(app);
  // Text is sent with 200, as any handler's.
  auto res = client.get("/missing");
  EXPECT_EQ(res.status_code, 200);
  EXPECT_EQ(res.text, "404");
  res = client.post("/");
  EXPECT_EQ(res.status_code, 405);
  EXPECT_EQ(res.text, "405");
  res = client.post("/", "", {{"Content-Length", "1000000"}});
  EXPECT_EQ(res.status_code, 400);
  EXPECT_EQ(res.text, "413");
  // One that gives nothing leaves the usual answer.
  res = client.get("/406");
  EXPECT_EQ(res.status_code, 406);
  EXPECT_EQ(res.text, "nothing for you");
  EXPECT_EQ(client.get("/409").text, "Conflict");
  EXPECT_EQ(client.get("/404").text, "the handler's own");
}

TEST(ErrorHandlers, TheLatestForAStatusCounts) {
  App app;
  app.errorhandler(404, [](Request&) { return "old"; });
  app.errorhandler(404, [](Request&) { return "new"; });
  Router sub;
  sub.errorhandler(410, [](Request&) { return "old"; });
  sub.errorhandler(410, [](Request&) { return "new"; });
  app.errorhandler(410, [](Request&) { return "before the mount"; });
  app.mount(sub, "/sub");
  app.get("/gone", [](Request&) -> Response { return abort(410); });
  TestClient client(app);
  EXPECT_EQ(client.get("/missing").text, "new");
  EXPECT_EQ(client.get("/gone").text, "new");
}

TEST(ErrorHandlers, ThatFailThemselvesComeToAnEnd) {
  App app;
  int calls = 0;
  app.errorhandler(404, [&calls](Request&) -> Response {
    ++calls;
    return abort(404, "again");
  });
  app.errorhandler(409, [](Request&) -> Response { return abort(410); });
  app.errorhandler(410, [](Request&) { return "not reached from another error handler"; });
  app.get("/409", [](Request&) -> Response { return abort(409); });
  TestClient client(app);
  auto res = client.get("/missing");
  EXPECT_EQ(res.status_code, 404);
  EXPECT_EQ(res.text, "again");
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(client.get("/409").status_code, 410);
}

TEST(ErrorHandlers, TheUsualTexts) {
  App app;
  app.get("/<int:status>", [](Request&, int status) -> Response { return abort(status); });
  app.post("/", [](Request&) { return ""; });
  TestClient client(app);
  const std::pair<int, const char*> texts[] = {
      {400, "Bad request"},           {404, "Not found"},
      {405, "Method not allowed"},    {413, "Payload too large"},
      {500, "Internal server error"}, {401, "Unauthorized"},
      {503, "Service unavailable"},
  };
  for (const auto& [status, text] : texts) {
    auto res = client.get("/" + std::to_string(status));
    EXPECT_EQ(res.status_code, status);
    EXPECT_EQ(res.text, text);
    EXPECT_EQ(res.headers["Content-Type"], "text/plain; charset=UTF-8");
  }
  auto res = client.post("/", std::string(20'000, 'x'));
  EXPECT_EQ(res.status_code, 413);
  EXPECT_EQ(res.text, "Payload too large");
}

TEST(ErrorHandlers, WithoutExceptionsAClassIsAcceptedToo) {
  App app;
  app.errorhandler<std::range_error>(
      [](Request&, const std::range_error&) { return Response("range", 400); });
  app.get("/", [](Request&) { return "fine"; });
  TestClient client(app);
  EXPECT_EQ(client.get("/").text, "fine");
}

#if MICRODOT_EXCEPTIONS

namespace {

struct Lookup : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct Index : Lookup {
  using Lookup::Lookup;
};

[[noreturn]] void throw_named(std::string_view name) {
  if (name == "index") throw Index("index");
  if (name == "lookup") throw Lookup("lookup");
  if (name == "range") throw std::range_error("range");
  if (name == "logic") throw std::logic_error("logic");
  throw 42;
}

}  // namespace

TEST(Exceptions, AreInternalServerErrorsAndLogged) {
  App app;
  app.get("/plain/<name>", [](Request&, std::string_view name) -> Response { throw_named(name); });
  app.get("/task/<name>", [](Request&, std::string name) -> Task<Response> {
    co_await sleep_for(1s);
    throw_named(name);
    co_return Response();
  });
  TestClient client(app);
  for (const char* url : {"/plain/index", "/plain/int", "/task/logic", "/task/int"}) {
    auto res = client.get(url);
    EXPECT_EQ(res.status_code, 500) << url;
    EXPECT_EQ(res.text, "Internal server error") << url;
    EXPECT_FALSE(res.connection_closed) << url;
  }
  EXPECT_TRUE(logged(client, "GET /plain/index: index"));
  EXPECT_TRUE(logged(client, "GET /task/logic: logic"));
}

TEST(Exceptions, GoToTheHandlerOfTheNearestClass) {
  App app;
  app.errorhandler<std::exception>(
      [](Request&, const std::exception&) { return Response("exception", 501); });
  app.errorhandler<Index>([](Request&, const Index& e) { return Response(std::string(e.what()), 502); });
  app.errorhandler<Lookup>([](Request&, const Lookup& e) -> Task<Response> {
    co_await sleep_for(1s);
    co_return Response(std::string("Lookup ") + e.what(), 503);
  });
  app.errorhandler<int>([](Request&, int number) { return std::to_string(number); });
  app.errorhandler<std::range_error>([](Request&, const std::range_error&) {});
  app.errorhandler(500, [](Request&) { return Response("500", 500); });
  app.get("/<name>", [](Request&, std::string_view name) -> Response { throw_named(name); });
  TestClient client(app);
  EXPECT_EQ(client.get("/index").text, "index");
  EXPECT_EQ(client.get("/lookup").text, "Lookup lookup");
  EXPECT_EQ(client.get("/logic").text, "exception");
  EXPECT_EQ(client.get("/int").text, "42");
  // A handler that gives nothing leaves the usual answer.
  EXPECT_EQ(client.get("/range").text, "Internal server error");
}

TEST(Exceptions, WithoutAHandlerForTheirClassGoToTheStatus) {
  App app;
  app.errorhandler<std::logic_error>([](Request&, const std::logic_error&) { return "not this one"; });
  app.errorhandler(500, [](Request&) { return Response("501", 501); });
  app.get("/", [](Request&) -> Response { throw std::runtime_error("x"); });
  TestClient client(app);
  auto res = client.get("/");
  EXPECT_EQ(res.status_code, 501);
  EXPECT_EQ(res.text, "501");
}

TEST(Exceptions, OfMountedRoutersKeepTheOrderOfClasses) {
  App app;
  app.errorhandler<std::exception>([](Request&, const std::exception&) { return "exception"; });
  Router sub;
  sub.errorhandler<Lookup>([](Request&, const Lookup&) { return "lookup"; });
  sub.errorhandler<Index>([](Request&, const Index&) { return "index"; });
  app.mount(sub, "/sub");
  app.get("/<name>", [](Request&, std::string_view name) -> Response { throw_named(name); });
  TestClient client(app);
  EXPECT_EQ(client.get("/index").text, "index");
  EXPECT_EQ(client.get("/lookup").text, "lookup");
  EXPECT_EQ(client.get("/range").text, "exception");
}

TEST(Exceptions, InErrorHandlersComeToAnEnd) {
  App app;
  int calls = 0;
  app.errorhandler<std::exception>([&calls](Request&, const std::exception&) -> Response {
    ++calls;
    throw std::runtime_error("the handler fails too");
  });
  app.errorhandler(404, [](Request&) -> Response { throw std::logic_error("404 fails"); });
  app.get("/", [](Request&) -> Response { throw Index("first"); });
  TestClient client(app);
  EXPECT_EQ(client.get("/").status_code, 500);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(client.get("/missing").status_code, 500);
  EXPECT_TRUE(logged(client, "the handler fails too"));
  EXPECT_TRUE(logged(client, "404 fails"));
}

TEST(Exceptions, AbortCanBeThrown) {
  struct Check {
    static void member(Request& req) {
      if (req.args["name"] != "ada") throw abort(403, "members only");
    }
    static Task<> later(Request& req) {
      co_await sleep_for(1s);
      member(req);
    }
  };
  App app;
  app.errorhandler<std::exception>(
      [](Request&, const std::exception&) { return "abort is no exception of these"; });
  app.get("/plain", [](Request& req) {
    Check::member(req);
    return "in";
  });
  app.get("/task", [](Request& req) -> Task<const char*> {
    co_await Check::later(req);
    co_return "in";
  });
  app.get("/gather", [](Request& req) -> Task<const char*> {
    co_await gather(Check::later(req), sleep_for(10s));
    co_return "in";
  });
  TestClient client(app);
  for (const std::string url : {"/plain", "/task", "/gather"}) {
    EXPECT_EQ(client.get(url + "?name=ada").text, "in");
    auto res = client.get(url);
    EXPECT_EQ(res.status_code, 403) << url;
    EXPECT_EQ(res.text, "members only") << url;
  }
}

TEST(Exceptions, CanBeCaughtByTheHandlerItself) {
  int alive = 0;
  App app;
  app.get("/", [&alive](Request&) -> Task<Response> {
    struct Fails {
      static Task<> now() {
        co_await sleep_for(1s);
        throw std::runtime_error("caught");
      }
    };
    std::string text;
    try {
      co_await gather(Fails::now(), counted_sleep(alive));
    } catch (const std::runtime_error& error) {
      text = error.what();
    }
    EXPECT_EQ(alive, 0);
    co_return Response(text);
  });
  TestClient client(app);
  EXPECT_EQ(client.get("/").text, "caught");
}

TEST(Exceptions, AGeneratorThatThrowsCutsItsAnswerShort) {
  App app;
  app.get("/", [](Request&) -> Generator<std::string_view> {
    co_yield "some";
    co_await sleep_for(1s);
    throw std::runtime_error("in the middle");
  });
  TestClient client(app);
  auto res = client.get("/");
  EXPECT_EQ(res.status_code, 0);  // no complete answer
  EXPECT_TRUE(logged(client, "in the middle"));
  EXPECT_EQ(client.get("/missing").status_code, 404);
}

TEST(Exceptions, AGeneratorThatThrowsBeforeItsFirstPieceIsAnErrorLikeAnyOther) {
  App app;
  app.get("/", [](Request&) -> Generator<std::string_view> {
    co_await sleep_for(1s);
    throw std::range_error("too soon");
    co_yield "never";
  });
  app.get("/abort", [](Request&) -> Generator<std::string_view> {
    throw abort(403, "not for you");
    co_yield "never";
  });
  TestClient client(app);
  auto res = client.get("/");
  EXPECT_EQ(res.status_code, 500);
  EXPECT_EQ(res.text, "Internal server error");
  EXPECT_TRUE(logged(client, "too soon"));
  app.errorhandler<std::range_error>(
      [](Request&, const std::range_error& error) { return Response(std::string(error.what()), 422); });
  res = client.get("/");
  EXPECT_EQ(res.status_code, 422);
  EXPECT_EQ(res.text, "too soon");
  res = client.get("/abort");
  EXPECT_EQ(res.status_code, 403);
  EXPECT_EQ(res.text, "not for you");
}

#endif

TEST(Errors, AGeneratorMayAbortBeforeItsFirstPiece) {
  App app;
  int after_errors = 0;
  app.after_error_request([&after_errors](Request&, Response&) { ++after_errors; });
  app.get("/", [](Request& req) -> Generator<std::string_view> {
    co_await sleep_for(1s);
    if (req.args["name"].empty()) co_await abort(400, "name is missing");
    co_yield req.args["name"];
  });
  TestClient client(app);
  auto res = client.get("/");
  EXPECT_EQ(res.status_code, 400);
  EXPECT_EQ(res.text, "name is missing");
  EXPECT_EQ(after_errors, 1);
  EXPECT_EQ(client.get("/?name=susan").text, "susan");
  EXPECT_EQ(client.head("/").status_code, 200);  // a HEAD runs no generator
}

TEST(Errors, TheReasonOfAnAbortMayBeAStringThatIsGoneAfterwards) {
  App app;
  const auto reason = [](Request& req) { return "there is no page called " + std::string(req.args["name"]); };
  app.get("/return", [&](Request& req) -> Response { return abort(404, reason(req)); });
  app.get("/await", [&](Request& req) -> Task<Response> {
    const std::string text = reason(req);
    co_await abort(404, text);
    co_return Response("never");
  });
#if MICRODOT_EXCEPTIONS
  app.get("/throw", [&](Request& req) -> Response { throw abort(404, reason(req)); });
#endif
  TestClient client(app);
  for (std::string url : {"/return", "/await", "/throw"}) {
    if (url == "/throw" && !MICRODOT_EXCEPTIONS) continue;
    auto res = client.get(url + "?name=something-that-is-long-enough-for-the-heap");
    EXPECT_EQ(res.status_code, 404) << url;
    EXPECT_EQ(res.text, "there is no page called something-that-is-long-enough-for-the-heap") << url;
  }
}

TEST(Errors, StatusesThatAreNoFinalAnswerAreRefused) {
  App app;
  app.get("/<int:status>", [](Request&, int status) { return status; });
  app.get("/reset", [](Request&) { return Response("form", 205); });
  TestClient client(app);
  for (const char* status : {"0", "-5", "99", "100", "101", "199", "1000"}) {
    EXPECT_EQ(client.get(std::string("/") + status).status_code, 500) << status;
    EXPECT_TRUE(logged(client, std::string("may not answer with status ") + status)) << status;
  }
  EXPECT_EQ(client.get("/200").status_code, 200);
  auto res = client.get("/reset");
  EXPECT_EQ(res.status_code, 205);
  EXPECT_EQ(res.text, "");  // RFC 9110 15.3.6
}
