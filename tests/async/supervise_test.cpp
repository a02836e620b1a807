// supervise: what is run again, when, and what ends it.

#include <microdot/async/supervise.hpp>

#include <stdexcept>

#include <microdot/async/event.hpp>

#include "sim_run.hpp"

namespace microdot_test {
namespace {

class SuperviseTest : public AsyncTest {};

// Fails in each run, after a time, and notes when it began.
Task<Result<void>> fail_after(std::vector<long long>& starts, SimPort& sim, TimePoint start, Duration time) {
  starts.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(sim.clock().now() - start).count());
  if (time > Duration{0}) co_await sleep_for(time);
  co_return Error::io;
}

// What is waited for between two runs lies between half and all of this.
void expect_waits(const std::vector<long long>& starts, std::initializer_list<long long> backoffs,
                  long long run = 0) {
  ASSERT_GE(starts.size(), backoffs.size() + 1);
  std::size_t at = 0;
  for (const long long backoff : backoffs) {
    const long long waited = starts[at + 1] - starts[at] - run;
    EXPECT_GE(waited, backoff / 2) << "before run " << at + 2;
    EXPECT_LE(waited, backoff) << "before run " << at + 2;
    ++at;
  }
}

TEST_F(SuperviseTest, AFailureIsReportedAndRunAgainLaterAndLater) {
  std::vector<long long> starts;
  run([&]() -> Task<> {
    TaskHandle task = supervise("sensor", {.min_backoff = 100ms, .max_backoff = 1s}, fail_after,
                                std::ref(starts), std::ref(sim_), start_, Duration{0});
    co_await sleep_for(1min);
    EXPECT_EQ(task.state(), TaskState::running);
    EXPECT_EQ(Loop::current().task_counts().restarts, starts.size() - 1);
    EXPECT_EQ(Loop::current().task_counts().all, 1u);
  });
  expect_waits(starts, {100, 200, 400, 800, 1000, 1000, 1000});
  ASSERT_EQ(task_errors().size(), starts.size()) << "each run's failure";
  EXPECT_EQ(task_errors().front(), "sensor: input/output error");
  EXPECT_EQ(task_errors().back(), task_errors().front());
}

TEST_F(SuperviseTest, TheWaitsAreNotTheSameForAll) {
  std::vector<long long> a, b;
  run([&]() -> Task<> {
    supervise("a", {.min_backoff = 1s}, fail_after, std::ref(a), std::ref(sim_), start_, Duration{0});
    supervise("b", {.min_backoff = 1s}, fail_after, std::ref(b), std::ref(sim_), start_, Duration{0});
    co_await sleep_for(5s);
  });
  ASSERT_GE(a.size(), 3u);
  ASSERT_GE(b.size(), 3u);
  EXPECT_NE(std::vector(a.begin(), a.begin() + 3), std::vector(b.begin(), b.begin() + 3));
}

TEST_F(SuperviseTest, ARunThatLastedLetsTheWaitBeginAnew) {
  std::vector<long long> starts;
  run([&]() -> Task<> {
    supervise("sensor", {.min_backoff = 100ms, .max_backoff = 400ms}, fail_after, std::ref(starts),
              std::ref(sim_), start_, Duration(400ms));
    co_await sleep_for(10s);
  });
  expect_waits(starts, {100, 100, 100, 100}, 400);
}

TEST_F(SuperviseTest, GivesUpAfterSoManyRestarts) {
  std::vector<long long> starts;
  run([&]() -> Task<> {
    TaskHandle task = supervise("sensor", {.max_restarts = 2}, fail_after, std::ref(starts), std::ref(sim_),
                                start_, Duration{0});
    EXPECT_EQ(co_await task, TaskState::failed);
  });
  EXPECT_EQ(starts.size(), 3u);
  ASSERT_EQ(task_errors().size(), 4u);
  EXPECT_EQ(task_errors().back(), "sensor: given up after 2 restarts");
}

TEST_F(SuperviseTest, GivesUpAlsoWithoutAWaitBetween) {
  int runs = 0;
  run([&]() -> Task<> {
    TaskHandle task =
        supervise("sensor", {.max_backoff = 0s, .max_restarts = 2}, [&]() -> Task<Result<void>> {
          if (++runs == 10) co_return Result<void>();  // or it would go on forever
          co_return Error::io;
        });
    EXPECT_EQ(co_await task, TaskState::failed);
  });
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(ms(), 0);
}

TEST_F(SuperviseTest, ThePolicySaysWhichEndsAreFollowedByARun) {
  int on_failure = 0, always = 0, never = 0;
  run([&]() -> Task<> {
    const auto returns = [](int& runs) -> Task<> {
      ++runs;
      co_return;
    };
    const auto fails = [](int& runs) -> Task<Result<void>> {
      ++runs;
      co_return Error::io;
    };
    TaskHandle a = supervise("a", {.restart = Restart::on_failure}, returns, std::ref(on_failure));
    TaskHandle b = supervise({.restart = Restart::always, .min_backoff = 1s}, returns, std::ref(always));
    TaskHandle c = supervise("c", {.restart = Restart::never}, fails, std::ref(never));
    EXPECT_EQ(co_await a, TaskState::done);
    EXPECT_EQ(co_await c, TaskState::failed);
    co_await sleep_for(10s);
    EXPECT_FALSE(b.done());
  });
  EXPECT_EQ(on_failure, 1);
  EXPECT_EQ(never, 1);
  EXPECT_GE(always, 10) << "a second at most between runs that do not fail";
  EXPECT_LE(always, 21);
}

TEST_F(SuperviseTest, ARunThatTakesTooLongHasFailed) {
  run([&]() -> Task<> {
    TaskHandle task =
        supervise("stuck", {.min_backoff = 1ms, .max_restarts = 1, .deadline = 3s}, [&]() -> Task<> {
          const Tracer tracer(notes_, "run");
          Event never;
          co_await never.wait();
        });
    co_await sleep_for(2s);
    EXPECT_EQ(notes_, "");
    EXPECT_EQ(co_await task, TaskState::failed);
  });
  EXPECT_EQ(notes_, "~run ~run") << "its locals are destroyed";
  EXPECT_GE(ms(), 6000);
  EXPECT_LE(ms(), 6002);
  ASSERT_EQ(task_errors().size(), 3u);
  EXPECT_EQ(task_errors()[0], "stuck: took longer than its deadline");
  EXPECT_EQ(task_errors()[1], "stuck: took longer than its deadline");
}

TEST_F(SuperviseTest, EachRunGetsItsArgumentsAnew) {
  const std::string word(50, 'w');
  run([&]() -> Task<> {
    const auto body = [this](std::string by_value, const std::string& by_reference) -> Task<Result<void>> {
      co_await yield();
      EXPECT_EQ(by_value, std::string(50, 'w'));
      EXPECT_EQ(by_reference, std::string(50, 'w'));
      by_value.clear();
      note("run");
      co_return Error::io;
    };
    co_await supervise("words", {.max_restarts = 2}, body, word, word);
  });
  EXPECT_EQ(notes_, "run run run");
}

TEST_F(SuperviseTest, CancelEndsTheRunOrTheWaitForOne) {
  run([&]() -> Task<> {
    TaskHandle running = supervise("running", {}, [this]() -> Task<> {
      const Tracer tracer(notes_, "run");
      co_await sleep_for(1h);
    });
    std::vector<long long> starts;
    TaskHandle waiting = supervise("waiting", {.min_backoff = 1h, .max_backoff = 1h}, fail_after,
                                   std::ref(starts), std::ref(sim_), start_, Duration{0});
    co_await sleep_for(1s);
    running.cancel();
    waiting.cancel();
    EXPECT_EQ(co_await running, TaskState::canceled);
    EXPECT_EQ(co_await waiting, TaskState::canceled);
    EXPECT_EQ(notes_, "~run");
    EXPECT_EQ(Loop::current().task_counts().all, 0u);
    co_await sleep_for(2h);
    EXPECT_EQ(starts.size(), 1u);
  });
}

TEST_F(SuperviseTest, ATaskMayCancelItself) {
  int runs = 0;
  run([&]() -> Task<> {
    TaskHandle self;
    self = supervise("self", {.restart = Restart::always, .min_backoff = 1ms}, [&]() -> Task<> {
      if (++runs == 3) self.cancel();
      co_await yield();
    });
    EXPECT_EQ(co_await self, TaskState::canceled);
  });
  EXPECT_EQ(runs, 3);
}

TaskHandle told;  // of what `note_and_cancel` cancels
void note_and_cancel(const TaskError& error) {
  task_errors().push_back(std::string(error.name) + ": " + std::string(error.reason));
  told.cancel();
}

TEST_F(SuperviseTest, WhoIsToldOfAFailureMayCancel) {
  on_task_error(note_and_cancel);
  int runs = 0;
  const auto fails = [&]() -> Task<Result<void>> {
    ++runs;
    co_return Error::io;
  };
  const auto aborts = [&]() -> Task<> {
    ++runs;
    co_await StopAwaiter(Stop{.cause = Stop::Cause::abort, .status = 500, .reason = "no sensor"});
  };
  const auto leaves_no_room = [&]() -> Task<> {
    ++runs;
    task_pool().fail_after(0, 1);
    co_return;
  };
  const RestartPolicy policy{
      .restart = Restart::always, .min_backoff = 1ms, .max_backoff = 1s, .max_restarts = 3};
  const auto expect_canceled = [&](std::string_view error) -> Task<> {
    EXPECT_EQ(co_await told, TaskState::canceled) << error;
    EXPECT_EQ(runs, 1) << error;
    EXPECT_EQ(task_errors(), std::vector{"sensor: " + std::string(error)});
    EXPECT_EQ(Loop::current().task_counts().all, 0u) << error;
    told = {};
    runs = 0;
    task_errors().clear();
  };
  run([&]() -> Task<> {
    told = supervise("sensor", policy, fails);
    co_await expect_canceled("input/output error");
    told = supervise("sensor", policy, aborts);
    co_await expect_canceled("no sensor");
    told = supervise("sensor", policy, leaves_no_room);
    co_await expect_canceled("no room for a coroutine frame");
  });
}

TEST_F(SuperviseTest, SoMayTheCallableBeforeItIsACoroutine) {
  int called = 0;
  run([&]() -> Task<> {
    TaskHandle self;
    const auto body = [this]() -> Task<> {
      note("run");
      co_return;
    };
    self = supervise({.restart = Restart::always, .min_backoff = 1ms}, [&]() -> Task<> {
      if (++called == 2) self.cancel();
      return body();
    });
    EXPECT_EQ(co_await self, TaskState::canceled);
    EXPECT_EQ(Loop::current().task_counts().all, 0u);
    co_await sleep_for(1s);
  });
  EXPECT_EQ(called, 2);
  EXPECT_EQ(notes_, "run");
}

TEST_F(SuperviseTest, EndsWithTheLoopInWhateverState) {
  std::vector<long long> starts;
  run([&]() -> Task<> {
    supervise("running", {}, [this]() -> Task<> {
      const Tracer tracer(notes_, "run");
      co_await sleep_for(1h);
    });
    supervise("waiting", {.min_backoff = 1h, .max_backoff = 1h}, fail_after, std::ref(starts), std::ref(sim_),
              start_, Duration{0});
    co_await sleep_for(1s);
  });
  EXPECT_EQ(notes_, "~run");
}

TEST_F(SuperviseTest, AnAbortEndsTheRunOnly) {
  run([&]() -> Task<> {
    co_await supervise("aborts", {.max_restarts = 1}, []() -> Task<> {
      co_await StopAwaiter(Stop{.cause = Stop::Cause::abort, .status = 500, .reason = "no sensor"});
    });
  });
  ASSERT_EQ(task_errors().size(), 3u);
  EXPECT_EQ(task_errors()[1], "aborts: no sensor");
}

TEST_F(SuperviseTest, ARunWithoutMemoryIsTriedAgain) {
  int runs = 0;
  run([&]() -> Task<> {
    const auto inner = [&]() -> Task<> {
      ++runs;
      co_return;
    };
    // The node is made, then two runs find no room for their frames.
    task_pool().fail_after(1, 2);
    TaskHandle task = supervise("sensor", {}, inner);
    EXPECT_EQ(co_await task, TaskState::done);
  });
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(task_errors(), (std::vector<std::string>{"sensor: no room for a coroutine frame",
                                                     "sensor: no room for a coroutine frame"}));
}

TEST_F(SuperviseTest, AFirstRunWithoutMemoryMayBeTheLast) {
  run([&]() -> Task<> {
    task_pool().fail_after(1, 1);
    TaskHandle task = supervise("sensor", {.restart = Restart::never}, []() -> Task<> { co_return; });
    EXPECT_EQ(task.state(), TaskState::failed);
    EXPECT_EQ(Loop::current().task_counts().all, 0u);
    co_await yield();
  });
  EXPECT_EQ(task_errors(), std::vector<std::string>{"sensor: no room for a coroutine frame"});
}

TEST_F(SuperviseTest, CancelEndsTheWaitAfterAFirstRunWithoutMemory) {
  run([&]() -> Task<> {
    task_pool().fail_after(1, 1);
    TaskHandle task = supervise("sensor", {}, []() -> Task<> { co_return; });
    EXPECT_EQ(task.state(), TaskState::running);
    task.cancel();
    EXPECT_EQ(task.state(), TaskState::canceled);
    EXPECT_EQ(Loop::current().task_counts().all, 0u);
    co_await yield();
  });
}

TEST_F(SuperviseTest, WithoutMemoryForItselfItFailsAtOnce) {
  run([&]() -> Task<> {
    task_pool().fail_after(0, 1);
    TaskHandle task = supervise("sensor", {}, []() -> Task<> { co_return; });
    EXPECT_EQ(task.state(), TaskState::failed);
    co_await yield();
  });
  EXPECT_EQ(task_errors(), std::vector<std::string>{"sensor: no room for it in the task pool"});
}

#if MICRODOT_EXCEPTIONS
TEST_F(SuperviseTest, ATaskThatThrowsHarmsNobodyAndIsRunAgain) {
  int runs = 0;
  run([&]() -> Task<> {
    supervise("sensor", {}, [&]() -> Task<> {
      co_await yield();
      if (++runs < 3) throw std::runtime_error("bus error " + std::to_string(runs));
      co_await sleep_for(1h);
    });
    create_task("other", [this]() -> Task<> {
      for (int i = 0; i < 3; ++i) co_await sleep_for(1s);
      note("other");
    });
    co_await sleep_for(10s);
  });
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(notes_, "other");
  EXPECT_EQ(task_errors(), (std::vector<std::string>{"sensor: bus error 1", "sensor: bus error 2"}));
}

TEST_F(SuperviseTest, SoIsOneThatThrowsBeforeItIsACoroutine) {
  int runs = 0;
  run([&]() -> Task<> {
    const auto body = []() -> Task<> { co_return; };
    TaskHandle task = supervise("sensor", {}, [&runs, &body]() -> Task<> {
      if (++runs < 3) throw std::runtime_error("not yet");
      return body();
    });
    EXPECT_EQ(co_await task, TaskState::done);
  });
  EXPECT_EQ(task_errors(), (std::vector<std::string>{"sensor: not yet", "sensor: not yet"}));
}
#endif

}  // namespace
}  // namespace microdot_test
