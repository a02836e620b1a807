#include <gtest/gtest.h>

#include <src/server/pace.hpp>

namespace microdot_test {
namespace {

using namespace microdot;
using namespace std::chrono_literals;
using detail::Pace;

TEST(Pace, OnlyTheTimeInWhichTheClientIsWaitedForCounts) {
  Pace pace;
  TimePoint now{};
  pace.begin_wait(now);
  pace.move(100);
  EXPECT_FALSE(pace.too_slow(now + 2s, 2s, 100));  // the grace is not over
  EXPECT_TRUE(pace.too_slow(now + 3s, 2s, 100));
  EXPECT_FALSE(pace.too_slow(now + 3s, 2s, 0));
  pace.end_wait(now + 1s);
  EXPECT_FALSE(pace.too_slow(now + 1h, 2s, 100));
  pace.begin_wait(now + 1h);
  EXPECT_FALSE(pace.too_slow(now + 1h + 1s, 2s, 100));
  EXPECT_TRUE(pace.too_slow(now + 1h + 2s, 2s, 100));
  pace.restart();
  EXPECT_FALSE(pace.too_slow(now + 2h, 2s, 100));
}

TEST(Pace, ManyShortWaitsAreALongOne) {
  Pace pace;
  TimePoint now{};
  for (int i = 0; i < 10'000; ++i) {
    pace.begin_wait(now);
    now += 900us;
    pace.end_wait(now);
    pace.move(1);  // 1111 bytes a second
  }
  EXPECT_TRUE(pace.too_slow(now, 2s, 2000));
  EXPECT_FALSE(pace.too_slow(now, 2s, 1000));
}

TEST(Pace, MoreBytesThanFitInto32BitsCount) {
  Pace pace;
  TimePoint now{};
  pace.begin_wait(now);
  for (int hour = 1; hour <= 48; ++hour) {  // ten million bytes a second
    now += 1h;
    for (int i = 0; i < 36; ++i) pace.move(1'000'000'000);
    EXPECT_FALSE(pace.too_slow(now, 30s, 9'000'000)) << hour;
    EXPECT_TRUE(pace.too_slow(now, 30s, 11'000'000)) << hour;
  }
}

}  // namespace
}  // namespace microdot_test
