/// From start to shutdown, again and again; and starts that can't succeed.

#include "sim_server.hpp"

namespace microdot_test {
namespace {

constexpr Limits kLifeLimits{.connections = 4,
                             .exchanges = 2,
                             .head_bytes = 512,
                             .response_bytes = 512,
                             .arena_bytes = 4096,
                             .shutdown_timeout = 5s};

void add_routes(App& app) {
  app.get("/", [](Request&) { return "Hello"; });
  app.get("/sleep/<int:seconds>", [](Request&, int seconds) -> Task<Response> {
    co_await sleep_for(std::chrono::seconds(seconds));
    co_return Response("slept");
  });
}

class Life : public testing::Test {
 protected:
  Life() : app_(kLifeLimits) { add_routes(app_); }
  App app_;
};

TEST_F(Life, StartsAndEndsAHundredTimes) {
  SimPort sim;
  Loop loop(sim);
  const std::size_t pool = task_pool().used();
  for (int i = 0; i < 100; ++i) {
    ServerRun run(app_, loop, {.host = "", .port = kPort});
    loop.turn(Duration{0});
    ASSERT_TRUE(app_.running());
    EXPECT_EQ(app_.port(), kPort);
    SimClient client = sim.connect(kPort);
    client.send(get("/"));
    for (int k = 0; k < 10; ++k) loop.turn(Duration{0});
    EXPECT_EQ(body_of(client.received()), "Hello");
    EXPECT_EQ(app_.stats().requests, 1U);  // of this run
    app_.shutdown();
    EXPECT_FALSE(app_.running());
    for (int k = 0; k < 10 && !run.done(); ++k) loop.turn(Duration{0});
    ASSERT_TRUE(run.done());
    EXPECT_TRUE(run.result());
    EXPECT_TRUE(client.ended());
    EXPECT_EQ(app_.stats().connections, 0U);
  }
  EXPECT_EQ(sim.open_transports(), 0U);
  EXPECT_EQ(task_pool().used(), pool);
}

StaticApp<kLifeLimits> static_app;

TEST_F(Life, AnAppOfStaticMemoryDoesTheSame) {
  add_routes(static_app);
  for (int i = 0; i < 100; ++i) {
    SimServer server(static_app);
    EXPECT_EQ(body_of(server.exchange(get("/"))), "Hello");
  }
}

TEST_F(Life, TwoAppsShareALoop) {
  App other(kLifeLimits);
  other.get("/", [](Request&) { return "other"; });
  SimServer server(app_);
  ServerRun run(other, server.loop, {.host = "", .port = 81});
  server.settle();
  SimClient client = server.sim.connect(81);
  client.send(get("/"));
  server.settle();
  EXPECT_EQ(body_of(client.received()), "other");
  EXPECT_EQ(body_of(server.exchange(get("/"))), "Hello");
  other.shutdown();
  server.settle();
  EXPECT_TRUE(run.done());
  EXPECT_EQ(body_of(server.exchange(get("/"))), "Hello");
}

TEST_F(Life, AnAppThatRunsDoesNotStartAgain) {
  SimServer server(app_);
  ServerRun run(app_, server.loop, {.host = "", .port = 81});
  server.settle();
  ASSERT_TRUE(run.done());
  EXPECT_EQ(run.result().error(), Error::invalid);
  EXPECT_THAT(server.log(), testing::HasSubstr("runs already"));
  EXPECT_EQ(body_of(server.exchange(get("/"))), "Hello");  // the first goes on
}

/// Starts `app`, which fails; gives what the log says.
std::string failed_start(App& app, SimPort& sim, const ServerOptions& options = {.host = "", .port = kPort}) {
  sim.clear_log();
  Loop loop(sim);
  ServerRun run(app, loop, options);
  for (int i = 0; i < 5; ++i) loop.turn(Duration{0});
  EXPECT_TRUE(run.done());
  EXPECT_FALSE(app.running());
  if (run.done()) {
    EXPECT_FALSE(run.result());
  }
  EXPECT_EQ(sim.open_transports(), 0U);
  std::string log(sim.log_text());
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
  return log;
}

void expect_start(App& app, SimPort& sim) {
  Loop loop(sim);
  ServerRun run(app, loop, {.host = "", .port = kPort});
  for (int i = 0; i < 5; ++i) loop.turn(Duration{0});
  EXPECT_TRUE(app.running());
  app.shutdown();
  for (int i = 0; i < 5; ++i) loop.turn(Duration{0});
  EXPECT_TRUE(run.done());
}

TEST_F(Life, APortThatIsTakenIsNamedAndTheNextStartWorks) {
  App other(kLifeLimits);
  SimPort sim;
  {
    Loop loop(sim);
    ServerRun run(other, loop, {.host = "", .port = kPort});
    loop.turn(Duration{0});
    EXPECT_THAT(failed_start(app_, sim),
                testing::AllOf(testing::HasSubstr(":80"), testing::HasSubstr("in use")));
    other.shutdown();
    for (int i = 0; i < 5; ++i) loop.turn(Duration{0});
  }
  expect_start(app_, sim);
}

TEST_F(Life, AHostThatIsNoneIsNamed) {
  SimPort sim;
  EXPECT_THAT(failed_start(app_, sim, {.host = "no.such.host", .port = kPort}),
              testing::HasSubstr("no.such.host"));
  expect_start(app_, sim);
}

TEST_F(Life, AStaticDirectoryThatIsMissingIsNamed) {
  App app(kLifeLimits);
  app.static_files("/static", "not-there");
  SimPort sim;
  EXPECT_THAT(failed_start(app, sim), testing::HasSubstr("not-there"));
  sim.add_file("not-there/a.txt", "now it is");
  expect_start(app, sim);
}

TEST_F(Life, ALimitThatIsOutOfRangeIsNamed) {
  Limits limits = kLifeLimits;
  limits.head_bytes = 70'000;
  App app(limits);
  SimPort sim;
  EXPECT_THAT(failed_start(app, sim), testing::HasSubstr("Limits::head_bytes"));
  limits = kLifeLimits;
  limits.exchanges = 0;
  App none(limits);
  EXPECT_THAT(failed_start(none, sim), testing::HasSubstr("Limits::exchanges"));
}

// Sums of sizes are right where they do not fit into 32 bits, and are said to be too much there.
TEST_F(Life, LimitsOfMoreMemoryThanThereCanBeAreNamed) {
  constexpr std::uint64_t kMost = UINT32_MAX / 2;  // of a system of 32 bits
  constexpr auto error = [](auto change) {
    Limits limits;
    change(limits);
    return limits.error(kMost);
  };
  using enum LimitsError;
  static_assert(Limits{}.error(kMost) == none);
  static_assert(error([](Limits& limits) { limits.exchanges = limits.streams = 1 << 16; }) ==
                memory_must_not_exceed_half_the_address_space);
  static_assert(error([](Limits& limits) { limits.exchanges = (1 << 20) + 1; }) ==
                exchanges_must_be_at_most_1_million);
  static_assert(error([](Limits& limits) { limits.streams = (1 << 20) + 1; }) ==
                streams_must_be_at_most_1_million);
  // Each of them as large as its type, where one more byte is 0.
  for (std::uint32_t Limits::*size :
       {&Limits::response_bytes, &Limits::arena_bytes, &Limits::routes, &Limits::handler_bytes,
        &Limits::stream_bytes, &Limits::max_body_length}) {
    EXPECT_EQ(error([size](Limits& limits) {
                limits.max_content_length = UINT64_MAX;
                limits.*size = UINT32_MAX;
              }),
              memory_must_not_exceed_half_the_address_space);
  }
  // The largest that there can be does not overflow on 64 bits, either.
  Limits all;
  all.max_content_length = UINT64_MAX;
  all.connections = all.exchanges = all.streams = 1 << 20;
  all.head_bytes = 65535;
  all.header_count = 4096;
  all.response_bytes = all.arena_bytes = all.routes = all.handler_bytes = all.stream_bytes =
      all.max_body_length = UINT32_MAX;
  EXPECT_EQ(all.error(INT64_MAX), none);
  EXPECT_GT(all.memory() / (1 << 20), 4 * std::uint64_t{UINT32_MAX});

  SimPort sim;
  Limits limits = kLifeLimits;
  limits.exchanges = UINT32_MAX;
  App app(limits);
  EXPECT_THAT(failed_start(app, sim), testing::HasSubstr("Limits::exchanges must be at most 1048576"));
}

TEST_F(Life, ARouteThatCanNotWorkIsNamed) {
  SimPort sim;
  App app(kLifeLimits);
  app.get(runtime("no-slash"), [](Request&) { return ""; });
  EXPECT_THAT(failed_start(app, sim), testing::HasSubstr("no-slash"));
}

TEST_F(Life, AListenerThatTheSystemRefusesIsAnError) {
  struct Faults final : SimFaults {
    Error on_listen(std::uint16_t) noexcept override { return error; }
    Error error = Error::permission;
  } faults;
  SimPort sim({.faults = &faults});
  EXPECT_THAT(failed_start(app_, sim), testing::HasSubstr(to_string(Error::permission)));
  faults.error = Error::none;
  expect_start(app_, sim);
}

TEST_F(Life, AFailedStartIsOneLineInTheLogHoweverItIsRun) {
  on_task_error(nullptr);
  const ServerOptions options{.host = "no.such.host", .port = kPort};
  const std::string once = "cannot listen on no.such.host:80: no such address or name\n";
  {
    SimPort sim;
    EXPECT_EQ(run(app_.start_server(options), sim), 1);
    EXPECT_EQ(sim.log_text(), once);
  }
  SimPort sim;
  const auto main_task = [&]() -> Task<int> {
    auto server = create_task("server", app_.start_server(options));
    co_await sleep_for(1s);
    EXPECT_EQ(server.done(), true);
    const TaskState end = co_await server;
    co_return end == TaskState::failed ? 3 : 0;
  };
  EXPECT_EQ(run(main_task(), sim), 3);
  EXPECT_EQ(sim.log_text(), once);
}

TEST_F(Life, AFailedStartIsToldToTheHandlerOfTaskErrors) {
  static std::string told;
  on_task_error([](const TaskError& error) {
    told.append(error.name).append(": ").append(error.reason).append(error.logged ? " (logged)" : "");
  });
  SimPort sim;
  const auto main_task = [&]() -> Task<> {
    create_task("server", app_.start_server({.host = "no.such.host", .port = kPort}));
    co_await sleep_for(1s);
  };
  EXPECT_EQ(run(main_task(), sim), 0);
  on_task_error(nullptr);
  EXPECT_EQ(told, "server: " + std::string(to_string(Error::invalid)) + " (logged)");
}

// Start

TEST_F(Life, AStartSaysWhereInOneLine) {
  const struct {
    const char* host;
    std::uint16_t port;
    const char* line;
  } cases[] = {{"127.0.0.1", 5000, "listening on http://127.0.0.1:5000/\n"},
               {"localhost", 80, "listening on http://127.0.0.1:80/\n"},
               {"0.0.0.0", 80, "listening on http://0.0.0.0:80/\n"},
               {"", 80, "listening on http://[::]:80/\n"},
               {"::1", 80, "listening on http://[::1]:80/\n"}};
  for (const auto& [host, port, line] : cases) {
    SimServer server(app_, {}, {.host = host, .port = port});
    EXPECT_EQ(server.log(), line);
  }
  SimServer server(app_, {}, {.host = "127.0.0.1", .port = 0});
  EXPECT_EQ(server.log(), "listening on http://127.0.0.1:" + std::to_string(app_.port()) + "/\n");
}

TEST_F(Life, TheLineThatSaysWhereIsInformation) {
  struct Levels final : public Port, public Log {
    Clock& clock() noexcept override { return sim.clock(); }
    Poller& poller() noexcept override { return sim.poller(); }
    Network& network() noexcept override { return sim.network(); }
    Files& files() noexcept override { return sim.files(); }
    Entropy& entropy() noexcept override { return sim.entropy(); }
    Log& log() noexcept override { return *this; }
    void write(LogLevel level, std::string_view) noexcept override { levels.push_back(level); }
    SimPort sim;
    std::vector<LogLevel> levels;
  } port;
  Loop loop(port);
  ServerRun run(app_, loop, {.host = "", .port = kPort});
  for (int i = 0; i < 5; ++i) loop.turn(Duration{0});
  EXPECT_EQ(port.levels, std::vector{LogLevel::info});
  app_.shutdown();
  for (int i = 0; i < 5; ++i) loop.turn(Duration{0});
}

// Shutdown

TEST_F(Life, ShutdownClosesIdleConnectionsAtOnceAndLetsActiveOnesFinish) {
  SimServer server(app_);
  SimClient idle = server.send(get("/"));
  SimClient silent = server.send("");
  SimClient active = server.send(get("/sleep/3"));
  app_.shutdown();
  server.settle();
  EXPECT_TRUE(idle.ended());
  EXPECT_TRUE(silent.ended());
  EXPECT_FALSE(active.closed());
  SimClient late = server.sim.connect(kPort);
  server.settle();
  EXPECT_TRUE(late.was_reset());
  EXPECT_FALSE(server.done());
  server.run_for(4s);
  EXPECT_EQ(body_of(active.received()), "slept");
  EXPECT_THAT(std::string(active.received()), testing::HasSubstr("Connection: close"));
  EXPECT_TRUE(active.ended());
  active.close();
  server.settle();
  EXPECT_TRUE(server.done());
}

TEST_F(Life, AServerThatDrainsServesOnAndSaysThatItIsToEnd) {
  SimServer server(app_, {}, {.host = "", .port = kPort, .drain = 2s});
  SimClient idle = server.send(get("/"));
  SimClient kept = server.send(get("/"));
  EXPECT_FALSE(app_.stats().draining);
  EXPECT_THAT(std::string(idle.received()), testing::Not(testing::HasSubstr("Connection: close")));
  idle.consume(idle.received().size());
  app_.shutdown();
  EXPECT_TRUE(app_.stats().draining);
  EXPECT_NE(app_.port(), 0);
  server.run_for(1s);
  EXPECT_EQ(app_.check(), nullptr);
  app_.shutdown();      // says nothing new: programs do so when they are asked to exit
  idle.send(get("/"));  // was idle when it began: nobody has told this client
  SimClient late = server.send(get("/"));
  for (SimClient* client : {&idle, &late}) {
    EXPECT_EQ(status_of(client->received()), 200);
    EXPECT_THAT(std::string(client->received()), testing::HasSubstr("Connection: close"));
    client->close();
  }
  server.run_for(900ms);
  EXPECT_FALSE(kept.ended());
  SimClient active = server.send(get("/sleep/3"));
  server.run_for(200ms);
  EXPECT_FALSE(app_.stats().draining);
  EXPECT_TRUE(kept.ended());
  SimClient refused = server.sim.connect(kPort);
  server.settle();
  EXPECT_TRUE(refused.was_reset());
  kept.close();
  server.run_for(3s);
  EXPECT_EQ(body_of(active.received()), "slept");
  active.close();
  server.settle();
  EXPECT_TRUE(server.done());
}

TEST_F(Life, ShutdownServesTheQueueAndEndsWhatIsLeftAtItsDeadline) {
  SimServer server(app_);
  SimClient quick = server.send(get("/sleep/1"));
  SimClient slow = server.send(get("/sleep/100"));
  SimClient queued = server.send(get("/"));
  SimClient half = server.sim.connect(kPort);
  half.send("GET / HT");
  server.settle();
  app_.shutdown();
  server.run_for(4900ms);
  EXPECT_EQ(status_of(quick.received()), 200);
  EXPECT_EQ(status_of(queued.received()), 200);
  EXPECT_FALSE(server.done());
  server.run_for(200ms);
  EXPECT_TRUE(server.done());
  EXPECT_TRUE(slow.was_reset());
  EXPECT_TRUE(half.was_reset());
}

TEST_F(Life, AHandlerMayShutTheServerDown) {
  app_.post("/shutdown", [](Request& req) {
    req.app.shutdown();
    return "The server is shutting down...";
  });
  SimServer server(app_);
  SimClient client = server.send(post("/shutdown", ""));
  EXPECT_EQ(body_of(client.received()), "The server is shutting down...");
  client.close();
  server.settle();
  EXPECT_TRUE(server.done());
}

TEST_F(Life, ShutdownLetsStreamsAndDownloadsFinish) {
  static const std::string kLarge = numbered(50'000);
  app_.get("/stream", [](Request&) -> Generator<std::string_view> {
    for (int i = 0; i < 3; ++i) {
      co_yield "x";
      co_await sleep_for(1s);
    }
  });
  app_.get("/file", [](Request&) { return send_file("large.txt"); });
  for (const bool refers : {false, true}) {
    SimServer server(app_, {.refers_to_written_bytes = refers});
    server.sim.add_file("large.txt", kLarge);
    SimClient stream = server.send(get("/stream"));
    SimClient file = server.sim.connect(kPort);
    file.set_receive_window(1000);
    file.send(get("/file"));
    server.settle();
    app_.shutdown();
    std::string got;
    for (int i = 0; i < 60; ++i) {
      got += file.received();
      file.consume(file.received().size());
      server.run_for(50ms);
    }
    got += file.received();
    EXPECT_EQ(body_of(got), kLarge);
    EXPECT_THAT(std::string(stream.received()), testing::EndsWith("0\r\n\r\n"));
    stream.close();
    file.close();
    server.run_for(100ms);
    EXPECT_TRUE(server.done());
  }
}

TEST_F(Life, TheDeadlineOfShutdownEndsStreamsDownloadsAndPeersThatReadNothing) {
  static const std::string kLarge = numbered(50'000);
  int alive = 0;
  app_.get("/stream", [&alive](Request& req) -> Generator<std::string_view> {
    ++alive;
    req.on_end([&alive] { --alive; });
    for (;;) {
      co_yield "x";
      co_await sleep_for(1s);
    }
  });
  app_.get("/file", [](Request&) { return send_file("large.txt"); });
  app_.get("/view", [](Request&) { return std::string_view(kLarge); });
  for (const bool refers : {false, true}) {
    SimServer server(app_, {.refers_to_written_bytes = refers});
    server.sim.add_file("large.txt", kLarge);
    SimClient stream = server.send(get("/stream"));
    std::vector<SimClient> clients;
    for (const char* path : {"/file", "/view", "/"}) {
      clients.push_back(server.sim.connect(kPort));
      clients.back().set_receive_window(20);
      clients.back().send(get(path, "Connection: close\r\n"));
    }
    server.settle();
    app_.shutdown();
    server.run_for(4900ms);
    EXPECT_FALSE(server.done());
    server.run_for(200ms);
    EXPECT_TRUE(server.done());
    EXPECT_TRUE(stream.was_reset());
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(server.sim.open_transports(), 0U);
    EXPECT_EQ(server.sim.open_files(), 0U);
  }
}

TEST_F(Life, CancellingTheTaskEndsEverythingAtOnce) {
  int ended = 0;
  app_.get("/hang", [&ended](Request& req) -> Task<Response> {
    req.on_end([&ended] { ++ended; });
    co_await sleep_for(1h);
    co_return Response("");
  });
  for (const bool refers : {false, true}) {
    ended = 0;
    SimServer server(app_, {.refers_to_written_bytes = refers});
    SimClient idle = server.send(get("/"));
    SimClient active = server.send(get("/hang"));
    SimClient half = server.send("GET");
    SimClient unread = server.sim.connect(kPort);
    unread.set_receive_window(1);
    unread.send(get("/"));
    server.settle();
    server.cancel();
    EXPECT_FALSE(app_.running());
    EXPECT_EQ(ended, 1);
    EXPECT_EQ(server.sim.open_transports(), 0U);
    server.settle();
    EXPECT_TRUE(active.was_reset());
    EXPECT_TRUE(idle.closed());
  }
  SimServer again(app_);
  EXPECT_EQ(body_of(again.exchange(get("/"))), "Hello");
}

TEST_F(Life, TheSystemHoldsNothingOfAServerThatHasEnded) {
  // Answers that are under way, and that the port refers to, on connections that are closed already.
  struct Faults final : SimFaults {
    Duration delay(unsigned, SimDirection direction) noexcept override {
      return direction == SimDirection::to_client ? Duration(1h) : Duration(0);
    }
  } faults;
  for (const bool cancel : {false, true}) {
    SimServer server(app_, {.refers_to_written_bytes = true, .faults = &faults});
    SimClient a = server.send(get("/sleep/100"));
    SimClient b = server.send(get("/sleep/100"));
    SimClient refused = server.send(get("/"));
    server.run_for(11s);
    EXPECT_EQ(server.stats().refused, 1U);
    refused.shutdown_write();
    server.settle();
    EXPECT_EQ(server.stats().connections, 3U);  // not released yet
    if (cancel) {
      server.cancel();
    } else {
      app_.shutdown();
      server.run_for(6s);
      EXPECT_TRUE(server.done());
    }
    EXPECT_EQ(server.sim.open_transports(), 0U);
  }
}

// Programs

TEST_F(Life, TheFirstExitSignalEndsTheProgramGracefully) {
  SimPort sim;
  SimClient client;
  bool told = false;
  const auto program = [&]() -> Task<> {
    auto server = create_task(app_.start_server({.host = "", .port = kPort}));
    co_await sleep_for(10ms);
    client = sim.connect(kPort);
    client.send(get("/sleep/2"));
    co_await sleep_for(10ms);
    sim.raise_exit_signal();
    co_await sleep_for(10ms);
    told = static_cast<bool>(exit_requested());
    co_await server;
  };
  EXPECT_EQ(microdot::run(program(), sim), 0);
  EXPECT_TRUE(told);
  EXPECT_EQ(body_of(client.received()), "slept");
  client = {};
  EXPECT_EQ(microdot::run(app_.start_server({.host = "no.such.host", .port = kPort}), sim), 1);
}

TEST_F(Life, TheSecondExitSignalEndsItAtOnce) {
  SimPort sim;
  SimClient client;
  int ended = 0;
  app_.get("/hang", [&ended](Request& req) -> Task<Response> {
    req.on_end([&ended] { ++ended; });
    co_await sleep_for(1h);
    co_return Response("");
  });
  const auto program = [&]() -> Task<> {
    create_task(app_.start_server({.host = "", .port = kPort}));
    co_await sleep_for(10ms);
    client = sim.connect(kPort);
    client.send(get("/hang"));
    co_await sleep_for(10ms);
    sim.raise_exit_signal();
    co_await sleep_for(10ms);
    sim.raise_exit_signal();
    co_await sleep_for(1h);
  };
  EXPECT_EQ(microdot::run(program(), sim), 130);
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(sim.open_transports(), 0U);
  client = {};
}

TEST_F(Life, AProgramThatEndsWhileRequestsRunEndsThem) {
  SimPort sim;
  SimClient client;
  int ended = 0;
  app_.get("/hang", [&ended](Request& req) -> Task<Response> {
    req.on_end([&ended] { ++ended; });
    co_await sleep_for(1h);
    co_return Response("");
  });
  const auto program = [&]() -> Task<int> {
    create_task(app_.start_server({.host = "", .port = kPort}));
    co_await sleep_for(10ms);
    client = sim.connect(kPort);
    client.send(get("/hang"));
    co_await sleep_for(10ms);
    co_return 7;
  };
  EXPECT_EQ(microdot::run(program(), sim), 7);
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(sim.open_transports(), 0U);
  client = {};
}

TEST_F(Life, AProgramThatForgetsToWaitForItsServerIsToldSo) {
  const std::string told = "the main task has ended, and did not wait for the server: it ends, too\n";
  const auto forgets = [&](Duration time) -> Task<int> {
    create_task("server", app_.start_server({.host = "", .port = kPort}));
    if (time != Duration{0}) co_await sleep_for(time);
    co_return 0;
  };
  for (const Duration time : {Duration{0}, Duration(10ms)}) {
    SimPort sim;
    EXPECT_EQ(microdot::run(forgets(time), sim), 0);
    EXPECT_THAT(std::string(sim.log_text()), testing::EndsWith(told));
  }
  SimPort sim;
  const auto waits = [&]() -> Task<int> {
    auto server = create_task("server", app_.start_server({.host = "", .port = kPort}));
    co_await sleep_for(10ms);
    app_.shutdown();
    co_await server;
    co_return 0;
  };
  EXPECT_EQ(microdot::run(waits(), sim), 0);
  EXPECT_THAT(std::string(sim.log_text()), testing::Not(testing::HasSubstr("main task")));
  sim.clear_log();
  const auto exits = [&]() -> Task<int> {
    create_task("server", app_.start_server({.host = "", .port = kPort}));
    co_await sleep_for(10ms);
    sim.raise_exit_signal();
    co_await sleep_for(10ms);
    co_return 0;
  };
  EXPECT_EQ(microdot::run(exits(), sim), 0);
  EXPECT_THAT(std::string(sim.log_text()), testing::Not(testing::HasSubstr("main task")));
}

// What the log says

TEST_F(Life, DebugLogsOneLineForEachRequest) {
  app_.post("/echo", [](Request& req) { return Response(req.body(), 201); });
  SimServer server(app_, {}, {.host = "", .port = kPort, .debug = true});
  server.sim.clear_log();
  server.exchange(get("/?q=1") + post("/echo", "12345") + get("/none"));
  EXPECT_EQ(server.log(),
            "127.0.0.1 GET /?q=1 200 5\n127.0.0.1 POST /echo 201 5\n127.0.0.1 GET /none 404 9\n");
  server.sim.clear_log();
  server.exchange("GET / HTTP/1.1\r\nHost : a\r\n\r\n");
  EXPECT_THAT(server.log(), testing::AllOf(testing::HasSubstr("bad request"), testing::HasSubstr("400")));
  server.sim.clear_log();
  server.exchange(get("/" + std::string(300, 'x')));
  EXPECT_THAT(server.log(), testing::EndsWith(" 404 9\n"));  // the outcome has room
}

TEST_F(Life, WithoutDebugRequestsAreNotLogged) {
  SimServer server(app_);
  server.sim.clear_log();
  server.exchange(get("/"));
  server.exchange("bad\r\n\r\n");
  EXPECT_EQ(server.log(), "");
}

}  // namespace
}  // namespace microdot_test
