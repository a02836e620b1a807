/// Who gets a connection and an exchange when there are too few, and what becomes of the others.
#include <array>

#include "admission.hpp"

namespace microdot_test {
namespace {

using testing::HasSubstr;

// ---- The queue

TEST_F(Admission, OneMoreThanTheQueueHoldsIsAnswered503AtOnce) {
  SimServer server(app_);
  auto clients = send_all(server, 3, get("/sleep/5"));
  auto waiting = send_all(server, 4, get("/"));
  EXPECT_EQ(server.stats().queued, 4U);
  SimClient more = server.send_from(kMe, get("/"));
  EXPECT_EQ(status_of(more.received()), 503);
  EXPECT_THAT(std::string(more.received()), HasSubstr("\r\nRetry-After: "));
  EXPECT_FALSE(more.was_reset());
  EXPECT_EQ(server.stats().refused, 1U);
  server.run_for(6s);
  for (const SimClient& client : clients) EXPECT_EQ(status_of(client.received()), 200);
  for (const SimClient& client : waiting) EXPECT_EQ(status_of(client.received()), 200);
  EXPECT_EQ(server.stats().queue_high_water, 4U);
  EXPECT_EQ(server.stats().queued, 0U);
}

// ---- One client must not have everything

TEST_F(Admission, OneClientLeavesPlacesInTheQueueToOthers) {
  Limits limits = kAdmissionLimits;
  limits.connections = 24;
  limits.queue_length = 8;
  limits.exchanges = 4;
  App app(limits);
  add_routes(app);
  SimServer server(app);
  std::vector<SimClient> greedy;
  for (int i = 0; i < 12; ++i) greedy.push_back(server.send_from("10.0.0.1", get("/sleep/9")));
  EXPECT_EQ(server.stats().exchanges, 2U);
  EXPECT_EQ(server.stats().queued, 4U);
  EXPECT_EQ(status_of(greedy[11].received()), 503);
  // That it was refused is its own affair: the server is well.
  server.run_for(500ms);
  EXPECT_LT(server.stats().tier, Tier::no_keep_alive);
  std::vector<SimClient> others;
  for (std::size_t i = 1; i < 6; ++i) others.push_back(server.send_from(address(i), get("/sleep/1")));
  for (const SimClient& client : others) EXPECT_EQ(client.received(), "");  // served or waiting
  server.run_for(9s);
  for (const SimClient& client : others) EXPECT_EQ(status_of(client.received()), 200);
}

TEST_F(Admission, WhoWaitsOnlyForItselfMakesNobodyForfeit) {
  Limits limits = kAdmissionLimits;
  limits.exchanges = 6;
  App app(limits);
  add_routes(app);
  SimServer server(app);
  const std::string request = post("/echo", std::string(8000, 'x'));
  SimClient slow = server.send_from(kMe, std::string_view(request).substr(0, 150));
  std::vector<SimClient> greedy;
  for (int i = 0; i < 4; ++i) greedy.push_back(server.send_from("10.0.0.1", get("/sleep/8")));
  EXPECT_EQ(server.stats().queued, 1U);
  EXPECT_LT(server.stats().exchanges, 6U);
  server.run_for(7s);
  EXPECT_EQ(slow.received(), "");
  EXPECT_EQ(server.stats().forfeited, 0U);
}

TEST_F(Admission, NoAddressEverHasEveryExchange) {
  SimServer server(app_);
  std::array<SimClient, 4> greedy;
  for (SimClient& client : greedy) client = server.send_from("10.0.0.1", get("/sleep/5"));
  EXPECT_EQ(server.stats().exchanges, 2U);
  EXPECT_EQ(server.stats().queued, 2U);
  for (int i = 0; i < 3; ++i) {
    SimClient other = server.send_from(kMe, get("/"));
    EXPECT_EQ(status_of(other.received()), 200);
  }
  server.run_for(5500ms);  // the two that waited have their turn
  EXPECT_EQ(server.stats().exchanges, 2U);
  EXPECT_EQ(server.stats().queued, 0U);
  server.run_for(5s);
  for (const SimClient& client : greedy) EXPECT_EQ(status_of(client.received()), 200);
}

TEST_F(Admission, ItTakesManyAddressesToHaveEveryExchange) {
  Limits limits = kAdmissionLimits;
  limits.connections = 40;
  limits.exchanges = 8;
  limits.queue_length = 30;
  App app(limits);
  add_routes(app);
  SimServer server(app);
  std::vector<SimClient> greedy;
  for (const std::uint32_t held : {4U, 6U, 7U}) {  // half of what is left, each
    const std::string from = address(greedy.size());
    for (int i = 0; i < 8; ++i) greedy.push_back(server.send_from(from, get("/sleep/5")));
    EXPECT_EQ(server.stats().exchanges, held);
    SimClient me = server.send_from(kMe, get("/"));
    EXPECT_EQ(status_of(me.received()), 200);
  }
  server.run_for(30s);
  for (const SimClient& client : greedy) EXPECT_TRUE(status_of(client.received()) != 0);
  EXPECT_EQ(server.stats().queued, 0U);
}

TEST_F(Admission, OthersPassAClientThatWaitsOnlyForItself) {
  SimServer server(app_);
  SimClient a = server.send_from("10.0.0.1", get("/sleep/4"));
  SimClient b = server.send_from("10.0.0.1", get("/sleep/6"));
  SimClient c = server.send_from("10.0.0.2", get("/sleep/2"));
  SimClient d = server.send_from("10.0.0.1", get("/sleep/1"));  // waits for a or b
  SimClient e = server.send_from(kMe, get("/sleep/1"));         // waits for anyone
  server.run_for(3500ms);
  EXPECT_EQ(status_of(c.received()), 200);
  EXPECT_EQ(status_of(e.received()), 200);
  EXPECT_EQ(d.received(), "");
  server.run_for(2s);
  EXPECT_EQ(status_of(a.received()), 200);
  EXPECT_EQ(status_of(d.received()), 200);
  EXPECT_EQ(b.received(), "");
}

// However many they are, and in whatever order they stand.
TEST_F(Admission, OthersPassManyClientsThatWaitOnlyForThemselves) {
  constexpr std::uint32_t kMany = 20;
  Limits limits = kAdmissionLimits;
  limits.exchanges = kMany + 1;
  limits.connections = limits.connections_per_client = limits.queue_length = 100;
  limits.max_body_length = 1024;
  App app(limits);
  add_routes(app);
  SimServer server(app);
  std::vector<SimClient> held;
  for (std::size_t i = 0; i < kMany; ++i) held.push_back(server.send_from(address(i), get("/sleep/8")));
  SimClient last = server.send_from("10.1.0.1", get("/sleep/1"));
  EXPECT_EQ(server.stats().exchanges, kMany + 1);
  std::vector<SimClient> waiting;
  for (std::size_t i = 0; i < 2 * kMany; ++i)
    waiting.push_back(server.send_from(address(i % kMany), get("/sleep/1")));
  SimClient first = server.send_from("10.1.0.2", get("/sleep/1"));
  SimClient second = server.send_from("10.1.0.3", get("/sleep/1"));
  server.run_for(2500ms);
  EXPECT_EQ(status_of(first.received()), 200);
  EXPECT_EQ(second.received(), "");
  server.run_for(1s);
  EXPECT_EQ(status_of(second.received()), 200);
  for (const SimClient& client : waiting) EXPECT_EQ(client.received(), "");
  server.run_for(8s);
  for (const SimClient& client : waiting) EXPECT_EQ(status_of(client.received()), 200);
}

TEST_F(Admission, AddressesOfOneIPv6NetworkAreOneClient) {
  SimServer server(app_);
  std::vector<SimClient> one;
  for (int i = 1; i <= 7; ++i) {
    one.push_back(server.send_from("2001:db8:0:1::" + std::to_string(i), get("/sleep/60")));
  }
  EXPECT_EQ(server.stats().exchanges, 2U);
  EXPECT_EQ(server.stats().queued, 2U);
  EXPECT_EQ(status_of(one[6].received()), 503);
  SimClient other = server.send_from("2001:db8:0:2::1", get("/"));
  EXPECT_EQ(status_of(other.received()), 200);
}

TEST_F(Admission, MappedAddressesAreTheClientsOfIpv4) {
  SimServer server(app_, {}, {.host = "", .port = kPort, .trusted_proxies = "10.7.0.0/16"});
  std::vector<SimClient> one;
  one.push_back(server.send_from("::ffff:10.0.0.1", get("/sleep/60")));
  one.push_back(server.send_from("10.0.0.1", get("/sleep/60")));
  one.push_back(server.send_from("::ffff:10.0.0.1", get("/sleep/60")));
  EXPECT_EQ(server.stats().exchanges, 2U);
  EXPECT_EQ(server.stats().queued, 1U);
  SimClient other = server.send_from("::ffff:10.0.0.2", get("/"));  // of another client, though in one /64
  EXPECT_EQ(status_of(other.received()), 200);
  SimClient proxy = server.send_from("10.7.0.1", get("/sleep/60"));
  EXPECT_EQ(server.stats().exchanges, 3U);
}

TEST_F(Admission, AProxyWithAMappedAddressMayHaveEveryExchange) {
  SimServer server(app_, {}, {.host = "", .port = kPort, .trusted_proxies = "10.0.0.0/8"});
  std::array<SimClient, 3> clients;
  for (SimClient& client : clients) client = server.send_from("::ffff:10.0.0.1", get("/sleep/5"));
  EXPECT_EQ(server.stats().exchanges, 3U);
}

TEST_F(Admission, AProxyMayHaveEveryExchange) {
  SimServer server(app_, {}, {.host = "", .port = kPort, .trusted_proxies = "10.0.0.0/8"});
  std::array<SimClient, 3> clients;
  for (SimClient& client : clients) client = server.send_from("10.0.0.1", get("/sleep/5"));
  EXPECT_EQ(server.stats().exchanges, 3U);
}

TEST_F(Admission, AClientHasThreeQuartersOfTheConnectionsAtMost) {
  SimServer server(app_);
  std::array<SimClient, 6> many;
  for (SimClient& client : many) client = server.send_from("10.0.0.1", get("/"));
  EXPECT_EQ(server.stats().connections, 6U);
  SimClient more = server.send_from("10.0.0.1", get("/"));
  EXPECT_EQ(status_of(more.received()), 503);
  EXPECT_TRUE(more.ended());
  server.run_for(3s);
  EXPECT_EQ(server.stats().connections, 6U);
  for (const SimClient& client : many) EXPECT_FALSE(client.closed());
  SimClient other = server.send_from(kMe, get("/"));
  EXPECT_EQ(status_of(other.received()), 200);
  many[3].close();
  server.settle();
  SimClient again = server.send_from("10.0.0.1", get("/"));
  EXPECT_EQ(status_of(again.received()), 200);
}

TEST_F(Admission, TheCapOfAClientMayBeAnotherOrNone) {
  Limits limits = kAdmissionLimits;
  for (const std::uint32_t cap : {2U, 8U}) {
    limits.connections_per_client = cap;
    App app(limits);
    add_routes(app);
    SimServer server(app);
    std::vector<SimClient> clients;
    for (std::uint32_t i = 0; i < 8; ++i) {
      clients.push_back(server.send_from("10.0.0.1", get("/")));
      EXPECT_EQ(status_of(clients.back().received()), i < cap ? 200 : 503);
    }
  }
}

TEST_F(Admission, AProxyMayHaveEveryConnection) {
  SimServer server(app_, {}, {.host = "", .port = kPort, .trusted_proxies = "::1,10.0.0.1"});
  std::array<SimClient, 8> clients;
  for (SimClient& client : clients) {
    client = server.send_from("10.0.0.1", get("/"));
    EXPECT_EQ(status_of(client.received()), 200);
  }
}

TEST_F(Admission, ProxiesThatAreNoAddressesAreSaidAtTheStart) {
  SimServer server(app_, {}, {.host = "", .port = kPort, .trusted_proxies = "10.0.0.1, my-proxy"});
  EXPECT_TRUE(server.done());
  EXPECT_THAT(server.log(), HasSubstr("trusted_proxies"));
  EXPECT_THAT(server.log(), HasSubstr("my-proxy"));
}

// ---- When every connection is taken

TEST_F(Admission, ThoseWhoAreRefusedTakeNoMoreThanTheSystemHas) {
  // The port holds what was written until it has arrived, and with it the connection.
  SimServer server(app_, {.latency = 5ms, .refers_to_written_bytes = true, .max_connections = 2});
  auto clients = send_all(server, 2, get("/sleep/4"));
  server.run_for(1s);
  std::vector<SimClient> newcomers;
  for (int i = 0; i < 5; ++i) newcomers.push_back(server.sim.connect(kPort, Endpoint::from_address(kMe)));
  server.run_for(100ms);
  EXPECT_LE(server.stats().connections_high_water, 3U);  // one to tell the next one so
  for (const SimClient& newcomer : newcomers) EXPECT_EQ(status_of(newcomer.received()), 503);
}

TEST_F(Admission, NewcomersAreRefusedWhenNobodyCanMakeRoom) {
  SimServer server(app_);
  auto busy = send_all(server, 7, get("/sleep/4"));
  SimClient silent = server.send_from(address(7), "");
  SimClient newcomer = server.send_from(kMe, get("/"));
  EXPECT_EQ(status_of(newcomer.received()), 503);
  EXPECT_THAT(std::string(newcomer.received()), HasSubstr("\r\nRetry-After: "));
  EXPECT_EQ(server.stats().connections, 8U);
  EXPECT_FALSE(silent.closed());  // it has only just come
  server.run_for(3s);
  SimClient another = server.send_from(kMe, "");
  EXPECT_TRUE(silent.ended());  // it said nothing for longer than the grace
  EXPECT_FALSE(another.closed());
  EXPECT_EQ(server.stats().evicted, 1U);
  server.run_for(10s);
  for (const SimClient& client : busy) EXPECT_EQ(status_of(client.received()), 200);
}

TEST_F(Admission, AFloodOfNewcomersIsRefusedAndLeavesNothing) {
  SimServer server(app_);
  auto busy = send_all(server, 8, get("/sleep/5"));
  EXPECT_EQ(server.stats().refused, 1U);  // of eight, three are served and four wait
  for (int i = 0; i < 500; ++i) {
    SimClient client = server.send_from(address(static_cast<std::size_t>(i % 200 + 20)), get("/"));
    server.sim.advance(10ms);
  }
  server.run_for(20s);
  EXPECT_GT(server.stats().refused, 100U);
  EXPECT_LE(server.stats().connections_high_water, 9U);
  EXPECT_EQ(status_of(server.exchange(get("/"))), 200);
  server.run_for(61s);
  server.expect_clean("after the flood");
}

TEST_F(Admission, WaitingNewcomersAreLetInWhenASilentOneHasBecomeOld) {
  Limits limits = kAdmissionLimits;
  limits.when_full = WhenFull::wait;
  App app(limits);
  add_routes(app);
  SimServer server(app);
  std::vector<SimClient> silent = send_all(server, 8, "");
  SimClient newcomer = server.send_from(kMe, get("/"));
  EXPECT_EQ(newcomer.received(), "");
  server.run_for(2500ms);
  EXPECT_EQ(status_of(newcomer.received()), 200);
  EXPECT_TRUE(silent[0].ended());
  EXPECT_FALSE(silent[1].closed());
}

TEST_F(Admission, SilentOnesThatAlwaysComeAnewDoNotKeepOthersOut) {
  SimServer server(app_);
  std::vector<SimClient> silent;
  for (int i = 0; i < 20; ++i) {
    silent = send_all(server, 8, "");
    server.run_for(200ms);
    SimClient me = server.send_from(kMe, get("/", "Connection: close\r\n"));
    EXPECT_EQ(status_of(me.received()), 200);
    silent.clear();
    server.run_for(100ms);
  }
}

TEST_F(Admission, ThoseWhoDoNotReadMakeRoom) {
  for (const WhenFull when_full : {WhenFull::refuse, WhenFull::wait}) {
    Limits limits = kAdmissionLimits;
    limits.when_full = when_full;
    App app(limits);
    add_routes(app);
    SimServer server(app, {.receive_window = 200});
    auto greedy = send_all(server, 8, get("/view"));
    EXPECT_EQ(server.stats().exchanges, 0U);
    SimClient early = server.send_from(kMe, get("/"));
    EXPECT_EQ(status_of(early.received()), when_full == WhenFull::refuse ? 503 : 0);
    server.run_for(2500ms);
    SimClient late = server.send_from(kMe, get("/"));
    EXPECT_EQ(status_of(late.received()), 200);
    EXPECT_TRUE(greedy[0].was_reset());
    EXPECT_FALSE(greedy[7].closed());
    EXPECT_EQ(server.stats().forfeited, 1U);
    EXPECT_EQ(status_of(early.received()), when_full == WhenFull::refuse ? 503 : 200);
  }
}

TEST_F(Admission, OneThatSendsNothingIsClosedAfterTheFirstTimeout) {
  SimServer server(app_);
  SimClient client = server.send_from(kMe, "");
  server.run_for(19s);
  EXPECT_FALSE(client.closed());
  server.run_for(2s);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(client.received(), "");
}

// ---- A client that never stops asking

TEST_F(Admission, PipeliningEndsItsTurnWhenOthersWait) {
  struct Case {
    std::uint32_t exchanges;
    std::string_view greedy;
  };
  // Behind a proxy, or on a board's emulated network, all have one address, which has its share: one of two.
  for (const Case& test : {Case{1, "10.0.0.1"}, Case{2, kMe}}) {
    Limits limits = kAdmissionLimits;
    limits.exchanges = test.exchanges;
    App app(limits);
    add_routes(app);
    SimServer server(app);
    // There is always the beginning of the next request behind the last one.
    const std::string request = get("/");
    SimClient greedy = server.send_from(test.greedy, request + request.substr(0, 5));
    SimClient me = server.send_from(kMe, get("/"));
    EXPECT_EQ(me.received(), "");
    for (int i = 0; i < 200 && !greedy.closed(); ++i) {
      greedy.send(request.substr(5) + request.substr(0, 5));
      server.run_for(1ms);
    }
    EXPECT_EQ(status_of(me.received()), 200) << test.greedy;
    EXPECT_TRUE(greedy.ended()) << test.greedy;
    EXPECT_EQ(answers_in(greedy.received()), 65) << test.greedy;
    EXPECT_THAT(std::string(greedy.received()), HasSubstr("Connection: close"));
  }
}

// ---- Limits of a route and of tasks

TEST_F(Admission, ARouteMayServeFewerAtOnceThanThereAreExchanges) {
  app_.get("/camera/<int:seconds>",
           [](Request&, int seconds) -> Task<Response> {
             co_await sleep_for(std::chrono::seconds(seconds));
             co_return Response("picture");
           },
           {.max_active = 1});
  SimServer server(app_);
  SimClient a = server.send_from(kMe, get("/camera/2"));
  SimClient b = server.send_from(kMe, get("/camera/2"));
  EXPECT_EQ(status_of(b.received()), 503);
  EXPECT_THAT(std::string(b.received()), HasSubstr("\r\nRetry-After: "));
  EXPECT_FALSE(b.closed());
  EXPECT_EQ(status_of(server.exchange(get("/"))), 200);
  server.run_for(3s);
  EXPECT_EQ(body_of(a.received()), "picture");
  SimClient c = server.send_from(kMe, get("/camera/2"));
  c.reset();  // one that leaves counts no more, either
  server.settle();
  SimClient d = server.send_from(kMe, get("/camera/2"));
  server.run_for(3s);
  EXPECT_EQ(body_of(d.received()), "picture");
}

TEST_F(Admission, WorkThatIsRefusedIsNotTakenForDone) {
  Limits limits = kAdmissionLimits;
  limits.background_tasks = 0;
  App app(limits);
  on_task_error([](const TaskError&) {});
  app.get("/save", [](Request&) -> Task<Response> {
    const int saved = co_await shield([]() -> Task<int> { co_return 7; });
    co_return Response(std::to_string(saved));
  });
  {
    SimServer server(app);
    EXPECT_EQ(status_of(server.exchange(get("/save"))), 503);
  }
  on_task_error(nullptr);
}

TEST_F(Admission, ARequestCountsForItsRouteUntilItsAnswerIsSent) {
  static const std::string kLarge = numbered(100'000);
  app_.get("/large", [](Request&) { return std::string_view(kLarge); }, {.max_active = 1});
  SimServer server(app_, {.receive_window = 1000});
  SimClient a = server.send_from(kMe, get("/large"));
  SimClient b = server.send_from(kMe, get("/large"));
  EXPECT_EQ(status_of(b.received()), 503);
  a.set_receive_window(SIZE_MAX);
  a.consume(1);
  server.run_for(100ms);
  SimClient c = server.send_from(kMe, get("/large"));
  EXPECT_EQ(status_of(c.received()), 200);
}

TEST_F(Admission, RequestsStartOnlySoManyTasks) {
  static int failed;
  failed = 0;
  on_task_error([](const TaskError& error) {
    EXPECT_THAT(std::string(error.reason), HasSubstr("Limits::background_tasks"));
    ++failed;
  });
  const auto sleep = []() -> Task<> { co_await sleep_for(5s); };
  const auto spawn = [sleep]() -> Task<> {
    create_task("child", sleep);  // counts as its parent does
    co_await sleep_for(5s);
  };
  app_.get("/plain", [sleep](Request&) {
    const TaskHandle task = create_task("plain", sleep);
    return task.state() == TaskState::failed ? 503 : 200;
  });
  app_.get("/coroutine", [sleep](Request&) -> Task<Response> {
    co_await yield();
    const TaskHandle task = create_task("coroutine", sleep);
    co_return Response("", task.state() == TaskState::failed ? 503 : 200);
  });
  app_.get("/spawn", [spawn](Request&) {
    create_task("spawn", spawn);
    return "";
  });
  {
    SimServer server(app_);
    EXPECT_EQ(status_of(server.exchange(get("/plain"))), 200);
    EXPECT_EQ(status_of(server.exchange(get("/coroutine"))), 200);
    EXPECT_EQ(server.stats().tasks, 2U);
    EXPECT_EQ(status_of(server.exchange(get("/plain"))), 503);
    EXPECT_EQ(status_of(server.exchange(get("/coroutine"))), 503);
    EXPECT_EQ(failed, 2);
    server.run_for(6s);
    EXPECT_EQ(server.stats().tasks, 0U);
    EXPECT_EQ(status_of(server.exchange(get("/plain"))), 200);
    EXPECT_EQ(status_of(server.exchange(get("/spawn"))), 200);
    EXPECT_EQ(failed, 3);
  }
  on_task_error(nullptr);
}

}  // namespace
}  // namespace microdot_test
