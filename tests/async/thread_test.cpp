// Calls from other threads: post, notifications, run_in_thread. On the real system, for threads are real.

#include <microdot/async/thread.hpp>

#include <array>
#include <atomic>
#include <stdexcept>
#include <thread>

#include <microdot/async/event.hpp>
#include <microdot/async/gather.hpp>

#include "sim_run.hpp"

namespace microdot_test {
namespace {

TEST(Thread, PostsFromSeveralThreadsAllArrive) {
  static constexpr int kThreads = 4, kPosts = 2000;
  const auto main_task = []() -> Task<int> {
    Loop& loop = Loop::current();
    int calls = 0;
    std::array<int, kThreads> last{};
    bool ordered = true;
    std::array<std::thread, kThreads> threads;
    struct Shared {
      int* calls;
      std::array<int, kThreads>* last;
      bool* ordered;
      Event done;
    } shared{&calls, &last, &ordered, {}};
    for (int t = 0; t < kThreads; ++t) {
      threads[static_cast<std::size_t>(t)] = std::thread([&loop, &shared, t] {
        for (int i = 1; i <= kPosts; ++i) {
          const auto call = [s = &shared, t, i] {
            int& before = (*s->last)[static_cast<std::size_t>(t)];
            if (before != i - 1) *s->ordered = false;
            before = i;
            if (++*s->calls == kThreads * kPosts) s->done.set();
          };
          while (!loop.post(call)) std::this_thread::yield();
        }
      });
    }
    co_await shared.done.wait();
    for (std::thread& thread : threads) thread.join();
    co_return ordered ? calls : -1;
  };
  EXPECT_EQ(microdot::run(main_task()), kThreads * kPosts);
}

TEST(Thread, EventsAreSetFromOtherThreadsAndSeeWhatWasWritten) {
  const auto main_task = []() -> Task<int> {
    int seen = 0;
    for (int i = 0; i < 200; ++i) {
      int data = 0;
      Event event;
      std::thread thread([&data, &event, loop = &Loop::current()] {
        data = 1;
        event.set_from_isr(*loop);
      });
      co_await event.wait();
      seen += data;
      thread.join();
    }
    co_return seen;
  };
  EXPECT_EQ(microdot::run(main_task()), 200);
}

TEST(Thread, AnEventMayOutliveTheLoopItWasSetIn) {
  Event event;
  SimPort sim;
  {
    Loop loop(sim);
    event.set_from_isr(loop);  // never delivered
  }
  event.set();
}

TEST(Thread, RunInThreadGivesResults) {
  const auto main_task = []() -> Task<int> {
    const std::thread::id here = std::this_thread::get_id();
    std::thread::id there;
    co_await run_in_thread([&there] { there = std::this_thread::get_id(); });
    EXPECT_NE(here, there);
    EXPECT_EQ(std::this_thread::get_id(), here);
    auto work = [text = std::string(50, 'x')] { return text + "!"; };
    const std::string text = co_await run_in_thread(std::move(work));
    EXPECT_EQ(text, std::string(50, 'x') + "!");
    int total = 0;
    for (int i = 0; i < 250; ++i) {
      auto [a, b, c, d] = co_await gather(run_in_thread([] { return 1; }), run_in_thread([] { return 1; }),
                                          run_in_thread([] { return 1; }), run_in_thread([] { return 1; }));
      total += a + b + c + d;
    }
    co_return total;
  };
  EXPECT_EQ(microdot::run(main_task()), 1000);
}

using ThreadOnTheSimulator = AsyncTest;

TEST_F(ThreadOnTheSimulator, AThreadTakesNoTime) {
  const auto main_task = [this]() -> Task<> {
    const Result<int> in_time = co_await wait_for(run_in_thread([] {
                                                    std::this_thread::sleep_for(20ms);
                                                    return 7;
                                                  }),
                                                  1ms);
    EXPECT_TRUE(in_time);
    EXPECT_EQ(ms(), 0) << "the machine's time is not the simulator's";
    co_await sleep_for(5ms);
    EXPECT_EQ(ms(), 5) << "and it goes on";
    // Who waits no more does not hold the clock.
    std::atomic<bool> go = false;
    std::atomic<bool> ended = false;
    {
      TaskHandle task = create_task([&]() -> Task<> {
        co_await run_in_thread([&go, &ended] {
          while (!go) std::this_thread::yield();
          ended = true;
        });
      });
      co_await yield();
      task.cancel();
      co_await task;
    }
    co_await sleep_for(5ms);
    EXPECT_EQ(ms(), 10);
    go = true;
    while (!ended) std::this_thread::yield();
  };
  EXPECT_EQ(run(main_task), 0);
}

TEST(Thread, AnAbandonedThreadHarmsNobody) {
  static std::atomic<bool> go, finished;
  go = finished = false;
  const auto main_task = []() -> Task<> {
    auto work = [] {
      while (!go) std::this_thread::yield();
      finished = true;
      return 1;
    };
    const auto waiter = [&]() -> Task<> { co_await run_in_thread(work); };
    TaskHandle task = create_task(waiter);
    co_await yield();
    task.cancel();
    EXPECT_EQ(co_await task, TaskState::canceled);
  };
  EXPECT_EQ(microdot::run(main_task()), 0);
  go = true;  // the loop is gone
  while (!finished) std::this_thread::yield();
}

#if MICRODOT_EXCEPTIONS
TEST(Thread, ExceptionsComeBack) {
  const auto main_task = []() -> Task<int> {
    try {
      co_await run_in_thread([]() -> int { throw std::runtime_error("broken"); });
    } catch (const std::runtime_error&) {
      co_return 5;
    }
    co_return 0;
  };
  EXPECT_EQ(microdot::run(main_task()), 5);
}
#endif

}  // namespace
}  // namespace microdot_test
