// Whatever ends a request, what belongs to it is destroyed, once: frames, the objects of `g`, `on_end`.

#include <stdexcept>

#include "support.hpp"

namespace {

/// An App whose handlers leave behind what must be counted.
struct Counting {
  App app;
  int frames = 0;   // alive
  int objects = 0;  // alive, in g
  int ended = 0;    // objects of g that were destroyed
  int calls = 0;    // of on_end

  explicit Counting(const Limits& limits = {}) : app(limits) {
    app.before_request([this](Request& req) {
      req.g_emplace<Counted>(objects);
      req.g_emplace<Ended>(ended);
      req.on_end([this] { ++calls; });
    });
    app.get("/plain", [](Request&) { return "x"; });
    app.get("/abort", [](Request&) -> Response { return abort(404); });
    app.get("/abort-deep", [this](Request&) -> Task<Response> {
      const Counted counted(frames);
      co_await sleep_for(1s);
      co_await abort(403);
      co_return Response();
    });
    app.get("/long", [this](Request&) -> Task<Response> {
      const Counted counted(frames);
      co_await inner();
      co_return Response("finally");
    });
    app.get("/gather", [this](Request&) -> Task<Response> {
      const Counted counted(frames);
      co_await gather(inner(), inner());
      co_return Response("finally");
    });
    app.get("/stream", [this](Request&) -> Generator<std::string_view> {
      const Counted counted(frames);
      co_yield "first";
      co_await inner();
      co_yield "last";
    });
    app.get("/large", [this](Request&) -> Generator<std::string_view> {
      const Counted counted(frames);
      const std::string piece(4000, 'x');
      for (int i = 0; i < 1000; ++i) co_yield piece;
    });
#if MICRODOT_EXCEPTIONS
    app.get("/throw", [](Request&) -> Response { throw std::runtime_error("x"); });
    app.get("/throw-deep", [this](Request&) -> Task<Response> {
      const Counted counted(frames);
      co_await sleep_for(1s);
      throw std::runtime_error("x");
      co_return Response();
    });
#endif
  }
  Task<> inner() {
    const Counted counted(frames);
    co_await sleep_for(30s);
  }
  void expect_ended(int requests, std::string_view what) const {
    EXPECT_EQ(frames, 0) << what;
    EXPECT_EQ(objects, 0) << what;
    EXPECT_EQ(ended, requests) << what;
    EXPECT_EQ(calls, requests) << what;
  }
};

}  // namespace

TEST(Lifetime, OfAnsweredRequests) {
  Counting counting;
  TestClient client(counting.app);
  int requests = 0;
  std::vector<const char*> urls = {"/plain",  "/abort",  "/abort-deep", "/long",
                                   "/gather", "/stream", "/large"};
#if MICRODOT_EXCEPTIONS
  urls.insert(urls.end(), {"/throw", "/throw-deep"});
#endif
  for (const char* url : urls) {
    client.get(url);
    counting.expect_ended(++requests, url);
    client.raw(std::string("GET ") + url + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    counting.expect_ended(++requests, url);
  }
}

TEST(Lifetime, WhenTheClientResetsInTheMiddle) {
  Counting counting;
  TestClient client(counting.app);
  int requests = 0;
  for (const char* url : {"/long", "/gather", "/stream", "/abort-deep"}) {
    SimClient leaver = connect(client);
    leaver.send(get(url));
    client.run_for(500ms);
    EXPECT_GE(counting.frames, 1) << url;
    EXPECT_EQ(counting.objects, 1) << url;
    leaver.reset();
    client.run_for(10ms);
    counting.expect_ended(++requests, url);
  }
  EXPECT_EQ(client.get("/plain").text, "x");
}

TEST(Lifetime, WhenTheClientLeavesWhileItIsAnswered) {
  Counting counting;
  TestClient client(counting.app);
  SimClient leaver = connect(client);
  leaver.set_receive_window(10'000);
  leaver.send(get("/large"));
  client.run_for(1s);
  EXPECT_EQ(counting.frames, 1);
  leaver.reset();
  client.run_for(1s);
  counting.expect_ended(1, "reset");
  // One that takes nothing more is closed after `write_timeout`.
  SimClient stuck = connect(client);
  stuck.set_receive_window(10'000);
  stuck.send(get("/large"));
  client.run_for(31s);
  counting.expect_ended(2, "stuck");
  EXPECT_TRUE(stuck.was_reset());
}

TEST(Lifetime, WhenTheHandlerTakesTooLong) {
  Counting counting{Limits{.handler_timeout = 10s}};
  TestClient client(counting.app);
  auto res = client.get("/long");
  EXPECT_EQ(res.status_code, 503);
  counting.expect_ended(1, "/long");
  EXPECT_EQ(client.get("/gather").status_code, 503);
  counting.expect_ended(2, "/gather");
  EXPECT_EQ(client.get("/abort-deep").status_code, 403);
  counting.expect_ended(3, "/abort-deep");
  EXPECT_EQ(client.get("/stream").status_code, 0);
  counting.expect_ended(4, "/stream");
}

TEST(Lifetime, AtShutdown) {
  Counting counting{Limits{.shutdown_timeout = 5s}};
  {
    TestClient client(counting.app);
    SimClient other = connect(client);
    other.send(get("/gather"));
    client.run_for(1s);
    EXPECT_EQ(counting.frames, 3);
    counting.app.shutdown();
    client.run_for(4s - 1ms);
    EXPECT_EQ(counting.frames, 3);  // it has until the deadline
    client.run_for(2s);
    counting.expect_ended(1, "deadline");
  }
  {
    TestClient client(counting.app);
    SimClient other = connect(client);
    other.send(get("/long"));
    client.run_for(27s);
    counting.app.shutdown();
    client.run_for(4s);
    EXPECT_NE(other.received().find("finally"), std::string_view::npos);
    counting.expect_ended(2, "finished in time");
  }
}

TEST(Lifetime, OfWhatIsBoundToUnmatchedRequests) {
  int calls = 0;
  App app;
  app.errorhandler(404, [&calls](Request& req) {
    req.on_end([&calls] { ++calls; });
    return "none";
  });
  TestClient client(app);
  client.get("/missing");
  EXPECT_EQ(calls, 1);
}

TEST(Lifetime, ALimitersCounterAlwaysComesBack) {
  int in_flight = 0;
  App app;
  app.before_request([&in_flight](Request& req) -> std::optional<Response> {
    if (in_flight == 2) return Response("busy", 503);
    ++in_flight;
    req.on_end([&in_flight] { --in_flight; });
    return {};
  });
  app.get("/", [](Request&) -> Task<Response> {
    co_await sleep_for(10s);
    co_return Response("done");
  });
  TestClient client(app);
  SimClient one = connect(client);
  SimClient two = connect(client);
  one.send(get("/"));
  two.send(get("/"));
  client.run_for(1s);
  EXPECT_EQ(client.get("/").status_code, 503);
  one.reset();
  client.run_for(1s);
  EXPECT_EQ(in_flight, 1);
  EXPECT_EQ(client.get("/").text, "done");
  EXPECT_EQ(in_flight, 0);
}

#if MICRODOT_EXCEPTIONS
TEST(Lifetime, WhatOnEndThrowsIsLogged) {
  App app;
  int calls = 0;
  app.get("/", [&calls](Request& req) {
    req.on_end([&calls] { ++calls; });
    req.on_end([] { throw std::runtime_error("at the end"); });
    return "fine";
  });
  TestClient client(app);
  EXPECT_EQ(client.get("/").text, "fine");
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(logged(client, "at the end"));
}
#endif

TEST(Lifetime, ShieldedWorkFinishesWithoutItsClient) {
  App app;
  std::string log;
  struct Work {
    static Task<int> save(std::string& into, int value) {
      into += "begin ";
      co_await sleep_for(10s);
      into += "saved";
      co_return value;
    }
  };
  app.get("/", [&log](Request&) -> Task<Response> {
    const int value = co_await shield(Work::save, std::ref(log), 7);
    co_return Response(std::to_string(value));
  });
  TestClient client(app);
  EXPECT_EQ(client.get("/").text, "7");
  log.clear();
  SimClient leaver = connect(client);
  leaver.send(get("/"));
  client.run_for(1s);
  EXPECT_EQ(log, "begin ");
  leaver.reset();
  client.run_for(1s);
  EXPECT_EQ(app.stats().exchanges, 0U);
  client.run_for(10s);
  EXPECT_EQ(log, "begin saved");
}

namespace {

std::string g_task_error;

Task<> background(int& counter, std::string name) {
  for (;;) {
    co_await sleep_for(1s);
    counter += static_cast<int>(name.size());
  }
}

Task<> plain_task() { co_await sleep_for(1s); }

}  // namespace

TEST(BackgroundTasks, StartedByAHandlerGoOnAfterIt) {
  App app;
  int counter = 0;
  app.get("/start/<name>", [&counter](Request&, std::string_view name) {
    create_task(background, std::ref(counter), std::string(name));
    return 202;
  });
  app.get("/", [&counter](Request&) { return std::to_string(counter); });
  TestClient client(app);
  EXPECT_EQ(client.get("/start/abc").status_code, 202);
  client.run_for(5s + 500ms);
  EXPECT_EQ(client.get("/").text, "15");
  client.run_for(2s);
  EXPECT_EQ(client.get("/").text, "21");
}

TEST(BackgroundTasks, WhoseFrameLiesInARequestAreRefused) {
  App app;
  g_task_error.clear();
  on_task_error([](const TaskError& error) {
    g_task_error = std::string(error.name) + ": " + std::string(error.reason);
  });
  app.get("/", [](Request&) {
    const TaskHandle handle = create_task("mine", plain_task());
    EXPECT_TRUE(handle.done());
    EXPECT_EQ(handle.state(), TaskState::failed);
    return "fine";
  });
  TestClient client(app);
  EXPECT_EQ(client.get("/").text, "fine");
  EXPECT_NE(g_task_error.find("mine: "), std::string::npos);
  EXPECT_NE(g_task_error.find("create_task(f, args...)"), std::string::npos);
  on_task_error(nullptr);
}

#if MICRODOT_EXCEPTIONS
TEST(BackgroundTasks, ThatFailHarmNoRequest) {
  App app;
  app.get("/start", [](Request&) {
    create_task("doomed", []() -> Task<> {
      co_await sleep_for(1s);
      throw std::runtime_error("no sensor");
    });
    return "started";
  });
  TestClient client(app);
  EXPECT_EQ(client.get("/start").text, "started");
  client.run_for(2s);
  EXPECT_TRUE(logged(client, "doomed"));
  EXPECT_TRUE(logged(client, "no sensor"));
  EXPECT_EQ(client.get("/start").text, "started");
}
#endif
