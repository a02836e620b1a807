// A Channel whose publishers and subscribers are of several loops, each in a thread of its own.

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "sim_run.hpp"

#include <microdot/async/channel.hpp>
#include <microdot/async/gather.hpp>
#include <microdot/async/lock.hpp>
#include <microdot/async/queue.hpp>

namespace microdot_test {
namespace {

struct Said {
  int publisher = 0;
  int number = 0;
};

/// Runs `program(i)` in so many threads, each on a loop and the system's port of its own, and waits for all.
template <typename F>
void run_in_threads(int count, F program) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i)
    threads.emplace_back([&program, i] { EXPECT_EQ(microdot::run(program(i)), 0); });
  for (std::thread& thread : threads) thread.join();
}

TEST(ChannelThreads, SendersWaitAndNothingIsLostNorOutOfOrder) {
  static constexpr int kThreads = 4, kMessages = 2000;
  Channel<Said> channel;
  std::atomic<int> ready{0};
  std::atomic<int> complete{0};
  const auto program = [&](int me) -> Task<> {
    Channel<Said>::Subscription<3> subscription(channel, WhenSlow::wait);
    const auto speak = [&](int who) -> Task<> {
      for (int i = 0; i < kMessages; ++i) co_await channel.send({who, i});
    };
    ++ready;
    while (ready < kThreads) co_await yield();
    TaskHandle speaker = create_task(speak, me);
    int next[kThreads] = {};
    for (int i = 0; i < kThreads * kMessages; ++i) {
      const Result<Said> said = co_await subscription.next();
      if (!said || said->number != next[said->publisher]++) co_return;
    }
    ++complete;
    co_await speaker;
  };
  run_in_threads(kThreads, program);
  EXPECT_EQ(complete, kThreads);
  EXPECT_EQ(channel.dropped(), 0U);
  EXPECT_EQ(channel.subscribers(), 0U);
}

TEST(ChannelThreads, DroppedAndTakenAreAllThereWere) {
  static constexpr int kMessages = 20000;
  Channel<std::shared_ptr<int>> channel;
  std::atomic<int> taken{0};
  std::atomic<unsigned> dropped{0};
  std::atomic<bool> ordered{true};
  const auto listen = [&](int) -> Task<> {
    Channel<std::shared_ptr<int>>::Subscription<4> subscription(channel);
    int last = -1;
    while (auto message = co_await subscription.next()) {
      ++taken;
      if (**message <= last) ordered = false;
      last = **message;
    }
    dropped += subscription.dropped();
  };
  // No loop runs in this one.
  std::thread publisher([&] {
    while (channel.subscribers() < 3) std::this_thread::yield();
    for (int i = 0; i < kMessages; ++i) channel.publish(std::make_shared<int>(i));
    channel.close();
  });
  run_in_threads(3, listen);
  publisher.join();
  EXPECT_TRUE(ordered);
  EXPECT_EQ(static_cast<unsigned>(taken) + dropped, 3U * kMessages);
  EXPECT_EQ(channel.dropped(), dropped);
}

TEST(ChannelThreads, TheyComeAndGoWhileOthersPublish) {
  Channel<int> channel;
  std::atomic<bool> stop{false};
  std::atomic<int> running{2};
  const auto program = [&](int me) -> Task<> {
    if (me < 2) {
      while (!stop) {
        channel.publish(1);
        (void)co_await wait_for(channel.send(2),
                                std::chrono::milliseconds(1));  // some are ended as they wait
        co_await yield();
      }
      co_return;
    }
    for (int i = 0; i < 2000; ++i) {
      const WhenSlow when_slow = i % 3 == 0   ? WhenSlow::wait
                                 : i % 3 == 1 ? WhenSlow::close
                                              : WhenSlow::drop_oldest;
      Channel<int>::Subscription<2> subscription(channel, when_slow);
      for (int j = 0; j < i % 5; ++j)
        (void)co_await wait_for(subscription.next(), std::chrono::microseconds(50 * i % 400));
    }
    if (--running == 0) stop = true;
  };
  run_in_threads(4, program);
  EXPECT_EQ(channel.subscribers(), 0U);
}

#if !defined(NDEBUG) && defined(GTEST_HAS_DEATH_TEST)
// What belongs to one loop says so where it would break.
TEST(LockThreadsDeathTest, AnotherLoopMustNotWaitForIt) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto lend = [] {
    Lock lock;
    std::atomic<bool> held{false};
    std::thread other([&] {
      const auto waits = [&]() -> Task<> {
        while (!held) co_await yield();
        auto guard = co_await lock.acquire();
      };
      microdot::run(waits());
    });
    const auto holds = [&]() -> Task<> {
      {
        auto guard = co_await lock.acquire();
        held = true;
        co_await sleep_for(std::chrono::milliseconds(200));
      }
      co_await sleep_for(std::chrono::milliseconds(1));
    };
    microdot::run(holds());
    other.join();
  };
  EXPECT_DEATH(lend(), "by another thread: see");
}
#endif

}  // namespace
}  // namespace microdot_test
