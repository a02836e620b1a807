// Watch: the latest value for all who want to know.

#include <microdot/async/watch.hpp>

#include <optional>

#include <microdot/async/gather.hpp>

#include "sim_run.hpp"

namespace microdot_test {
namespace {

class WatchTest : public AsyncTest {
 protected:
  // Notes what comes, until the watch is gone.
  Task<> follow(Watch<int>& watch, std::string name, Duration pause = {}) {
    auto changes = watch.watch();
    while (auto value = co_await changes.next()) {
      note(name + std::to_string(*value));
      if (pause > Duration{0}) co_await sleep_for(pause);
    }
    note(name + "end");
  }
};

TEST_F(WatchTest, EachReaderGetsWhatIsNewerThanWhatItHasSeen) {
  run([&]() -> Task<> {
    Watch<int> watch(1);
    EXPECT_EQ(watch.value(), 1);
    create_task(follow(watch, "a"));
    create_task(follow(watch, "b"));
    co_await yield();
    EXPECT_EQ(notes_, "") << "what was there counts as seen";
    watch.set(2);
    co_await yield();
    watch.set(2);
    co_await yield();
    EXPECT_EQ(notes_, "a2 b2 a2 b2");
    EXPECT_EQ(watch.version(), 2u);
  });
}

TEST_F(WatchTest, ASlowReaderGetsTheLatestOnlyAndHoldsUpNobody) {
  run([&]() -> Task<> {
    Watch<int> watch;
    create_task(follow(watch, "slow", 1s));
    co_await yield();
    for (int i = 1; i <= 50; ++i) {
      watch.set(i);
      co_await sleep_for(100ms);
    }
    EXPECT_EQ(ms(), 5000);
  });
  EXPECT_EQ(notes_, "slow1 slow10 slow20 slow30 slow40 slow50");
}

TEST_F(WatchTest, ReadersMayOutliveTheWatch) {
  run([&]() -> Task<> {
    std::optional<Watch<int>> watch(std::in_place, 1);
    TaskHandle waiting = create_task(follow(*watch, "waiting"));
    auto idle = watch->watch();
    co_await yield();
    watch->set(2);
    watch.reset();
    co_await waiting;
    EXPECT_EQ(notes_, "waitingend") << "its value has gone with it";
    EXPECT_FALSE(idle.changed());
    const auto value = co_await idle.next();
    EXPECT_EQ(value.error(), Error::closed);
  });
}

TEST_F(WatchTest, AReaderThatIsEndedLosesNothingForItsNextOne) {
  run([&]() -> Task<> {
    Watch<int> watch;
    auto changes = watch.watch();
    const auto nothing = co_await wait_for(changes.next(), 1s);
    EXPECT_EQ(nothing.error(), Error::timeout);
    TaskHandle canceled = create_task([&changes]() -> Task<> { (void)co_await changes.next(); });
    co_await yield();
    watch.set(7);       // wakes it …
    canceled.cancel();  // … and it is ended before it runs
    co_await canceled;
    const auto value = co_await changes.next();
    EXPECT_EQ(value.value_or(0), 7);
  });
}

TEST_F(WatchTest, OneStrandWaitsAtATime) {
  run([&]() -> Task<> {
    Watch<int> watch;
    auto changes = watch.watch();
    TaskHandle first = create_task([&]() -> Task<> {
      const auto value = co_await changes.next();
      EXPECT_EQ(value.value_or(0), 1);
    });
    co_await yield();
    const auto second = co_await changes.next();
    EXPECT_EQ(second.error(), Error::invalid);
    watch.set(1);
    EXPECT_EQ(co_await first, TaskState::done);
  });
}

TEST_F(WatchTest, ReadersEndWithTheirTask) {
  run([&]() -> Task<> {
    Watch<std::string> watch(std::string(50, 'x'));
    TaskHandle reader = create_task([&watch]() -> Task<> {
      auto changes = watch.watch();
      (void)co_await changes.next();
    });
    co_await yield();
    reader.cancel();
    co_await reader;
    watch.set(std::string(60, 'y'));
    EXPECT_EQ(watch.value(), std::string(60, 'y'));
  });
}

}  // namespace
}  // namespace microdot_test
