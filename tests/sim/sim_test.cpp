/// Simulated worlds, a few hundred of them; tests/sim/run lives ten thousand.

#include <gtest/gtest.h>

#include "day.hpp"
#include "world.hpp"

namespace sim {
namespace {

using namespace std::chrono_literals;

void live(std::uint64_t from, std::uint64_t to) {
  for (std::uint64_t seed = from; seed <= to; ++seed) {
    World world{Plan(seed)};
    ASSERT_EQ(world.run(), "") << "again: sim --seed " << seed << " --log";
  }
}

TEST(Sim, WorldsEndWell) { live(1, 100); }
TEST(Sim, SlowWorldsEndWell) { live(101, 400); }

TEST(Sim, TheSameSeedIsTheSameRun) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    World one(Plan(seed), true);
    World two(Plan(seed), true);
    one.run();
    two.run();
    EXPECT_EQ(one.log_text(), two.log_text()) << seed;
    EXPECT_FALSE(one.log_text().empty());
  }
}

TEST(Sim, AnHourLeavesNothingBehind) { EXPECT_EQ(live_day(1, 1h).failure, ""); }

}  // namespace
}  // namespace sim
