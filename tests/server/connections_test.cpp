/// Many connections, few exchanges: who waits, who goes, and when time is up.

#include <array>

#include "sim_server.hpp"

namespace microdot_test {
namespace {

constexpr Limits kConnectionsLimits{.connections = 4,
                                    .exchanges = 2,
                                    .when_full = WhenFull::wait,
                                    .head_bytes = 512,
                                    .response_bytes = 512,
                                    .arena_bytes = 4096,
                                    .head_timeout = 10s,
                                    .body_timeout = 20s,
                                    .write_timeout = 30s,
                                    .body_rate = 0,
                                    .write_rate = 0,
                                    .keep_alive_timeout = 60s,
                                    .queue_timeout = 5s,
                                    .handler_timeout = 40s};

// Who was just answered keeps the connection for a quarter of a second; it is looked for ten times a second.
constexpr Duration kSoon = 350ms;

class Connections : public testing::Test {
 protected:
  Connections() : Connections(kConnectionsLimits) {}
  explicit Connections(const Limits& limits) : app_(limits) {
    app_.get("/", [](Request&) { return "Hello"; });
    app_.get("/sleep/<int:seconds>", [this](Request&, int seconds) -> Task<Response> {
      order_ += std::to_string(seconds) + " ";
      co_await sleep_for(std::chrono::seconds(seconds));
      co_return Response("slept");
    });
    app_.post("/echo", [](Request& req) { return Response(req.body()); });
    app_.post("/stream", [](Request& req) -> Task<Response> {
      for (;;) {
        const auto part = co_await req.stream().next();
        if (!part) co_return Response(to_string(part.error()), 400);
        if (part->empty()) break;
      }
      co_await sleep_for(25s);  // longer than the time between parts of a body, shorter than a handler's
      co_return Response("read");
    });
  }
  App app_;
  std::string order_;
};

TEST_F(Connections, AreKeptForFurtherRequestsAndClosedWhenIdleForTooLong) {
  SimServer server(app_);
  SimClient client = server.send(get("/"));
  for (int i = 0; i < 3; ++i) {
    server.run_for(59s);
    EXPECT_FALSE(client.closed());
    client.send(get("/"));
    server.settle();
  }
  EXPECT_EQ(answers_in(client.received()), 4);
  EXPECT_EQ(server.stats().accepted, 1U);
  server.run_for(59s);
  EXPECT_FALSE(client.closed());
  server.run_for(2s);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(answers_in(client.received()), 4);  // no 408 for a request that was never begun
  server.expect_clean("after the timeout");
}

TEST_F(Connections, ThatSendNothingAreClosedWithoutAnAnswer) {
  SimServer server(app_);
  SimClient client = server.send("");
  server.run_for(9s);
  EXPECT_FALSE(client.closed());
  server.run_for(2s);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(client.received(), "");
}

TEST_F(Connections, AHeadThatTakesTooLongIs408HoweverItDribbles) {
  SimServer server(app_);
  SimClient client = server.send("G");
  for (int i = 0; i < 9; ++i) {
    server.run_for(1s);
    client.send("x");
  }
  server.settle();
  EXPECT_EQ(client.received(), "");
  server.run_for(2s);
  EXPECT_EQ(status_of(client.received()), 408);
  EXPECT_TRUE(client.ended());
}

TEST_F(Connections, ABadHeadIsAnsweredAsAWholeAndTheConnectionClosed) {
  const std::string long_line(5000, 'x');
  const std::pair<std::string, std::string_view> heads[] = {
      {"GET / HTTP/1.1\r\n\r\n", "400 Bad Request"},
      {"GET /" + long_line + " HTTP/1.1\r\nHost: a\r\n\r\n", "414 URI Too Long"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: " + long_line + "\r\n\r\n", "431 Request Header Fields Too Large"},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501 Not Implemented"},
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505 HTTP Version Not Supported"},
  };
  SimServer server(app_);
  for (const auto& [head, status] : heads) {
    SimClient client = server.send(head);
    server.run_for(3s);
    EXPECT_EQ(client.received(),
              std::string("HTTP/1.1 ").append(status) + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(client.ended()) << status;
  }
}

TEST_F(Connections, AHeadThatIsCompleteInTheLastMomentIsServed) {
  SimServer server(app_);
  SimClient client = server.send("GET / HTTP/1.1\r\n");
  server.run_for(Duration(10s) - 1us);
  client.send("Host: a\r\n\r\n");
  server.sim.advance(1s);  // the bytes and the deadline come in the same turn
  server.settle();
  EXPECT_EQ(status_of(client.received()), 200);
}

TEST_F(Connections, ABodyMayTakeLongButNotPause) {
  SimServer server(app_);
  const std::string request = post("/echo", "0123456789");
  SimClient client = server.send(std::string_view(request).substr(0, request.size() - 10));
  for (int i = 0; i < 9; ++i) {
    server.run_for(19s);
    client.send("x");
    server.settle();
  }
  EXPECT_EQ(client.received(), "");
  SimClient pausing = server.send(std::string_view(request).substr(0, request.size() - 1));
  server.run_for(19s);
  client.send("y");
  server.settle();
  EXPECT_EQ(body_of(client.received()), "xxxxxxxxxy");
  EXPECT_EQ(pausing.received(), "");
  server.run_for(2s);
  EXPECT_EQ(status_of(pausing.received()), 408);
  EXPECT_TRUE(pausing.ended());
}

TEST_F(Connections, AHandlerThatHasReadTheBodyHasItsOwnTime) {
  Limits limits = kConnectionsLimits;
  limits.max_content_length = 16 * 1024;
  limits.max_body_length = 16;
  for (const Milliseconds timeout : {Milliseconds(40s), Milliseconds(0s)}) {
    limits.handler_timeout = timeout;
    App app(limits);
    app.post("/stream", [](Request& req) -> Task<Response> {
      while (true) {
        const auto part = co_await req.stream().next();
        if (!part || part->empty()) break;
      }
      co_await sleep_for(39s);
      co_return Response("read");
    });
    SimServer server(app);
    const std::string request = post("/stream", std::string(500, 'x'));
    SimClient client = server.send(std::string_view(request).substr(0, request.size() - 100));
    server.run_for(10s);
    client.send(std::string(100, 'x'));
    server.run_for(40s);
    EXPECT_EQ(body_of(client.received()), "read") << client.received();
  }
}

TEST_F(Connections, AHandlerThatTakesTooLongIs503AndItsLocalsAreDestroyed) {
  int ended = 0;
  app_.get("/hang", [&](Request& req) -> Task<Response> {
    req.on_end([&ended] { ++ended; });
    co_await sleep_for(1h);
    co_return Response("");
  });
  SimServer server(app_);
  SimClient client = server.send(get("/hang"));
  server.run_for(39s);
  EXPECT_EQ(client.received(), "");
  server.run_for(2s);
  EXPECT_EQ(status_of(client.received()), 503);
  EXPECT_EQ(ended, 1);
  client.send(get("/"));  // the connection lives on
  server.settle();
  EXPECT_EQ(answers_in(client.received()), 2);
}

TEST_F(Connections, APeerThatNeverReadsIsResetAfterTheWriteTimeout) {
  static const std::string kLarge = numbered(100'000);
  app_.get("/view", [](Request&) { return std::string_view(kLarge); });
  app_.get("/owned", [](Request&) { return kLarge; });
  app_.get("/file", [](Request&) { return send_file("large.txt"); });
  app_.get("/generator", [](Request&) -> Generator<std::string_view> {
    for (;;) co_yield kLarge;
  });
  SimServer server(app_);
  server.sim.add_file("large.txt", kLarge);
  for (const std::string path : {"/view", "/owned", "/file", "/generator"}) {
    SimClient client = server.sim.connect(kPort);
    client.set_receive_window(1000);
    client.send(get(path));
    server.run_for(20s);
    EXPECT_EQ(client.received().size(), 1000U) << path;
    client.consume(10);  // any progress counts
    server.run_for(29s);
    EXPECT_FALSE(client.closed()) << path;
    server.run_for(2s);
    EXPECT_TRUE(client.was_reset()) << path;
    server.expect_clean(path);
  }
}

TEST_F(Connections, WaitForAnExchangeInOrder) {
  SimServer server(app_);
  std::array<SimClient, 4> clients;
  for (int i = 0; i < 4; ++i)
    clients[static_cast<std::size_t>(i)] = server.send(get("/sleep/" + std::to_string(i + 1)));
  EXPECT_EQ(server.stats().exchanges, 2U);
  EXPECT_EQ(server.stats().queued, 2U);
  EXPECT_EQ(order_, "1 2 ");
  server.run_for(1100ms);
  EXPECT_EQ(order_, "1 2 3 ");
  server.run_for(1s);
  EXPECT_EQ(order_, "1 2 3 4 ");
  server.run_for(10s);
  for (const SimClient& client : clients) EXPECT_EQ(status_of(client.received()), 200);
  EXPECT_EQ(server.stats().queued, 0U);
  EXPECT_EQ(server.stats().refused, 0U);
}

TEST_F(Connections, AreRefusedWhenNoExchangeComesFreeInTime) {
  SimServer server(app_);
  SimClient a = server.send(get("/sleep/30"));
  SimClient b = server.send(get("/sleep/30"));
  SimClient c = server.send(post("/echo", "body"));
  server.run_for(4s);
  EXPECT_EQ(c.received(), "");
  server.run_for(2s);
  EXPECT_EQ(status_of(c.received()), 503);
  EXPECT_THAT(std::string(c.received()), testing::HasSubstr("\r\nRetry-After: "));
  EXPECT_TRUE(c.ended());
  EXPECT_FALSE(c.was_reset());
  EXPECT_EQ(server.stats().refused, 1U);
  EXPECT_EQ(server.stats().queued, 0U);
  server.run_for(30s);
  EXPECT_EQ(status_of(a.received()), 200);
  EXPECT_EQ(status_of(b.received()), 200);
}

TEST_F(Connections, ThatLeaveTheQueueAreForgotten) {
  SimServer server(app_);
  SimClient a = server.send(get("/sleep/3"));
  SimClient b = server.send(get("/sleep/3"));
  SimClient c = server.send(get("/sleep/7"));
  SimClient d = server.send(get("/"));
  c.reset();
  server.run_for(1s);
  EXPECT_EQ(server.stats().queued, 1U);
  server.run_for(3s);
  EXPECT_EQ(status_of(d.received()), 200);
  EXPECT_EQ(order_, "3 3 ");
}

TEST_F(Connections, TheLongestIdleOneMakesRoomAndNoOther) {
  SimServer server(app_);
  std::array<SimClient, 4> clients;
  for (SimClient& client : clients) {
    client = server.send(get("/"));
    server.run_for(1s);
  }
  clients[0].send(get("/"));  // idle again, but not for long
  server.settle();
  SimClient newcomer = server.send(get("/"));
  EXPECT_EQ(status_of(newcomer.received()), 200);
  EXPECT_TRUE(clients[1].ended());
  for (const std::size_t i : {0U, 2U, 3U}) EXPECT_FALSE(clients[i].closed()) << i;
  EXPECT_EQ(server.stats().connections, 4U);
}

TEST_F(Connections, NewcomersDoNotDriveEachOtherOut) {
  SimServer server(app_);
  std::array<SimClient, 12> clients;
  for (SimClient& client : clients) client = server.sim.connect(kPort);
  server.settle();
  EXPECT_EQ(server.stats().connections, 4U);
  for (SimClient& client : clients) {
    EXPECT_FALSE(client.closed());
    client.send(get("/", "Connection: close\r\n"));
  }
  server.settle();
  for (const SimClient& client : clients) EXPECT_EQ(status_of(client.received()), 200);
  EXPECT_EQ(server.stats().accepted, 12U);
}

TEST_F(Connections, EvenOneIsEnough) {
  Limits limits = kConnectionsLimits;
  limits.connections = 1;
  limits.exchanges = 1;
  App app(limits);
  app.get("/", [](Request&) { return "Hello"; });
  SimServer server(app);
  for (int i = 0; i < 3; ++i) {
    SimClient client = server.send(get("/"));
    EXPECT_EQ(status_of(client.received()), 200);
    SimClient next = server.send(get("/"));
    server.run_for(kSoon);
    EXPECT_EQ(status_of(next.received()), 200);
    EXPECT_TRUE(client.ended());
    server.run_for(kSoon);
  }
}

TEST_F(Connections, BeyondTheLimitWaitInTheBacklogUntilOneIsDone) {
  SimServer server(app_);
  std::array<SimClient, 4> busy;
  for (SimClient& client : busy) client = server.send(get("/sleep/3"));
  SimClient newcomer = server.send(get("/"));
  EXPECT_FALSE(newcomer.accepted());
  EXPECT_EQ(newcomer.received(), "");
  server.run_for(7s);
  EXPECT_EQ(status_of(newcomer.received()), 200);
  for (const SimClient& client : busy) EXPECT_EQ(status_of(client.received()), 200);
}

TEST_F(Connections, ANewcomerIsServedSoonAfterAnotherHasBecomeIdle) {
  static const std::string kLarge = numbered(5000);
  app_.get("/view", [](Request&) { return std::string_view(kLarge); });
  SimServer server(app_);
  std::array<SimClient, 4> clients;  // their answers promise to keep the connection
  for (SimClient& client : clients) {
    client = server.sim.connect(kPort);
    client.set_receive_window(1000);
    client.send(get("/view"));
    server.settle();
  }
  SimClient newcomer = server.send(get("/"));
  EXPECT_EQ(newcomer.received(), "");
  clients[2].set_receive_window(SIZE_MAX);
  clients[2].consume(1);
  server.run_for(100ms);
  EXPECT_FALSE(clients[2].closed()) << "its next request may be on its way";
  server.run_for(kSoon);
  EXPECT_EQ(status_of(newcomer.received()), 200);
  EXPECT_TRUE(clients[2].ended());
  for (const std::size_t i : {0U, 1U, 3U}) EXPECT_FALSE(clients[i].closed());
}

TEST_F(Connections, WhoAsksAgainAtOnceIsNotCutOffByANewcomer) {
  SimServer server(app_);
  std::array<SimClient, 4> clients;
  for (SimClient& client : clients) client = server.send(get("/"));
  SimClient newcomer = server.send(get("/"));
  server.run_for(50ms);
  EXPECT_FALSE(newcomer.accepted());
  for (SimClient& client : clients) {
    EXPECT_FALSE(client.closed());
    client.send(get("/"));
  }
  server.settle();
  for (const SimClient& client : clients) EXPECT_EQ(answers_in(client.received()), 2);
  EXPECT_THAT(std::string(clients[0].received()), testing::HasSubstr("Connection: close"));
  EXPECT_EQ(status_of(newcomer.received()), 200);
  EXPECT_EQ(server.stats().evicted, 0U);
}

TEST_F(Connections, ManyMoreThanTheLimitAreAllServed) {
  SimServer server(app_);
  std::vector<SimClient> clients(200);
  for (SimClient& client : clients) {
    client = server.sim.connect(kPort);
    client.send(get("/") + get("/"));
  }
  server.run_for(1s);
  for (const SimClient& client : clients) EXPECT_EQ(status_of(client.received()), 200);
  EXPECT_LE(server.stats().connections, 4U);
}

class AcceptFaults final : public SimFaults {
 public:
  Error on_accept(unsigned) noexcept override {
    ++asked;
    return error;
  }
  Error error = Error::none;
  int asked = 0;
};

TEST_F(Connections, AcceptErrorsPauseAndAreSaidOnce) {
  AcceptFaults faults;
  SimServer server(app_, {.faults = &faults});
  for (const Error error : {Error::no_descriptors, Error::no_memory, Error::permission}) {
    server.sim.clear_log();
    faults.error = error;
    faults.asked = 0;
    SimClient client = server.send(get("/", "Connection: close\r\n"));
    server.run_for(1s);
    EXPECT_FALSE(client.accepted());
    EXPECT_GT(faults.asked, 1);   // tries again
    EXPECT_LT(faults.asked, 20);  // but does not spin
    const std::string log = server.log();
    EXPECT_THAT(log, testing::HasSubstr(to_string(error)));
    const std::string said = "cannot accept connections";
    EXPECT_EQ(log.find(said), log.rfind(said)) << log;
    EXPECT_THAT(log, testing::HasSubstr(said));
    faults.error = Error::none;
    server.run_for(1s);
    EXPECT_EQ(status_of(client.received()), 200);
  }
}

TEST_F(Connections, OnesThatLeaveBeforeTheyAreAcceptedStopNothing) {
  AcceptFaults faults;
  SimServer server(app_, {.faults = &faults});
  faults.error = Error::closed;
  SimClient a = server.send(get("/"));
  faults.error = Error::none;
  EXPECT_EQ(status_of(server.exchange(get("/"))), 200);
  EXPECT_EQ(server.stats().accepted, 1U);
}

TEST_F(Connections, OfAShortSystemAreUsedAsFarAsTheyGo) {
  SimServer server(app_, {.max_connections = 2});
  EXPECT_THAT(server.log(), testing::HasSubstr("Limits::connections = 4"));
  SimClient a = server.send(get("/"));
  SimClient b = server.send(get("/"));
  SimClient c = server.send(get("/"));
  server.run_for(kSoon);
  EXPECT_EQ(status_of(c.received()), 200);
  EXPECT_TRUE(a.ended());
  server.run_for(kSoon);
  EXPECT_EQ(server.stats().connections, 2U);
  SimClient d = server.send(get("/sleep/2"));
  SimClient e = server.send(get("/sleep/2"));
  SimClient f = server.send(get("/"));
  EXPECT_FALSE(f.accepted());
  server.run_for(3s);
  EXPECT_EQ(status_of(f.received()), 200);
}

TEST_F(Connections, EarlierAnswersDoNotWaitForALongHandlerBehindThem) {
  SimServer server(app_);
  SimClient client = server.send(get("/") + get("/sleep/30"));
  server.run_for(1s);
  EXPECT_EQ(body_of(client.received()), "Hello");
  server.run_for(30s);
  EXPECT_EQ(answers_in(client.received()), 2);
}

// A coroutine runs at once up to where it waits, as a function does: it is not overtaken.
TEST_F(Connections, AreServedInOrderByFunctionsAndCoroutines) {
  std::string order;
  app_.before_request([&order](Request& request) -> Task<> {
    order += request.path[1];
    co_return;
  });
  app_.get("/coroutine", [&order](Request&) -> Task<const char*> {
    order += "C";
    co_return "coroutine";
  });
  app_.get("/function", [&order](Request&) {
    order += "F";
    return "function";
  });
  SimServer server(app_);
  SimClient clients[4];
  for (SimClient& client : clients) client = server.sim.connect(kPort);
  server.settle();
  for (int i = 0; i < 4; ++i) clients[i].send(get(i % 2 == 0 ? "/coroutine" : "/function"));
  server.settle();
  EXPECT_EQ(order, "cCfFcCfF");
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(body_of(clients[i].received()), i % 2 == 0 ? "coroutine" : "function");
}

TEST_F(Connections, EarlierAnswersGoOutWhileTheRestOfARequestIsAwaited) {
  SimServer server(app_);
  SimClient client = server.sim.connect(kPort);
  client.set_receive_window(10);
  client.send(get("/") + "GET / HT");
  server.run_for(100ms);
  client.set_receive_window(SIZE_MAX);
  client.consume(1);
  server.run_for(1s);
  EXPECT_THAT(std::string(client.received()), testing::EndsWith("Hello"));
  client.send("TP/1.1\r\nHost: a\r\n\r\n");
  server.settle();
  EXPECT_EQ(answers_in(client.received()), 1);  // the first one's start was consumed
}

TEST_F(Connections, ThousandsOfMixedRequestsLeaveTheArenaAsItWas) {
  SimServer server(app_);
  std::uint32_t high_water = 0;
  for (int round = 0; round < 600; ++round) {
    SimClient a = server.send(get("/") + post("/echo", numbered(100)) + get("/none"));
    SimClient b = server.send(get("/sleep/1"));
    SimClient c = server.send(post("/stream", numbered(50)));
    if (round % 3 == 0) c.reset();
    server.run_for(30s);
    EXPECT_EQ(answers_in(a.received()), 3);
    EXPECT_EQ(status_of(b.received()), 200);
    if (round == 20) high_water = server.stats().arena_high_water;
  }
  EXPECT_EQ(server.stats().arena_high_water, high_water);
  server.run_for(70s);
  server.expect_clean("after all");
}

}  // namespace
}  // namespace microdot_test
