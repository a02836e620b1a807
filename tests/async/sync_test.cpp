// gather, wait_for, TaskGroup, Event, Semaphore, Lock, Queue: what waits for what, and who ends whom.

#include <memory>
#include <stdexcept>

#include <microdot/async/event.hpp>
#include <microdot/async/gather.hpp>
#include <microdot/async/lock.hpp>
#include <microdot/async/queue.hpp>
#include <microdot/async/task_group.hpp>

#include "sim_run.hpp"

namespace microdot_test {
namespace {

class SyncTest : public AsyncTest {
 protected:
  Task<int> value_after(int time, int value) {
    const Tracer tracer(notes_, std::to_string(value));
    co_await sleep_for(std::chrono::milliseconds(time));
    co_return value;
  }
  Task<> sleeper(int time) { co_await sleep_for(std::chrono::milliseconds(time)); }
};

TEST_F(SyncTest, GatherGivesResultsInTheOrderOfItsArguments) {
  run([&]() -> Task<> {
    auto [a, nothing, c] = co_await gather(value_after(30, 1), sleeper(20), value_after(10, 3));
    static_assert(std::is_same_v<decltype(nothing), std::monostate>);
    EXPECT_EQ(a, 1);
    EXPECT_EQ(c, 3);
    EXPECT_EQ(ms(), 30);
    co_await gather();
    auto [d, e] = co_await gather(wait_for(value_after(50, 4), 10ms), gather(value_after(5, 5)));
    EXPECT_EQ(d.error(), Error::timeout);
    EXPECT_EQ(std::get<0>(e), 5);
  });
  EXPECT_EQ(ms(), 40);
}

TEST_F(SyncTest, EndingWhoAwaitsEndsTheBranches) {
  run([&]() -> Task<> {
    TaskHandle task = create_task([&]() -> Task<> {
      TaskGroup group;
      group.create_task([this]() -> Task<> { co_await gather(value_after(1000, 1), value_after(1000, 2)); });
      co_await gather(group.join(), value_after(1000, 3));
    });
    co_await sleep_for(10ms);
    task.cancel();
    EXPECT_EQ(co_await task, TaskState::canceled);
    EXPECT_EQ(ms(), 10);
  });
  for (const char* end : {"~1", "~2", "~3"}) EXPECT_NE(notes_.find(end), std::string::npos) << notes_;
}

TEST_F(SyncTest, WaitForGivesTheValueOrATimeout) {
  run([&]() -> Task<> {
    const Result<int> value = co_await wait_for(value_after(10, 1), 20ms);
    EXPECT_EQ(*value, 1);
    EXPECT_EQ(ms(), 10);
    const Result<int> late = co_await wait_for(value_after(30, 2), 20ms);
    EXPECT_EQ(late.error(), Error::timeout);
    EXPECT_EQ(ms(), 30);
    EXPECT_EQ(notes_, "~1 ~2") << "it has ended already";
    const Result<void> instant = co_await wait_for(yield(), 0s);
    EXPECT_TRUE(instant || instant.error() == Error::timeout);
    const auto flat = []() -> Task<Result<int>> { co_return Error::closed; };
    const Result<int> closed = co_await wait_for(flat(), 1s);
    EXPECT_EQ(closed.error(), Error::closed);
    const Result<int> nested = co_await wait_for(wait_for(value_after(50, 3), 10ms), 1s);
    EXPECT_EQ(nested.error(), Error::timeout);
    EXPECT_EQ(ms(), 40);
  });
}

TEST_F(SyncTest, ATimeoutTakesNoPermitAndNoValue) {
  run([&]() -> Task<> {
    Event event;
    const Result<void> unset = co_await wait_for(event.wait(), 10ms);
    EXPECT_FALSE(unset);
    Lock lock;
    Queue<int, 1> queue;
    {
      auto guard = co_await lock.acquire();
      const auto other = co_await wait_for(lock.acquire(), 10ms);
      EXPECT_EQ(other.error(), Error::timeout);
    }
    EXPECT_FALSE(lock.locked());
    {
      auto guard = co_await wait_for(lock.acquire(), 10ms);
      EXPECT_TRUE(guard);
      EXPECT_TRUE(lock.locked());
    }
    EXPECT_FALSE(lock.locked());
    const Result<int> none = co_await wait_for(queue.get(), 10ms);
    EXPECT_FALSE(none);
    co_await queue.put(1);
    const Result<void> full = co_await wait_for(queue.put(2), 10ms);
    EXPECT_FALSE(full);
    EXPECT_EQ(co_await queue.get(), 1);
    EXPECT_TRUE(queue.empty());
    EXPECT_TRUE(queue.try_put(3));
  });
}

#if MICRODOT_EXCEPTIONS
TEST_F(SyncTest, TheFirstBranchThatThrowsEndsTheOthers) {
  const auto failing = [](int time, const char* what) -> Task<> {
    co_await sleep_for(std::chrono::milliseconds(time));
    throw std::runtime_error(what);
  };
  run([&]() -> Task<> {
    std::string caught;
    auto branches = gather(value_after(1000, 1), failing(20, "second"), failing(10, "first"));
    try {
      co_await branches;
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "first");
    EXPECT_EQ(notes_, "~1");
    EXPECT_EQ(ms(), 10);
    try {
      TaskGroup group;
      group.create_task([this]() -> Task<> { co_await value_after(1000, 2); });
      group.create_task(failing(10, "in a group"));
      co_await group.join();
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "in a group");
    EXPECT_EQ(notes_, "~1 ~2");
    try {
      static_cast<void>(co_await wait_for(failing(10, "awaited"), 1s));
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "awaited");
    EXPECT_EQ(ms(), 30);
  });
}
#endif

TEST_F(SyncTest, AStopInABranchEndsTheOutermostStrand) {
  run([&]() -> Task<> {
    TaskHandle task = create_task("outer", [&]() -> Task<> {
      const auto stop = []() -> Task<> {
        co_await sleep_for(10ms);
        co_await StopAwaiter(Stop{.cause = Stop::Cause::abort, .status = 404, .reason = "gone"});
      };
      TaskGroup group;
      group.create_task([&]() -> Task<> { co_await gather(stop(), value_after(1000, 1)); });
      static_cast<void>(co_await wait_for(group.join(), 10ms));  // at the same instant
      co_await sleep_for(1s);
      note("never");
    });
    EXPECT_EQ(co_await task, TaskState::failed);
  });
  EXPECT_EQ(task_errors(), (std::vector<std::string>{"outer: gone"}));
  EXPECT_EQ(notes_, "~1");
}

TEST_F(SyncTest, AGroupWakesItsOwnerOnlyFromJoin) {
  run([&]() -> Task<> {
    TaskGroup group;
    group.create_task(sleeper(10));
    co_await sleep_for(1s);
    EXPECT_EQ(ms(), 1000) << "a task that ends must not end another wait";
    Event never;
    group.create_task(sleeper(10));
    const Result<void> result = co_await wait_for(never.wait(), 100ms);
    EXPECT_EQ(result.error(), Error::timeout);
    co_await group.join();
    EXPECT_EQ(ms(), 1100);
    group.create_task(sleeper(50));
    const Result<void> early = co_await wait_for(group.join(), 10ms);
    EXPECT_EQ(early.error(), Error::timeout);
    co_await sleep_for(1s);
    co_await group.join();
  });
}

TEST_F(SyncTest, GroupsGrowEndWithTheirScopeAndReuseMemory) {
  run([&]() -> Task<> {
    {
      TaskGroup group;
      group.create_task([this]() -> Task<> { co_await value_after(1000, 1); });
      co_await yield();
    }
    EXPECT_EQ(notes_, "~1");
    TaskGroup group;
    int count = 0;
    group.create_task([&]() -> Task<> {
      group.create_task([&]() -> Task<> {
        co_await sleep_for(10ms);
        ++count;
      });
      co_return;
    });
    co_await group.join();
    EXPECT_EQ(count, 1);
    std::size_t used = 0;
    for (int i = 0; i < 1000; ++i) {
      group.create_task(sleeper(1));
      co_await sleep_for(2ms);
      if (i == 10) used = task_pool().used();
    }
    EXPECT_LE(task_pool().used(), used + 512) << "what has ended gives its memory back before join";
    group.create_task(Task<>());
    TaskHandle joiner;  // this strand itself would end
    co_await group.join();
    note("never");
  });
  EXPECT_EQ(notes_, "~1");
  EXPECT_NE(log().find("no room"), std::string::npos);
}

TEST_F(SyncTest, EventsWakeAllWhoWait) {
  run([&]() -> Task<> {
    Event event;
    const auto wait = [&](char name) -> Task<> {
      co_await event.wait();
      note(std::string(1, name));
    };
    TaskHandle a = create_task(wait, 'a');
    TaskHandle b = create_task(wait, 'b');
    TaskHandle gone = create_task(wait, 'x');
    co_await yield();
    gone.cancel();
    co_await yield();
    event.set();
    event.clear();
    co_await gather(a, b);
    EXPECT_FALSE(event.is_set());
    event.set();
    co_await event.wait();
  });
  EXPECT_EQ(notes_, "a b");
}

TEST_F(SyncTest, LocksGoToThoseWhoWaitInTheirOrder) {
  run([&]() -> Task<> {
    Lock lock;
    const auto worker = [&](char name) -> Task<> {
      auto guard = co_await lock.acquire();
      note(std::string(1, name));
      co_await sleep_for(10ms);
    };
    co_await gather(worker('a'), worker('b'), worker('c'));
    EXPECT_EQ(ms(), 30);
    EXPECT_FALSE(lock.locked());
    auto first = co_await lock.acquire();
    auto second = std::move(first);
    first.release();
    EXPECT_TRUE(lock.locked());
    second.release();
    second.release();
    EXPECT_FALSE(lock.locked());
  });
  EXPECT_EQ(notes_, "a b c");
}

TEST_F(SyncTest, ACanceledTaskLosesNoPermit) {
  run([&]() -> Task<> {
    Semaphore permits(1);
    const auto worker = [&]() -> Task<> { auto guard = co_await permits.acquire(); };
    auto held = std::make_unique<Semaphore::Guard>(co_await permits.acquire());
    TaskHandle waiting = create_task(worker);
    TaskHandle granted = create_task(worker);
    TaskHandle next = create_task(worker);
    co_await yield();
    waiting.cancel();
    EXPECT_EQ(co_await waiting, TaskState::canceled);
    held.reset();      // the permit is given to `granted`...
    granted.cancel();  // ...which ends before it sees it
    EXPECT_EQ(co_await granted, TaskState::canceled);
    EXPECT_EQ(co_await next, TaskState::done);
    EXPECT_EQ(permits.available(), 1u);
  });
  EXPECT_EQ(ms(), 0);
}

TEST_F(SyncTest, QueuesKeepOrderAndBound) {
  run([&]() -> Task<> {
    Queue<std::unique_ptr<int>, 3> queue;
    const auto producer = [&]() -> Task<> {
      for (int i = 0; i < 100; ++i) {
        co_await queue.put(std::make_unique<int>(i));
        EXPECT_LE(queue.size(), 3u);
      }
    };
    const auto consumer = [&]() -> Task<> {
      for (int i = 0; i < 100; ++i) {
        const std::unique_ptr<int> value = co_await queue.get();
        EXPECT_EQ(*value, i);
        if (i % 7 == 0) co_await sleep_for(1ms);
      }
    };
    co_await gather(producer(), consumer());
    EXPECT_FALSE(queue.try_get().has_value());
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(queue.try_put(std::make_unique<int>(i)));
    EXPECT_TRUE(queue.full());
    EXPECT_FALSE(queue.try_put(nullptr));
  });
}

TEST_F(SyncTest, ACanceledTaskTakesNoValueWithIt) {
  run([&]() -> Task<> {
    Queue<int, 2> queue;
    const auto take = [&]() -> Task<> { static_cast<void>(co_await queue.get()); };
    TaskHandle taker = create_task(take);
    co_await yield();
    EXPECT_TRUE(queue.try_put(1));  // promised to the taker...
    taker.cancel();                 // ...which ends before it sees it
    EXPECT_EQ(co_await taker, TaskState::canceled);
    EXPECT_EQ(co_await queue.get(), 1);
    EXPECT_TRUE(queue.try_put(1));
    EXPECT_TRUE(queue.try_put(2));
    const auto give = [&]() -> Task<> { co_await queue.put(3); };
    TaskHandle giver = create_task(give);
    co_await yield();
    EXPECT_EQ(*queue.try_get(), 1);
    giver.cancel();
    EXPECT_EQ(co_await giver, TaskState::canceled);
    EXPECT_TRUE(queue.try_put(4));
    EXPECT_EQ(co_await queue.get(), 2);
    EXPECT_EQ(co_await queue.get(), 4);
  });
}

#if MICRODOT_EXCEPTIONS
TEST_F(SyncTest, AMoveThatThrowsLosesNeitherPlaceNorValue) {
  static bool armed;
  struct Moody {
    explicit Moody(int n) : value(n) {}
    Moody(Moody&& other) : value(other.value) {
      if (armed) throw std::runtime_error("moved");
    }
    int value;
  };
  armed = false;
  run([&]() -> Task<> {
    Queue<Moody, 1> queue;
    {
      auto put = queue.put(Moody(1));
      armed = true;
      EXPECT_THROW(co_await put, std::runtime_error);
      armed = false;
    }
    EXPECT_TRUE(queue.try_put(Moody(2)));
    armed = true;
    EXPECT_THROW(static_cast<void>(queue.try_get()), std::runtime_error);
    armed = false;
    EXPECT_EQ((co_await queue.get()).value, 2);
  });
}
#endif

}  // namespace
}  // namespace microdot_test
