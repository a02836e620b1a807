// every: ticks on a grid.

#include <microdot/async/every.hpp>

#include <microdot/async/gather.hpp>

#include "sim_run.hpp"

namespace microdot_test {
namespace {

class EveryTest : public AsyncTest {};

TEST_F(EveryTest, TicksDoNotDriftHoweverLongTheWorkTakes) {
  std::vector<long long> at;
  run([&]() -> Task<> {
    auto tick = every(100ms);
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(co_await tick, 0);
      at.push_back(ms());
      co_await sleep_for(Duration(i * 20ms));  // waits
      sim_.advance(7ms);                       // computes
    }
  });
  EXPECT_EQ(at, (std::vector<long long>{100, 200, 300, 400, 500}));
}

TEST_F(EveryTest, MissedTicksAreCountedAndDoNotComeInABurst) {
  run([&]() -> Task<> {
    auto tick = every(100ms);
    co_await tick;
    co_await sleep_for(250ms);  // until 350: 200 is late, 300 is missed
    EXPECT_EQ(co_await tick.next(), 1);
    EXPECT_EQ(ms(), 350);
    EXPECT_EQ(tick.due() - start_, Duration(200ms));
    EXPECT_EQ(co_await tick, 0);
    EXPECT_EQ(ms(), 400) << "on the grid again";
  });
}

TEST_F(EveryTest, WhoIsHeldUpBySomebodyElseKnowsHowLateItIs) {
  run([&]() -> Task<> {
    create_task("other", [this]() -> Task<> {
      co_await sleep_for(90ms);
      sim_.advance(340ms);  // until 430
    });
    auto tick = every(100ms);
    EXPECT_EQ(co_await tick, 3) << "200, 300 and 400";
    EXPECT_EQ(sim_.clock().now() - tick.due(), Duration(330ms));
    EXPECT_EQ(co_await tick, 0);
    EXPECT_EQ(ms(), 500);
  });
}

TEST_F(EveryTest, OneThatIsAlwaysLateStarvesNobody) {
  run([&]() -> Task<> {
    TaskHandle late = create_task("late", [this]() -> Task<> {
      auto tick = every(1ms);
      for (;;) {
        co_await tick;
        sim_.advance(5ms);
      }
    });
    co_await sleep_for(1s);
    EXPECT_LE(ms(), 1010);
    late.cancel();
    EXPECT_EQ(co_await late, TaskState::canceled);
  });
}

TEST_F(EveryTest, MayBeWaitedForBesideOtherThings) {
  run([&]() -> Task<> {
    auto tick = every(1s);
    const auto soon = co_await wait_for(tick.next(), 300ms);
    EXPECT_EQ(soon.error(), Error::timeout);
    EXPECT_EQ(co_await tick, 0) << "that one was not lost";
    EXPECT_EQ(ms(), 1000);
  });
}

TEST_F(EveryTest, APeriodIsAMicrosecondAtLeast) {
  run([&]() -> Task<> {
    auto tick = every(0ms);
    co_await tick;
    EXPECT_EQ(co_await tick, 0);
    EXPECT_EQ(sim_.clock().now() - start_, Duration(2));
  });
}

}  // namespace
}  // namespace microdot_test
