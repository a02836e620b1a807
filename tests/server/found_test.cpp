/// What simulated worlds (tests/sim) have found, each made small.

#include "sim_server.hpp"

namespace microdot_test {
namespace {

constexpr Limits kOne{.connections = 4,
                      .exchanges = 1,
                      .head_bytes = 512,
                      .response_bytes = 512,
                      .arena_bytes = 4096,
                      .queue_timeout = 5s,
                      .handler_timeout = 40s};

class Found : public testing::Test {
 protected:
  explicit Found(const Limits& limits = kOne) : app_(limits) {
    app_.get("/", [](Request&) { return "Hello"; });
    app_.get("/sleep/<int:seconds>", [](Request&, int seconds) -> Task<Response> {
      co_await sleep_for(std::chrono::seconds(seconds));
      co_return Response("slept");
    });
  }
  App app_;
};

TEST_F(Found, ARefusalThatCannotBeWrittenLeavesTheQueueOnce) {
  SimServer server(app_);
  SimClient busy = server.send(get("/sleep/20"));
  SimClient waits = server.sim.connect(kPort);
  waits.set_receive_window(0);
  waits.send(get("/"));
  server.settle();
  EXPECT_EQ(server.stats().queued, 1U);
  server.run_for(6s);
  EXPECT_TRUE(waits.was_reset());
  EXPECT_EQ(server.stats().queued, 0U);
  EXPECT_EQ(app_.check(), nullptr);
}

TEST_F(Found, AFileIsClosedWhenItHasArrived) {
  static const std::string kFlash = numbered(9000);
  app_.get("/flash", [](Request&) -> Response { return send_file("flash.txt"); });
  SimServer server(app_, {.latency = 5ms, .refers_to_written_bytes = true});
  server.sim.add_file("flash.txt", kFlash, 0, true);
  SimClient client = server.send(get("/flash"));
  server.run_for(100ms);
  EXPECT_EQ(body_of(client.received()), kFlash);
  EXPECT_EQ(server.stats().idle, 1U);
  EXPECT_EQ(server.sim.open_files(), 0U);
}

}  // namespace
}  // namespace microdot_test
