/// Simulated worlds, a few hundred of them; tests/sim/run lives ten thousand.

#include <gtest/gtest.h>

#include "long_life.hpp"
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
    std::string logs[2];
    for (std::string& log : logs) {
      World world(Plan(seed), true);
      world.run();
      log = world.log_text();
    }
    EXPECT_EQ(logs[0], logs[1]) << seed;
    EXPECT_FALSE(logs[0].empty());
  }
}

TEST(Sim, SlowLivesLeaveNothingBehind) { EXPECT_EQ(live_long(1, 20min).failure, ""); }

}  // namespace
}  // namespace sim
