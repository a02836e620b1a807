/// Degradation in tiers, and what the statistics say of it.
#include "admission.hpp"

namespace microdot_test {
namespace {

using testing::HasSubstr;

TEST_F(Admission, TiersAreSaidAndLeftAfterAWhileOfCalm) {
  SimServer server(app_);
  EXPECT_EQ(server.stats().tier, Tier::normal);
  auto clients = send_all(server, 4, get("/sleep/1"));
  EXPECT_EQ(server.stats().tier, Tier::normal);  // a short wait is nothing
  server.run_for(500ms);
  EXPECT_EQ(server.stats().tier, Tier::queueing);
  EXPECT_THAT(server.log(), HasSubstr("tier: queueing"));
  auto more = send_all(server, 7, get("/sleep/1"));
  EXPECT_EQ(server.stats().tier, Tier::refusing);
  EXPECT_THAT(server.log(), HasSubstr("tier: refusing"));
  server.run_for(10s);
  EXPECT_EQ(server.stats().tier, Tier::normal);
  EXPECT_THAT(server.log(), HasSubstr("tier: normal"));
  EXPECT_GE(server.stats().tier_changes, 3U);
  EXPECT_LE(server.stats().tier_changes, 5U);
  const std::uint64_t changes = server.stats().tier_changes;
  server.run_for(1h);
  EXPECT_EQ(server.stats().tier_changes, changes);
}

TEST_F(Admission, ASystemUnderPressureKeepsNoConnectionsAndThenRefuses) {
  SimServer server(app_);
  SimClient before = server.send_from(kMe, get("/"));
  server.sim.set_pressure(Pressure::some);
  SimClient some = server.send_from(kMe, get("/"));
  EXPECT_EQ(status_of(some.received()), 200);
  server.run_for(200ms);
  EXPECT_EQ(server.stats().tier, Tier::no_keep_alive);
  before.send(get("/"));
  server.settle();
  EXPECT_EQ(answers_in(before.received()), 2);
  EXPECT_TRUE(before.ended());
  server.sim.set_pressure(Pressure::high);
  SimClient high = server.send_from(kMe, get("/"));
  EXPECT_EQ(status_of(high.received()), 503);
  EXPECT_EQ(server.stats().tier, Tier::refusing);
  server.sim.set_pressure(Pressure::none);
  server.run_for(3s);
  EXPECT_EQ(server.stats().tier, Tier::normal);
  EXPECT_EQ(status_of(server.exchange(get("/"))), 200);
}

/// How often the server is woken within a minute in which nothing happens.
int wakes(SimServer& server) {
  int turns = 0;
  const TimePoint end = server.sim.clock().now() + 1min;
  for (; server.sim.clock().now() < end; ++turns) server.loop.turn(end - server.sim.clock().now());
  return turns;
}

TEST_F(Admission, AServerThatNothingHappensToSleeps) {
  SimServer server(app_);
  SimClient idle = server.send_from(kMe, get("/"));
  server.run_for(1s);
  EXPECT_LE(wakes(server), 3);  // the time-out of the idle one
  // The system does not tell of its pressure: it is asked, now and then.
  server.sim.set_pressure(Pressure::some);
  SimClient some = server.send_from(kMe, get("/"));
  server.run_for(1s);
  EXPECT_EQ(server.stats().tier, Tier::no_keep_alive);
  const int asked = wakes(server);
  EXPECT_LE(asked, 65);
  EXPECT_GE(asked, 55);
  server.sim.set_pressure(Pressure::none);
  server.run_for(3s);
  EXPECT_EQ(server.stats().tier, Tier::normal);
  EXPECT_LE(wakes(server), 3);
}

TEST_F(Admission, AServerThatIsBusyOnlyWithItsHandlersSleeps) {
  Limits limits = kAdmissionLimits;
  limits.when_full = WhenFull::wait;
  limits.connections = limits.connections_per_client = 3;
  limits.handler_timeout = 10min;
  App app(limits);
  add_routes(app);
  SimServer server(app);
  auto busy = send_all(server, 3, get("/sleep/300"));
  SimClient newcomer = server.send_from(kMe, get("/"));  // has to wait
  server.run_for(1s);
  EXPECT_EQ(server.stats().tier, Tier::no_keep_alive);
  EXPECT_LE(wakes(server), 65);
}

// Calm is a second without need of the tier, not a second in which nobody looked.
TEST_F(Admission, PressureThatComesAgainAndAgainKeepsItsTier) {
  SimServer server(app_);
  server.sim.set_pressure(Pressure::some);
  SimClient some = server.send_from(kMe, get("/"));
  const std::uint64_t changes = server.stats().tier_changes;
  for (int i = 0; i < 20; ++i) {
    server.sim.set_pressure(Pressure::none);
    server.run_for(900ms);  // no whole second of calm
    server.sim.set_pressure(Pressure::some);
    server.run_for(1200ms);
    EXPECT_EQ(server.stats().tier, Tier::no_keep_alive);
  }
  EXPECT_EQ(server.stats().tier_changes, changes);
}

TEST_F(Admission, NewcomersThatAreToWaitAreNotRefusedUnderPressure) {
  Limits limits = kAdmissionLimits;
  limits.when_full = WhenFull::wait;
  App app(limits);
  add_routes(app);
  SimServer server(app);
  server.sim.set_pressure(Pressure::high);
  SimClient client = server.send_from(kMe, get("/"));
  EXPECT_EQ(status_of(client.received()), 200);
  EXPECT_TRUE(client.ended());
}

TEST_F(Admission, StatisticsCountWhatHappened) {
  app_.get("/fails", [](Request&) { return abort(500); });
  SimServer server(app_);
  const std::string request = get("/") + get("/none") + get("/fails") + get("/sleep/1");
  SimClient client = server.send_from(kMe, request);
  SimClient idle = server.send_from(kMe, "");
  Stats stats = server.stats();
  EXPECT_EQ(stats.connections, 2U);
  EXPECT_EQ(stats.idle, 1U);
  EXPECT_EQ(stats.exchanges, 1U);
  EXPECT_EQ(stats.requests, 3U);
  EXPECT_EQ(stats.client_errors, 1U);
  EXPECT_EQ(stats.server_errors, 1U);
  server.run_for(2s);
  stats = server.stats();
  EXPECT_EQ(stats.requests, 4U);
  EXPECT_EQ(stats.bytes_in, request.size());
  EXPECT_EQ(stats.bytes_out, client.received().size());
  EXPECT_EQ(stats.latency.total(), 4U);
  EXPECT_EQ(stats.latency.sum(), Duration(1s));
  EXPECT_LT(stats.latency.quantile(0.5), 1ms);
  EXPECT_GE(stats.latency.quantile(1.0), 1s);
  EXPECT_LT(stats.latency.quantile(1.0), 3s);
  EXPECT_EQ(stats.exchanges_high_water, 1U);
  EXPECT_EQ(stats.connections_high_water, 2U);
  EXPECT_GT(stats.arena_high_water, 0U);
}

}  // namespace
}  // namespace microdot_test
