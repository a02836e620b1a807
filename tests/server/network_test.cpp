/// A network that goes away and comes back, and a system that is short of what connections need: the server
/// listens on, and the hooks are told.

#include <algorithm>
#include <optional>

#include "sim_server.hpp"

namespace microdot_test {
namespace {

constexpr Limits kListeningLimits{.connections = 8,
                                  .exchanges = 2,
                                  .head_bytes = 512,
                                  .response_bytes = 512,
                                  .arena_bytes = 4096,
                                  .write_timeout = 30s,
                                  .shutdown_timeout = 5s};

/// Fails as it is told, and notes when it was asked.
class ListenerFaults final : public SimFaults {
 public:
  Error on_listen(std::uint16_t port) noexcept override {
    ports.push_back(port);
    return ask(listen);
  }
  Error on_accept(unsigned) noexcept override {
    if (sim != nullptr && sim->open_transports() >= descriptors) return ask(Error::no_descriptors);
    return ask(accept);
  }
  /// Milliseconds between one time it was asked and the next.
  std::vector<double> pauses() const {
    std::vector<double> pauses;
    for (std::size_t i = 1; i < times.size(); ++i) {
      pauses.push_back(std::chrono::duration<double, std::milli>(times[i] - times[i - 1]).count());
    }
    return pauses;
  }

  Error listen = Error::none;
  Error accept = Error::none;
  SimPort* sim = nullptr;
  std::size_t descriptors = SIZE_MAX;  // for connections
  std::vector<TimePoint> times;
  std::vector<std::uint16_t> ports;

 private:
  Error ask(Error error) noexcept {
    if (sim != nullptr) times.push_back(sim->clock().now());
    return error;
  }
};

std::vector<std::string>& task_errors() {
  static std::vector<std::string> errors;
  return errors;
}

class Listening : public testing::Test {
 protected:
  Listening() : app_(kListeningLimits) {
    app_.get("/", [](Request&) { return "Hello"; });
    app_.get("/large", [](Request&) { return std::string_view(large()); });
    task_errors().clear();
    on_task_error([](const TaskError& error) {
      task_errors().push_back(std::string(error.name) + ": " + std::string(error.reason));
    });
  }
  ~Listening() override { on_task_error(nullptr); }

  static const std::string& large() {
    static const std::string text = numbered(100'000);
    return text;
  }
  void note_network() {
    app_.on_network_lost([this] { note("lost"); });
    app_.on_network_up([this] { note("up"); });
  }
  void note(std::string_view what) { notes_ += notes_.empty() ? std::string(what) : " " + std::string(what); }

  App app_;
  std::string notes_;
};

/// What the listener said; the tiers have lines of their own.
long lines_in(std::string_view log) {
  long count = 0;
  for (std::size_t at = log.find("port "); at != std::string_view::npos; at = log.find("\nport ", at + 1))
    ++count;
  return count;
}

constexpr double kPauses[] = {100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000};

void expect_growing(const std::vector<double>& pauses) {
  ASSERT_GE(pauses.size(), std::size(kPauses));
  for (std::size_t i = 0; i < std::size(kPauses); ++i) {
    EXPECT_GE(pauses[i], kPauses[i] * 0.749) << i;
    EXPECT_LE(pauses[i], kPauses[i] * 1.251) << i;
  }
}

// Short of descriptors or memory

TEST_F(Listening, PausesGrowWithFailuresAndAreForgottenAfterASuccess) {
  for (const Error error : {Error::no_descriptors, Error::no_memory, Error::permission}) {
    ListenerFaults faults;
    SimServer server(app_, {.faults = &faults});
    server.sim.clear_log();
    faults.sim = &server.sim;
    for (int round = 0; round < 2; ++round) {
      faults.times.clear();
      faults.accept = error;
      SimClient client = server.send(get("/"));
      server.run_for(40s);
      EXPECT_FALSE(client.accepted());
      expect_growing(faults.pauses());
      EXPECT_LT(faults.times.size(), 20U);
      faults.accept = Error::none;
      server.run_for(7s);
      EXPECT_EQ(body_of(client.received()), "Hello");
      client.close();
      server.settle();
    }
    EXPECT_EQ(lines_in(server.log()), 4) << server.log();  // one when it begins and one when it is over
    EXPECT_THAT(server.log(), testing::HasSubstr(to_string(error)));
  }
}

TEST_F(Listening, PausesDifferFromOneDeviceToTheNext) {
  std::vector<double> first;
  for (const std::uint64_t seed : {1U, 2U}) {
    ListenerFaults faults;
    SimServer server(app_, {.seed = seed, .faults = &faults});
    faults.sim = &server.sim;
    faults.accept = Error::no_memory;
    SimClient client = server.send(get("/"));
    server.run_for(20s);
    if (seed == 2) {
      EXPECT_NE(faults.pauses(), first);
    }
    first = faults.pauses();
  }
}

TEST_F(Listening, AnswersSayCloseWhileItPauses) {
  ListenerFaults faults;
  SimServer server(app_, {.faults = &faults});
  SimClient client = server.send(get("/"));
  EXPECT_THAT(std::string(client.received()), testing::Not(testing::HasSubstr("Connection: close")));
  faults.accept = Error::no_memory;
  SimClient waiting = server.send(get("/"));
  client.send(get("/"));
  server.settle();
  EXPECT_EQ(answers_in(client.received()), 2);
  EXPECT_THAT(std::string(client.received()), testing::HasSubstr("Connection: close"));
}

TEST_F(Listening, AConnectionThatClosesLetsTheNextOneInAtOnce) {
  app_.get("/wait", [](Request&) -> Task<Response> {
    co_await sleep_for(3s);
    co_return Response("waited");
  });
  ListenerFaults faults;
  faults.descriptors = 1;
  SimServer server(app_, {.faults = &faults});
  faults.sim = &server.sim;
  SimClient active = server.send(get("/wait", "Connection: close\r\n"));
  SimClient waiting = server.send(get("/"));
  // By now the pauses are of 1.6 s.
  server.run_for(2900ms);
  EXPECT_FALSE(waiting.accepted());
  EXPECT_LT(faults.times.size(), 8U);
  const TimePoint before = server.sim.clock().now();
  while (!active.ended()) server.loop.turn(1s);
  active.close();
  server.settle();
  EXPECT_EQ(body_of(waiting.received()), "Hello");
  EXPECT_LE(server.sim.clock().now() - before, 150ms);
}

TEST_F(Listening, TriesInBetweenDoNotMakeThePauseLonger) {
  ListenerFaults faults;
  SimServer server(app_, {.faults = &faults});
  std::vector<SimClient> leaving;
  for (int i = 0; i < 7; ++i) leaving.push_back(server.send(get("/")));
  faults.sim = &server.sim;
  faults.accept = Error::no_memory;
  SimClient waiting = server.send(get("/"));
  for (SimClient& client : leaving) {
    client.close();
    server.run_for(5ms);
  }
  EXPECT_EQ(faults.times.size(), 8U);
  faults.accept = Error::none;
  server.run_for(100ms);  // the first pause is over, whatever was tried meanwhile
  EXPECT_EQ(body_of(waiting.received()), "Hello");
}

TEST_F(Listening, AHundredClientsAreServedWithOneDescriptor) {
  ListenerFaults faults;
  faults.descriptors = 1;
  SimServer server(app_, {.faults = &faults});
  faults.sim = &server.sim;
  const TimePoint before = server.sim.clock().now();
  std::vector<SimClient> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(server.sim.connect(kPort));
    clients.back().send(get("/"));  // they would all keep their connections
  }
  for (int i = 0; i < 20; ++i) server.settle();
  for (SimClient& client : clients) EXPECT_EQ(body_of(client.received()), "Hello");
  EXPECT_LT(server.sim.clock().now() - before, 100ms);  // idle ones make room, nobody waits for a timer
  EXPECT_LE(server.sim.open_transports(), 1U);
}

TEST_F(Listening, OneThatIsIdleMakesRoomForANewcomer) {
  ListenerFaults faults;
  faults.descriptors = 2;
  SimServer server(app_, {.faults = &faults});
  faults.sim = &server.sim;
  SimClient oldest = server.send(get("/"));
  SimClient older = server.send(get("/"));
  SimClient newcomer = server.send(get("/"));
  EXPECT_TRUE(oldest.ended());
  EXPECT_FALSE(older.closed());
  EXPECT_EQ(body_of(newcomer.received()), "Hello");
}

TEST_F(Listening, DescriptorsThatOthersTakeCostNoMoreThanOneConnection) {
  ListenerFaults faults;
  SimServer server(app_, {.faults = &faults});
  faults.sim = &server.sim;
  std::vector<SimClient> idle;
  for (int i = 0; i < 5; ++i) idle.push_back(server.send(get("/")));
  faults.accept = Error::no_descriptors;  // however many connections are closed
  SimClient newcomer = server.send(get("/"));
  server.run_for(30s);
  EXPECT_EQ(server.stats().evicted, 1U);
  EXPECT_EQ(server.stats().connections, 4U);
  for (std::size_t i = 1; i < idle.size(); ++i) EXPECT_FALSE(idle[i].closed());
  faults.accept = Error::none;
  server.run_for(7s);
  EXPECT_EQ(body_of(newcomer.received()), "Hello");
  EXPECT_EQ(server.stats().evicted, 1U);
  // The next time room may be made again.
  faults.accept = Error::no_descriptors;
  SimClient next = server.send(get("/"));
  server.run_for(10s);
  EXPECT_EQ(server.stats().evicted, 2U);
}

// Nothing is idle at first; the first that is makes room.
TEST_F(Listening, WhoBecomesIdleWhileOthersTakeDescriptorsMakesRoomOnce) {
  app_.get("/sleep/<int:seconds>", [](Request&, int seconds) -> Task<Response> {
    co_await sleep_for(std::chrono::seconds(seconds));
    co_return Response("slept");
  });
  ListenerFaults faults;
  faults.descriptors = 2;
  SimServer server(app_, {.faults = &faults});
  faults.sim = &server.sim;
  SimClient one = server.send(get("/sleep/1"));
  SimClient two = server.send(get("/sleep/2"));
  SimClient newcomer = server.send(get("/"));
  server.run_for(500ms);
  EXPECT_EQ(server.stats().evicted, 0U);
  server.run_for(1600ms);
  EXPECT_EQ(status_of(one.received()), 200);
  EXPECT_EQ(body_of(newcomer.received()), "Hello");
}

TEST_F(Listening, ShutdownEndsAPause) {
  ListenerFaults faults;
  faults.accept = Error::no_memory;
  SimServer server(app_, {.faults = &faults});
  SimClient client = server.send(get("/"));
  server.run_for(3s);
  app_.shutdown();
  server.settle();
  EXPECT_TRUE(server.done());
  EXPECT_TRUE(client.was_reset());
}

// A listener that fails

TEST_F(Listening, AListenerThatFailsIsReplacedOnTheSamePort) {
  note_network();
  for (const Error error : {Error::io, Error::invalid, Error::network_down, Error::address_unavailable}) {
    notes_.clear();
    ListenerFaults faults;
    SimServer server(app_, {.faults = &faults}, {.host = "127.0.0.1", .port = 0});
    server.sim.clear_log();
    const std::uint16_t port = app_.port();
    ASSERT_NE(port, 0);
    SimClient idle = server.sim.connect(port);
    idle.send(get("/"));
    server.settle();
    faults.accept = error;
    SimClient client = server.sim.connect(port);
    client.send(get("/"));
    server.settle();
    EXPECT_TRUE(client.was_reset());  // the backlog went with the listener
    EXPECT_EQ(notes_, "lost");
    EXPECT_EQ(app_.port(), port);
    EXPECT_TRUE(app_.running());
    faults.accept = Error::none;
    server.run_for(130ms);
    EXPECT_EQ(notes_, "lost up");
    EXPECT_EQ(faults.ports, (std::vector<std::uint16_t>{0, port}));
    EXPECT_EQ(app_.port(), port);
    client = server.sim.connect(port);
    client.send(get("/"));
    idle.send(get("/"));  // was not concerned
    server.settle();
    EXPECT_EQ(body_of(client.received()), "Hello");
    EXPECT_EQ(answers_in(idle.received()), 2);
    EXPECT_EQ(lines_in(server.log()), 2) << server.log();
  }
}

TEST_F(Listening, ALongAddressWithItsInterfaceIsListenedOnAgain) {
  ListenerFaults faults;
  SimServer server(app_, {.faults = &faults},
                   {.host = "fe80:0000:0000:0000:0000:0000:0000:0001%sim-interface-0", .port = kPort});
  EXPECT_EQ(body_of(server.exchange(get("/"))), "Hello");
  faults.accept = Error::io;
  server.send(get("/"));
  faults.accept = Error::none;
  server.run_for(1s);
  EXPECT_EQ(faults.ports.size(), 2U);
  EXPECT_EQ(body_of(server.exchange(get("/"))), "Hello");
}

TEST_F(Listening, ItListensAgainForAsLongAsItTakes) {
  note_network();
  ListenerFaults faults;
  SimServer server(app_, {.faults = &faults});
  server.sim.clear_log();
  faults.accept = Error::io;
  faults.listen = Error::address_in_use;
  faults.sim = &server.sim;
  SimClient client = server.send(get("/"));
  server.run_for(1h);
  expect_growing(faults.pauses());
  EXPECT_GT(faults.times.size(), 3600U / 5 * 9 / 10);
  EXPECT_LT(faults.times.size(), 3600U / 5 * 11 / 10 + 10);
  EXPECT_EQ(notes_, "lost");
  EXPECT_EQ(lines_in(server.log()), 1) << server.log();
  faults.accept = faults.listen = Error::none;
  server.run_for(6300ms);
  EXPECT_EQ(notes_, "lost up");
  EXPECT_EQ(body_of(server.exchange(get("/"))), "Hello");
  EXPECT_EQ(lines_in(server.log()), 2) << server.log();
}

TEST_F(Listening, AListenerThatFailsAgainAndAgainIsNotOpenedWithoutPause) {
  ListenerFaults faults;
  SimServer server(app_, {.faults = &faults});
  faults.accept = Error::io;
  std::optional<SimClient> client;
  for (int i = 0; i < 600; ++i) {
    client.emplace(server.send(get("/")));
    server.run_for(100ms);
  }
  EXPECT_LT(faults.ports.size(), 30U);  // of a minute
}

TEST_F(Listening, ShutdownAndCancelEndTheWaitForAListener) {
  for (const bool cancel : {false, true}) {
    ListenerFaults faults;
    SimServer server(app_, {.faults = &faults});
    faults.accept = Error::io;
    faults.listen = Error::no_memory;
    server.send(get("/"));
    server.run_for(3s);
    ASSERT_TRUE(app_.running());
    if (cancel) {
      server.cancel();
      EXPECT_FALSE(app_.running());
      continue;
    }
    app_.shutdown();
    server.settle();
    EXPECT_TRUE(server.done());
  }
}

// The interface and the address

TEST_F(Listening, AnInterfaceThatGoesDownStallsAndLosesNothing) {
  note_network();
  SimServer server(app_, {.receive_window = 10'000});
  server.sim.clear_log();
  SimClient idle = server.send(get("/"));
  SimClient download = server.send(get("/large"));
  std::string got(download.received());
  download.consume(got.size());
  server.sim.set_network(false);
  server.settle();
  EXPECT_EQ(notes_, "lost");
  EXPECT_EQ(app_.port(), kPort);
  SimClient knocks = server.send(get("/"));
  idle.send(get("/"));
  server.run_for(20s);
  EXPECT_EQ(answers_in(idle.received()), 1);
  EXPECT_FALSE(knocks.closed());
  EXPECT_EQ(lines_in(server.log()), 1) << server.log();

  server.sim.set_network(true);
  server.settle();  // the news, not the pause, brings it back
  EXPECT_EQ(notes_, "lost up");
  EXPECT_EQ(body_of(knocks.received()), "Hello");
  EXPECT_EQ(answers_in(idle.received()), 2);
  for (int i = 0; i < 20; ++i) {
    got += download.received();
    download.consume(download.received().size());
    server.settle();
  }
  EXPECT_TRUE(body_of(got) == large());
  EXPECT_EQ(lines_in(server.log()), 2) << server.log();
}

TEST_F(Listening, ConnectionsThatAreLostWithTheNetworkAreClosedInTime) {
  SimServer server(app_, {.receive_window = 1'000});
  SimClient download = server.send(get("/large"));
  server.sim.set_network(false);
  server.run_for(31s);
  EXPECT_EQ(server.stats().connections, 0U);
  server.sim.set_network(true);
  server.settle();
  EXPECT_EQ(body_of(server.exchange(get("/"))), "Hello");
}

TEST_F(Listening, AnAddressThatGoesIsWaitedFor) {
  note_network();
  SimServer server(app_, {}, {.host = "10.0.0.1", .port = 0});
  const std::uint16_t port = app_.port();
  const auto connect = [&] {
    SimClient client = server.sim.connect(port);
    client.send(get("/"));
    server.settle();
    return client;
  };
  SimClient idle = connect();
  server.sim.set_address("10.0.0.2");
  server.settle();
  EXPECT_EQ(notes_, "lost");
  EXPECT_TRUE(idle.was_reset());
  EXPECT_EQ(server.stats().connections, 0U);
  server.run_for(1min);
  EXPECT_TRUE(connect().was_reset());
  EXPECT_EQ(app_.port(), port);
  EXPECT_EQ(notes_, "lost");

  server.sim.set_address("10.0.0.1");
  server.settle();
  EXPECT_EQ(notes_, "lost up");
  EXPECT_EQ(body_of(connect().received()), "Hello");
}

TEST_F(Listening, AWildcardIsLostWithTheLastAddressAndTakesTheNext) {
  note_network();
  for (const char* host : {"0.0.0.0", ""}) {
    notes_.clear();
    SimServer server(app_, {}, {.host = host, .port = kPort});
    server.sim.set_address("10.0.0.1");
    server.sim.set_address("10.0.0.2");
    server.settle();
    EXPECT_EQ(notes_, "") << host;  // one for another
    server.sim.set_address("");
    server.settle();
    EXPECT_EQ(notes_, "lost") << host;
    EXPECT_EQ(body_of(server.exchange(get("/"))), "Hello");  // on the loopback
    server.sim.set_address("10.0.0.3");
    server.settle();
    EXPECT_EQ(notes_, "lost up") << host;
    EXPECT_EQ(body_of(server.exchange(get("/"))), "Hello");
  }
}

TEST_F(Listening, WhatWasNotThereAtTheStartIsNotLost) {
  note_network();
  SimPort sim;
  sim.set_address("");
  Loop loop(sim);
  ServerRun run(app_, loop, {.host = "0.0.0.0", .port = kPort});
  for (int i = 0; i < 10; ++i) loop.turn(Duration{0});
  EXPECT_EQ(notes_, "");
  sim.set_address("10.0.0.1");
  for (int i = 0; i < 10; ++i) loop.turn(Duration{0});
  EXPECT_EQ(notes_, "");
  sim.set_address("");
  for (int i = 0; i < 10; ++i) loop.turn(Duration{0});
  EXPECT_EQ(notes_, "lost") << sim.log_text();
  app_.shutdown();
  for (int i = 0; i < 10; ++i) loop.turn(Duration{0});
  EXPECT_TRUE(run.done());
}

// Hooks

TEST_F(Listening, HooksRunOneAtATimeInOrder) {
  const auto slow = [this](std::string_view begin, std::string_view end) -> Task<> {
    note(begin);
    co_await sleep_for(1s);
    note(end);
  };
  app_.on_network_lost([&]() -> Task<> { co_await slow("lost1", "/1"); });
  app_.on_network_lost([this] { note("lost2"); });
  app_.on_network_lost([&]() -> Task<> { co_await slow("lost3", "/3"); });
  app_.on_network_up([&]() -> Task<> { co_await slow("up", "/up"); });
  SimServer server(app_);
  server.sim.set_network(false);
  server.run_for(100ms);
  server.sim.set_network(true);  // while the first hook runs
  server.settle();
  EXPECT_EQ(notes_, "lost1");
  server.run_for(1s);
  EXPECT_EQ(notes_, "lost1 /1 lost2 lost3");
  server.run_for(1s);
  EXPECT_EQ(notes_, "lost1 /1 lost2 lost3 /3 up");
  server.run_for(1s);
  EXPECT_EQ(notes_, "lost1 /1 lost2 lost3 /3 up /up");
}

TEST_F(Listening, WhatCameAndWentWhileAHookRanIsNotTold) {
  app_.on_network_lost([this]() -> Task<> {
    note("lost");
    co_await sleep_for(10s);
  });
  app_.on_network_up([this] { note("up"); });
  SimServer server(app_);
  for (int i = 0; i < 7; ++i) {
    server.sim.set_network(i % 2 != 0);
    server.run_for(100ms);
  }
  server.run_for(20s);
  EXPECT_EQ(notes_, "lost");
  server.sim.set_network(true);
  server.settle();
  EXPECT_EQ(notes_, "lost up");
}

TEST_F(Listening, AHookThatFailsIsReportedAndHarmsNothing) {
  app_.on_network_lost([]() -> Task<> { co_await abort(500, "no modem"); });
#if MICRODOT_EXCEPTIONS
  app_.on_network_lost([] { throw std::runtime_error("no lease"); });
#endif
  note_network();
  SimServer server(app_);
  server.sim.set_network(false);
  server.settle();
  server.sim.set_network(true);
  server.settle();
  EXPECT_EQ(notes_, "lost up");
  EXPECT_EQ(body_of(server.exchange(get("/"))), "Hello");
  std::vector<std::string> expected = {"on_network_lost: no modem"};
#if MICRODOT_EXCEPTIONS
  expected.push_back("on_network_lost: no lease");
#endif
  EXPECT_EQ(task_errors(), expected);
}

TEST_F(Listening, AHookThatNeverEndsIsEndedWithTheServer) {
  for (const bool cancel : {false, true}) {
    App app(kListeningLimits);
    app.get("/", [](Request&) { return "Hello"; });
    bool ended = false;
    bool up = false;
    app.on_network_lost([&ended]() -> Task<> {
      struct AtEnd {
        bool& ended;
        ~AtEnd() { ended = true; }
      } at_end{ended};
      co_await sleep_for(24h);
    });
    app.on_network_up([&up] { up = true; });
    SimServer server(app);
    server.sim.set_network(false);
    server.settle();
    server.sim.set_network(true);
    server.settle();
    EXPECT_EQ(body_of(server.exchange(get("/"))), "Hello");  // all goes on
    EXPECT_FALSE(up);
    EXPECT_FALSE(ended);
    if (cancel) {
      server.cancel();
    } else {
      app.shutdown();
      server.settle();
      EXPECT_TRUE(server.done());
    }
    EXPECT_TRUE(ended);
    EXPECT_FALSE(up);
  }
}

TEST_F(Listening, AHookMayShutTheServerDown) {
  app_.on_network_lost([this] { app_.shutdown(); });
  app_.on_network_lost([this] { note("too late"); });
  SimServer server(app_);
  server.sim.set_network(false);
  server.settle();
  EXPECT_TRUE(server.done());
  EXPECT_EQ(notes_, "");
}

StaticApp<Limits{.connections = 2, .exchanges = 1, .handler_bytes = 1024}> app_with_hooks;

TEST_F(Listening, HooksOfAStaticAppLieInItsRegistry) {
  static int lost = 0;
  static int up = 0;
  app_with_hooks.on_network_lost([] { ++lost; });
  app_with_hooks.on_network_up([]() -> Task<> {
    co_await sleep_for(1s);
    ++up;
  });
  SimServer server(app_with_hooks);
  for (int i = 1; i <= 50; ++i) {
    server.sim.set_network(false);
    server.settle();
    server.sim.set_network(true);
    server.run_for(2s);
    EXPECT_EQ(lost, i);
    EXPECT_EQ(up, i);
  }
}

}  // namespace
}  // namespace microdot_test
