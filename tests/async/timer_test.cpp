#include <microdot/async/timer.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace microdot;
using namespace std::chrono_literals;

TimePoint at(long long us) { return TimePoint(Duration(us)); }

class TestTimer final : public Timer {
 public:
  explicit TestTimer(std::function<void()> f) : f_(std::move(f)) {}

 private:
  void on_timer() noexcept override { f_(); }
  std::function<void()> f_;
};

class TimerHeapTest : public testing::Test {
 protected:
  TestTimer& make(char name) {
    timers_.push_back(std::make_unique<TestTimer>([this, name] { fired_ += name; }));
    return *timers_.back();
  }

  TimerHeap heap_;
  std::string fired_;
  std::vector<std::unique_ptr<TestTimer>> timers_;
};

TEST_F(TimerHeapTest, FiresWhatIsDueInOrder) {
  heap_.arm(make('c'), at(30));
  heap_.arm(make('a'), at(10));
  heap_.arm(make('d'), at(40));
  heap_.arm(make('b'), at(20));
  EXPECT_EQ(heap_.next(), at(10));
  heap_.fire(at(9));
  EXPECT_EQ(fired_, "");
  heap_.fire(at(30));
  EXPECT_EQ(fired_, "abc");
  EXPECT_EQ(heap_.next(), at(40));
  heap_.fire(at(1000));
  EXPECT_EQ(fired_, "abcd");
  EXPECT_TRUE(heap_.empty());
}

TEST_F(TimerHeapTest, EqualDeadlinesFireInTheOrderOfArming) {
  for (char name = 'a'; name <= 'z'; ++name) heap_.arm(make(name), at(5));
  timers_[3]->disarm();
  heap_.arm(*timers_[0], at(5));  // armed anew: now the last
  heap_.fire(at(5));
  EXPECT_EQ(fired_, "bcefghijklmnopqrstuvwxyza");
}

TEST_F(TimerHeapTest, DisarmsInEveryPosition) {
  constexpr int kTimers = 12;
  for (int victim = 0; victim < kTimers; ++victim) {
    for (const bool popped : {false, true}) {  // a heap that is a list, and one that has become a tree
      fired_.clear();
      timers_.clear();
      std::string expected;
      TimerHeap heap;
      TestTimer first([] {});
      heap.arm(first, at(0));
      for (int i = 0; i < kTimers; ++i) {
        heap.arm(make(static_cast<char>('a' + i)), at(100 + i));
        if (i != victim) expected += static_cast<char>('a' + i);
      }
      if (popped) heap.fire(at(1));
      TestTimer& timer = *timers_[static_cast<std::size_t>(victim)];
      timer.disarm();
      EXPECT_FALSE(timer.armed());
      timer.disarm();  // does nothing
      heap.fire(at(1000));
      EXPECT_EQ(fired_, expected);
    }
  }
}

TEST_F(TimerHeapTest, TimersAndHeapsMayGoInAnyOrder) {
  {
    TestTimer gone([this] { fired_ += "gone"; });
    heap_.arm(gone, at(1));
    heap_.arm(make('a'), at(2));
  }
  heap_.fire(at(2));
  EXPECT_EQ(fired_, "a");
  TestTimer left([] {});
  {
    TimerHeap heap;
    heap.arm(left, at(1));
  }
  EXPECT_FALSE(left.armed());
}

TEST_F(TimerHeapTest, ArmedAnewWhileItFires) {
  int count = 0;
  TestTimer* self = nullptr;
  TestTimer timer([&] {
    EXPECT_FALSE(self->armed());
    if (++count < 3) heap_.arm(*self, at(10));
  });
  self = &timer;
  heap_.arm(timer, at(10));
  heap_.fire(at(10));
  EXPECT_EQ(count, 1) << "what is armed meanwhile waits for the next look";
  heap_.fire(at(10));
  heap_.fire(at(10));
  heap_.fire(at(10));
  EXPECT_EQ(count, 3);
}

TEST_F(TimerHeapTest, ADeadlineInThePastKeepsNoOtherFromFiring) {
  TestTimer* self = nullptr;
  TestTimer eager([&] { heap_.arm(*self, at(0)); });
  self = &eager;
  heap_.arm(eager, at(10));
  heap_.arm(make('b'), at(11));
  heap_.fire(at(20));
  EXPECT_EQ(fired_, "b");
}

TEST_F(TimerHeapTest, MayDestroyItselfAndOthersWhileItFires) {
  std::optional<TestTimer> victim;
  std::optional<TestTimer> killer;
  victim.emplace([this] { fired_ += "victim"; });
  killer.emplace([&] {
    victim.reset();
    killer.reset();
  });
  heap_.arm(*killer, at(1));
  heap_.arm(*victim, at(1));
  heap_.arm(make('x'), at(1));
  heap_.fire(at(1));
  EXPECT_EQ(fired_, "x");
}

TEST(TimerHeap, RandomAgainstMultimap) {
  for (unsigned seed = 1; seed <= 10; ++seed) {
    std::mt19937 random(seed);
    TimerHeap heap;
    std::vector<int> fired;
    constexpr int kTimers = 200;
    std::deque<TestTimer> timers;
    std::multimap<long long, int> model;
    const auto forget = [&](int i) {
      std::erase_if(model, [&](const auto& entry) { return entry.second == i; });
    };
    for (int i = 0; i < kTimers; ++i) timers.emplace_back([&fired, i] { fired.push_back(i); });
    long long now = 0;
    for (int step = 0; step < 20'000; ++step) {
      const int i = static_cast<int>(random() % kTimers);
      TestTimer& timer = timers[static_cast<std::size_t>(i)];
      const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
      switch (below(8)) {
        case 0:
          forget(i);
          timer.disarm();
          break;
        case 1: {
          now += below(20);
          std::vector<int> expected;
          while (!model.empty() && model.begin()->first <= now) {
            expected.push_back(model.begin()->second);
            model.erase(model.begin());
          }
          heap.fire(at(now));
          ASSERT_EQ(fired, expected);
          fired.clear();
          break;
        }
        default: {
          forget(i);
          const long long deadline = now + below(50);
          model.emplace(deadline, i);
          heap.arm(timer, at(deadline));
        }
      }
      ASSERT_EQ(heap.empty(), model.empty());
      if (!model.empty()) {
        ASSERT_EQ(heap.next(), at(model.begin()->first));
      }
    }
  }
}

TEST(ToDuration, RoundsUpAndNeverOverflows) {
  EXPECT_EQ(to_duration(1500ns), Duration(2));
  EXPECT_EQ(to_duration(0.5s), Duration(500'000));
  EXPECT_EQ(to_duration(std::chrono::duration<int, std::milli>(7)), Duration(7000));
  EXPECT_EQ(to_duration(std::chrono::duration<std::uint8_t>(3)), Duration(3'000'000));
  EXPECT_GT(to_duration(std::chrono::hours::max()), Duration(1h * 24 * 365 * 1000));
  EXPECT_LT(to_duration(std::chrono::hours::min()), Duration(-1h * 24 * 365 * 1000));
  EXPECT_GT(to_duration(std::chrono::nanoseconds::max()), Duration(1h * 24 * 365 * 200));
  EXPECT_GT(to_duration(std::chrono::duration<double>(1e300)), Duration(1h * 24 * 365 * 1000));
  EXPECT_GT(TimePoint(Duration(1h * 24 * 365)) + to_duration(std::chrono::seconds::max()), TimePoint());
}

}  // namespace
