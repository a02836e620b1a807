// What docs/guide/server.md shows and says, where no other test does.

#include "sim_server.hpp"

namespace microdot_test {
namespace {

constexpr Limits kLimits{.connections = 200, .exchanges = 32, .max_content_length = 1024 * 1024};
constexpr Limits kDevice = Limits::device();
static_assert(kDevice.memory() <= 40 * 1024);
static_assert(kLimits.memory() > 32 * kLimits.exchange_memory());
StaticApp<kDevice> device_app;
constexpr Limits kChanged = [] {
  Limits limits = Limits::device();
  limits.exchanges = 4;
  limits.keep_alive_timeout = 2s;
  return limits;
}();
StaticApp<kChanged> changed_app;

TEST(ServerGuide, LimitsAreAnAppsWhole) {
  App app(kLimits);
  EXPECT_EQ(app.limits(), kLimits);
  EXPECT_EQ(decltype(device_app)::memory(), kDevice.memory());
  EXPECT_EQ(sizeof(device_app), kDevice.memory());
  device_app.get("/", [](Request&) { return "Hello, World!"; });
  SimServer server(device_app);
  EXPECT_EQ(body_of(server.exchange(get("/"))), "Hello, World!");
}

TEST(ServerGuide, SingleFieldsOfTheDevicesLimitsAreChanged) {
  App app(kChanged);
  for (App* changed : {&app, static_cast<App*>(&changed_app)}) {
    EXPECT_EQ(changed->limits().exchanges, 4U);
    EXPECT_EQ(changed->limits().keep_alive_timeout, Milliseconds(2s));
    EXPECT_EQ(changed->limits().connections, kDevice.connections);
    SimServer server(*changed);
    EXPECT_EQ(status_of(server.exchange(get("/"))), 404);
  }
}

TEST(ServerGuide, PortZeroIsChosenAndReported) {
  App app(kLimits);
  SimServer server(app, {}, {.host = "127.0.0.1", .port = 0});
  EXPECT_NE(app.port(), 0);
  app.shutdown();
  EXPECT_EQ(app.port(), 0);
}

TEST(ServerGuide, StatsTellWhatIsInUse) {
  App app(kLimits);
  app.get("/", [](Request& req) { return req.format("{}", 1); });
  app.get("/wait", [](Request&) -> Task<Response> {
    co_await sleep_for(1s);
    co_return Response("");
  });
  SimServer server(app);
  SimClient idle = server.send(get("/"));
  SimClient active = server.send(get("/wait"));
  const Stats stats = app.stats();
  EXPECT_EQ(stats.connections, 2U);
  EXPECT_EQ(stats.exchanges, 1U);
  EXPECT_EQ(stats.queued, 0U);
  EXPECT_EQ(stats.accepted, 2U);
  EXPECT_EQ(stats.requests, 1U);
  EXPECT_EQ(stats.refused, 0U);
  EXPECT_GT(stats.arena_high_water, 0U);
  EXPECT_LE(stats.arena_high_water, kLimits.arena_bytes);
}

}  // namespace
}  // namespace microdot_test
