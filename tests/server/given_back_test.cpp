/// Memory that a burst has left goes back to the system, and whoever comes next is served as before. The
/// simulator writes over what it was given back, so nothing may be read there.

#include <microdot/ext/sse.hpp>

#include "sim_server.hpp"

namespace microdot_test {
namespace {

constexpr Limits kLimits{.connections = 2000, .exchanges = 8, .streams = 8, .ws_message_bytes = 0};
constexpr Duration kAWhile = 1100ms;  // what nobody needs for so long is given back

class GivenBack : public testing::Test {
 protected:
  GivenBack() : app_(kLimits) {
    app_.get("/", [](Request&) { return "Hello"; });
    app_.get("/wait", [](Request&) -> Task<Response> {
      co_await sleep_for(50ms);
      co_return Response("waited");
    });
    app_.post("/echo", [](Request& req) -> Task<Response> {
      co_await sleep_for(50ms);
      co_return Response(req.body());
    });
    app_.get("/generator", [](Request&) -> Generator<std::string_view> {
      static const std::string kPiece = numbered(1000);
      co_await sleep_for(50ms);
      for (int i = 0; i < 100; ++i) co_yield kPiece;
    });
    app_.get("/events", with_sse([](Request& req, SSE& sse) -> Task<> {
               co_await sse.send(req.args["name"]);
               co_await sleep_for(1h);
             }));
  }

  std::vector<SimClient> send_all(std::size_t count, std::string_view bytes) {
    std::vector<SimClient> clients;
    for (std::size_t i = 0; i < count; ++i) {
      clients.push_back(server_.sim.connect(kPort));
      clients.back().send(bytes);
    }
    server_.settle();
    return clients;
  }
  /// That so many have been answered, and are idle now.
  void expect_idle(std::vector<SimClient>& clients, std::string_view body) {
    for (const SimClient& client : clients) {
      ASSERT_EQ(status_of(client.received()), 200);
      ASSERT_EQ(body_of(client.received()), body);
    }
    EXPECT_EQ(server_.stats().idle, clients.size());
    EXPECT_EQ(server_.stats().connections, clients.size());
    EXPECT_STREQ(app_.check(), nullptr);
  }
  /// What is given back within a while.
  std::size_t given_back() {
    const std::size_t before = server_.sim.discarded();
    server_.run_for(kAWhile);
    EXPECT_STREQ(app_.check(), nullptr);
    return server_.sim.discarded() - before;
  }
  /// Whether nothing wakes the server within the next seconds.
  bool sleeps() {
    const TimePoint end = server_.sim.clock().now() + 5s;
    server_.loop.turn(5s);
    return server_.sim.clock().now() >= end;
  }
  /// What is given back of one exchange: all but the object and the server's coroutine.
  static bool is_of_exchanges(std::size_t bytes, std::size_t count) {
    return bytes > count * (kLimits.exchange_memory() - 4096) && bytes < count * kLimits.exchange_memory();
  }

  App app_;
  SimServer server_{app_};
};

TEST_F(GivenBack, ConnectionsOfABurst) {
  for (int round = 0; round < 3; ++round) {
    auto clients = send_all(1500, get("/"));
    expect_idle(clients, "Hello");
    EXPECT_EQ(given_back(), 0U) << "all are open";
    clients.clear();
    server_.settle();
    EXPECT_EQ(server_.stats().connections, 0U);
    EXPECT_EQ(server_.stats().idle, 0U);
    // One more than come is made, for a next one.
    EXPECT_EQ(given_back(), 1501 * Limits::connection_memory());
    EXPECT_TRUE(sleeps());
  }
  EXPECT_EQ(server_.stats().connections_high_water, 1500U);
  EXPECT_EQ(server_.stats().accepted, 4500U);
}

TEST_F(GivenBack, SlowMoreConnectionsThanAreLookedAtInOneGo) {
  Limits limits = kLimits;
  limits.connections = 9'000;  // a little more than that
  App app(limits);
  SimServer server(app);
  {
    std::vector<SimClient> clients;
    for (int i = 0; i < 9'000; ++i) clients.push_back(server.sim.connect(kPort));
    server.run_for(1ms);
    EXPECT_EQ(server.stats().connections, 9'000U);
  }
  server.settle();
  server.run_for(5s);
  EXPECT_EQ(server.sim.discarded(), 9'000 * Limits::connection_memory());
  EXPECT_STREQ(app.check(), nullptr);
}

TEST_F(GivenBack, NoConnectionBeforeOneThatIsOpen) {
  auto clients = send_all(1500, get("/"));
  std::vector<SimClient> stay;
  for (const std::size_t i : {10U, 800U}) stay.push_back(std::move(clients[i]));
  clients.clear();
  EXPECT_EQ(given_back(), (1501 - 801) * Limits::connection_memory());
  EXPECT_TRUE(sleeps());
  for (SimClient& client : stay) {
    client.consume(client.received().size());
    client.send(get("/"));
  }
  server_.settle();
  expect_idle(stay, "Hello");

  // Newcomers take places at the front, so more is given back when it has ended, though they go on: all but
  // as many as were open at once.
  for (SimClient& client : send_all(100, get("/"))) stay.push_back(std::move(client));
  stay.erase(stay.begin() + 1);
  EXPECT_EQ(given_back(), (801 - 102) * Limits::connection_memory());
  expect_idle(stay, "Hello");
  for (SimClient& client : send_all(1500, get("/"))) stay.push_back(std::move(client));
  expect_idle(stay, "Hello");
}

TEST_F(GivenBack, NoConnectionsThatAreNeededAgainAndAgain) {
  for (int i = 0; i < 10; ++i) {
    send_all(1000, get("/"));
    server_.run_for(300ms);
  }
  EXPECT_EQ(server_.sim.discarded(), 0U);
  EXPECT_GT(given_back(), 0U);
}

TEST_F(GivenBack, NothingOfAFew) {
  auto clients = send_all(300, get("/"));
  clients.clear();
  EXPECT_EQ(given_back(), 0U);
  EXPECT_TRUE(sleeps());
}

TEST_F(GivenBack, BuffersOfExchanges) {
  const std::string body = numbered(10'000);
  for (int round = 0; round < 3; ++round) {
    auto echoes = send_all(4, post("/echo", body));
    auto streams = send_all(4, get("/generator"));
    EXPECT_EQ(server_.stats().exchanges, 8U);
    server_.run_for(100ms);
    for (const SimClient& client : echoes) EXPECT_EQ(body_of(client.received()), body);
    for (const SimClient& client : streams) {
      EXPECT_THAT(client.received(), testing::EndsWith("\r\n0\r\n\r\n"));
      EXPECT_GT(client.received().size(), 100'000U);
    }
    const std::uint32_t high_water = server_.stats().arena_high_water;
    EXPECT_GT(high_water, 0U);
    // One is kept for who comes next.
    EXPECT_PRED2(is_of_exchanges, given_back(), 7U);
    EXPECT_EQ(server_.stats().arena_high_water, high_water);
    EXPECT_EQ(given_back(), 0U);
    echoes.clear();
    streams.clear();
    server_.settle();
    EXPECT_TRUE(sleeps());
  }
}

TEST_F(GivenBack, NoBuffersOfExchangesThatAreNeededAgainAndAgain) {
  send_all(8, get("/wait"));
  server_.run_for(100ms);
  for (int i = 0; i < 10; ++i) {
    send_all(4, get("/wait"));
    server_.run_for(300ms);
  }
  EXPECT_PRED2(is_of_exchanges, server_.sim.discarded(), 4U);
  EXPECT_PRED2(is_of_exchanges, given_back(), 3U);
}

TEST_F(GivenBack, ExchangesInUseAreLeftAlone) {
  SimClient slow = server_.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf");
  send_all(7, get("/wait"));
  server_.run_for(100ms);
  EXPECT_PRED2(is_of_exchanges, given_back(), 6U);
  slow.send("half");
  server_.run_for(100ms);
  EXPECT_EQ(body_of(slow.received()), "halfhalf");
}

TEST_F(GivenBack, MemoryOfStreams) {
  for (int round = 0; round < 3; ++round) {
    auto clients = send_all(8, get("/events?name=somebody"));
    EXPECT_EQ(server_.stats().streams, 8U);
    for (const SimClient& client : clients)
      EXPECT_THAT(client.received(), testing::EndsWith("data: somebody\n\n"));
    EXPECT_EQ(given_back(), 0U);
    for (SimClient& client : clients) client.reset();
    server_.settle();
    EXPECT_EQ(server_.stats().streams, 0U);
    const std::uint32_t high_water = server_.stats().stream_high_water;
    EXPECT_GT(high_water, 0U);
    const std::size_t bytes = given_back();
    EXPECT_GT(bytes, 7 * (kLimits.stream_memory() - 256));
    EXPECT_LT(bytes, 7 * kLimits.stream_memory());
    EXPECT_EQ(server_.stats().stream_high_water, high_water);
    EXPECT_TRUE(sleeps());
  }
}

// The same timer ends a server.
TEST_F(GivenBack, AShutdownIsNotDisturbed) {
  App app(kLimits);
  app.get("/wait", [](Request&) -> Task<Response> {
    co_await sleep_for(50ms);
    co_return Response("waited");
  });
  SimServer server(app, {}, {.host = "", .port = kPort, .trusted_proxies = "127.0.0.1", .drain = 5s});
  {
    std::vector<SimClient> clients;
    for (int i = 0; i < 8; ++i)
      clients.push_back(server.sim.connect(kPort)), clients.back().send(get("/wait"));
    server.settle();
    server.run_for(100ms);
  }
  server.settle();
  app.shutdown();
  server.run_for(4900ms);
  EXPECT_TRUE(app.stats().draining);
  EXPECT_FALSE(server.done());
  server.run_for(200ms);
  EXPECT_TRUE(server.done());
}

}  // namespace
}  // namespace microdot_test
