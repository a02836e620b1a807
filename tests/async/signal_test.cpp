// Signal: in the simulator, and those of the system.

#include <microdot/async/signal.hpp>

#include <csignal>
#include <deque>
#include <thread>

#include <microdot/async/gather.hpp>

#include "sim_run.hpp"

namespace microdot_test {
namespace {

class SignalTest : public AsyncTest {};

TEST_F(SignalTest, EachIsWaitedForAndCounted) {
  sim_.raise_signal(SIGHUP);  // nobody watches
  run([&]() -> Task<> {
    create_task([this]() -> Task<> {
      Signal hangup(SIGHUP);
      while (const unsigned times = co_await hangup.next()) note("hup" + std::to_string(times));
    });
    co_await sleep_for(1s);
    EXPECT_EQ(notes_, "");
    sim_.raise_signal(SIGHUP);
    sim_.raise_signal(SIGUSR1);
    co_await sleep_for(1s);
    sim_.raise_signal(SIGHUP);
    sim_.raise_signal(SIGHUP);
    co_await sleep_for(1s);
  });
  EXPECT_EQ(notes_, "hup1 hup2");
}

TEST_F(SignalTest, NoneIsLostWhileItsTaskOrTheLoopIsBusy) {
  run([&]() -> Task<> {
    Signal hangup(SIGHUP);
    sim_.raise_signal(SIGHUP);  // before anybody waits
    sim_.advance(2s);
    EXPECT_EQ(co_await hangup.next(), 1u);
    TaskHandle canceled = create_task([&hangup]() -> Task<> { (void)co_await hangup.next(); });
    co_await yield();
    sim_.raise_signal(SIGHUP);
    canceled.cancel();
    co_await canceled;
    EXPECT_EQ(co_await hangup.next(), 1u) << "whoever waited for it was ended";
    const auto none = co_await wait_for(hangup.next(), 1s);
    EXPECT_EQ(none.error(), Error::timeout);
  });
}

TEST_F(SignalTest, SomeCannotBeWaitedFor) {
  run([&]() -> Task<> {
    for (const int number : {SIGINT, SIGTERM, 0, -1, 1000}) {
      Signal signal(number);
      EXPECT_EQ(co_await signal.next(), 0u) << number;
    }
  });
  const int result = microdot::run([]() -> Task<> {
    for (const int number : {SIGINT, SIGTERM, SIGKILL, SIGSEGV, 0, -1, 1000}) {
      Signal signal(number);
      EXPECT_EQ(co_await signal.next(), 0u) << number;
    }
  }());
  EXPECT_EQ(result, 0);
}

// A thread's poller is woken by those that it watches itself.
TEST_F(SignalTest, OneThatWouldNotBeWokenIsRefused) {
  const int result = microdot::run([]() -> Task<> {
    std::deque<Signal> all;
    for (int i = 0; i < 200; ++i) all.emplace_back(SIGUSR1);
    std::thread([] {
      const int in_thread = microdot::run([]() -> Task<> {
        Signal signal(SIGUSR1);
        create_task([]() -> Task<> {
          co_await sleep_for(1ms);
          std::raise(SIGUSR1);
        });
        const auto times = co_await wait_for(signal.next(), 5s);
        EXPECT_EQ(times.value_or(1), 0u) << "waits for what may never wake it";
      }());
      EXPECT_EQ(in_thread, 0);
    }).join();
    std::raise(SIGUSR1);
    EXPECT_GT(co_await all.front().next(), 0u) << "the others can";
    all.clear();
    Signal again(SIGUSR1);
    std::raise(SIGUSR1);
    EXPECT_EQ(co_await again.next(), 1u) << "there is room again";
  }());
  EXPECT_EQ(result, 0);
}

volatile std::sig_atomic_t handled = 0;
extern "C" void note_signal(int) { handled = handled + 1; }

TEST_F(SignalTest, OfTheSystemAndWhatWasThereBeforeComesBack) {
  handled = 0;
  const auto before = std::signal(SIGUSR1, note_signal);
  const int result = microdot::run([]() -> Task<> {
    {
      Signal first(SIGUSR1);
      Signal second(SIGUSR1);
      std::raise(SIGUSR1);
      EXPECT_EQ(co_await first.next(), 1u);
      EXPECT_EQ(co_await second.next(), 1u) << "each who watches";
      TaskHandle raiser = create_task([]() -> Task<> {
        co_await yield();
        std::raise(SIGUSR1);
      });
      EXPECT_EQ(co_await first.next(), 1u);
    }
    std::raise(SIGUSR1);
    co_return;
  }());
  EXPECT_EQ(result, 0);
  EXPECT_EQ(handled, 1) << "only the last one came to the handler from before";
  std::signal(SIGUSR1, before);
}

}  // namespace
}  // namespace microdot_test
