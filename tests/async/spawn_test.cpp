// create_task, TaskHandle, on_task_error, shield, run.

#include <microdot/async/spawn.hpp>

#include <csignal>
#include <memory>
#include <stdexcept>

#include <microdot/async/event.hpp>
#include <microdot/async/gather.hpp>
#include <microdot/async/lock.hpp>
#include <microdot/async/task_group.hpp>

#include "sim_run.hpp"

namespace microdot_test {
namespace {

class SpawnTest : public AsyncTest {};

Task<> sleeper(Duration time) { co_await sleep_for(time); }
Task<> add(int& total, int n) {
  co_await yield();
  total += n;
}
Task<> take(std::unique_ptr<int> value, std::string& notes) {
  co_await yield();
  notes += std::to_string(*value);
}
StopAwaiter abort_with(std::uint16_t status, std::string_view reason) {
  return StopAwaiter(Stop{.cause = Stop::Cause::abort, .status = status, .reason = reason});
}

TEST_F(SpawnTest, ATaskOrACallableWithItsArguments) {
  int total = 0;
  run([&]() -> Task<> {
    TaskHandle a = create_task(add(total, 1));
    TaskHandle b = create_task("named", add(total, 10));
    TaskHandle c = create_task(add, std::ref(total), 100);
    TaskHandle d = create_task("named", add, std::ref(total), 1000);
    auto number = std::make_unique<int>(7);
    TaskHandle e = create_task(take, std::move(number), std::ref(notes_));
    EXPECT_FALSE(a.done());
    EXPECT_EQ(total, 0) << "runs when the loop comes to it";
    co_await gather(a, b, c, d, e);
    EXPECT_EQ(a.state(), TaskState::done);
    EXPECT_EQ(co_await e, TaskState::done) << "awaited again: ready at once";
  });
  EXPECT_EQ(total, 1111);
  EXPECT_EQ(notes_, "7");
}

TEST_F(SpawnTest, LambdasKeepTheirCaptures) {
  run([&]() -> Task<> {
    TaskHandle task;
    {
      const std::string word(50, 'w');
      task = create_task([this, word, tracer = Tracer(notes_, "closure")]() -> Task<> {
        co_await sleep_for(1s);
        EXPECT_EQ(word, std::string(50, 'w'));
        note("ran");
      });
    }
    co_await task;
    task = {};
    note("end");
  });
  EXPECT_EQ(notes_, "ran ~closure end");
}

TEST_F(SpawnTest, AHandleThatGoesLeavesItsTaskRunning) {
  run([&]() -> Task<> {
    create_task([this]() -> Task<> {
      co_await sleep_for(1s);
      note("ran");
    });
    co_await sleep_for(2s);
  });
  EXPECT_EQ(notes_, "ran");
}

TEST_F(SpawnTest, TheHandleThatIsAwaitedMayGo) {
  run([&]() -> Task<> {
    TaskHandle task = create_task(sleeper, Duration(1s));
    TaskHandle other = create_task([&]() -> Task<> {
      task = {};
      co_return;
    });
    EXPECT_EQ(co_await task, TaskState::done);
    EXPECT_EQ(ms(), 1000);
  });
}

TEST_F(SpawnTest, CopiesReferToOneTask) {
  run([&]() -> Task<> {
    TaskHandle a = create_task(sleeper, Duration(1h));
    TaskHandle b = a;
    const TaskHandle& same = b;
    b = same;
    TaskHandle c = std::move(a);
    c.cancel();
    EXPECT_FALSE(b.done()) << "soon, not now";
    EXPECT_EQ(co_await b, TaskState::canceled);
    EXPECT_TRUE(c.done());
    EXPECT_EQ(TaskHandle().state(), TaskState::failed);
    TaskHandle().cancel();
    EXPECT_EQ(co_await TaskHandle(), TaskState::failed);
  });
  EXPECT_EQ(ms(), 0);
}

TEST_F(SpawnTest, ManyMayWaitForOneTask) {
  run([&]() -> Task<> {
    TaskHandle task = create_task(sleeper, Duration(1s));
    const auto wait = [this](TaskHandle handle, char name) -> Task<> {
      co_await handle;
      note(std::string(1, name));
    };
    co_await gather(wait(task, 'a'), wait(task, 'b'), wait(task, 'c'));
  });
  EXPECT_EQ(notes_, "a b c");
}

TEST_F(SpawnTest, CancelAtEveryMoment) {
  run([&]() -> Task<> {
    const auto body = [this]() -> Task<> {
      const Tracer tracer(notes_, "body");
      note("begin");
      co_await sleep_for(1s);
      note("never");
    };
    TaskHandle unstarted = create_task(body);
    unstarted.cancel();
    unstarted.cancel();
    EXPECT_EQ(co_await unstarted, TaskState::canceled);
    EXPECT_EQ(notes_, "");

    TaskHandle waiting = create_task(body);
    co_await yield();
    waiting.cancel();
    EXPECT_EQ(co_await waiting, TaskState::canceled);
    EXPECT_EQ(notes_, "begin ~body");

    notes_.clear();
    Event event;
    TaskHandle ready = create_task([&]() -> Task<> {
      co_await event.wait();
      note("never");
    });
    co_await yield();
    event.set();  // it is about to go on
    ready.cancel();
    EXPECT_EQ(co_await ready, TaskState::canceled);

    ready.cancel();  // an ended one: nothing
    EXPECT_EQ(ready.state(), TaskState::canceled);
    EXPECT_EQ(notes_, "");
  });
}

TEST_F(SpawnTest, ATaskMayCancelItself) {
  run([&]() -> Task<> {
    TaskHandle self;
    self = create_task([&]() -> Task<> {
      const Tracer tracer(notes_, "outer");
      const auto inner = [&]() -> Task<> {
        const Tracer tracer2(notes_, "inner");
        self.cancel();
        note("goes on to its next wait");
        co_await yield();
        note("never");
      };
      co_await inner();
      note("never");
    });
    EXPECT_EQ(co_await self, TaskState::canceled);

    self = create_task([&]() -> Task<> {
      self.cancel();
      co_return;  // without another wait
    });
    EXPECT_EQ(co_await self, TaskState::canceled);
    self = create_task([&]() -> Task<> {
      self = {};  // drops its own last handle
      co_await yield();
      note("end");
    });
    co_await sleep_for(1s);
  });
  EXPECT_EQ(notes_, "goes on to its next wait ~inner ~outer end");
}

TEST_F(SpawnTest, ChildrenAndDestructorsMayCancelOthers) {
  run([&]() -> Task<> {
    TaskHandle parent;
    parent = create_task([&]() -> Task<> {
      TaskHandle child = create_task([&]() -> Task<> {
        parent.cancel();
        co_return;
      });
      co_await child;
      co_await sleep_for(1h);
    });
    EXPECT_EQ(co_await parent, TaskState::canceled);

    struct Canceler {
      ~Canceler() { handle.cancel(); }
      TaskHandle handle;
    };
    TaskHandle victim = create_task(sleeper, Duration(1h));
    TaskHandle killer = create_task([victim]() -> Task<> {
      const Canceler canceler{victim};
      co_await sleep_for(1h);
    });
    co_await yield();
    killer.cancel();
    EXPECT_EQ(co_await victim, TaskState::canceled);
  });
  EXPECT_EQ(ms(), 0);
}

TEST_F(SpawnTest, AFailureIsReportedByNameAndHarmsNoOther) {
  run([&]() -> Task<> {
    TaskHandle good = create_task([this]() -> Task<> {
      co_await sleep_for(1s);
      note("good");
    });
    TaskHandle aborted =
        create_task("aborted", []() -> Task<> { co_await abort_with(404, "no such sensor"); });
    TaskHandle silent = create_task("silent", []() -> Task<> { co_await abort_with(404, {}); });
    TaskHandle error = create_task("error", []() -> Task<Result<void>> { co_return Error::address_in_use; });
    TaskHandle wrong = create_task("wrong", []() -> Task<Result<int>> { co_return Error::timeout; });
    TaskHandle fine = create_task("fine", []() -> Task<Result<int>> { co_return 3; });
    TaskHandle branch = create_task("a name of more than 24 bytes", []() -> Task<> {
      const auto deep = []() -> Task<> { co_await abort_with(400, "in a branch"); };
      co_await gather(deep(), sleeper(Duration(1h)));
    });
    EXPECT_EQ(co_await aborted, TaskState::failed);
    EXPECT_EQ(co_await silent, TaskState::failed);
    EXPECT_EQ(co_await error, TaskState::failed);
    EXPECT_EQ(co_await wrong, TaskState::failed);
    EXPECT_EQ(co_await fine, TaskState::done);
    EXPECT_EQ(co_await branch, TaskState::failed);
    EXPECT_EQ(co_await good, TaskState::done);
  });
  EXPECT_EQ(notes_, "good");
  std::vector<std::string> errors = task_errors();
  std::sort(errors.begin(), errors.end());
  EXPECT_EQ(errors, (std::vector<std::string>{"a name of more than 24 b: in a branch",
                                              "aborted: no such sensor", "error: address already in use",
                                              "silent: aborted", "wrong: timed out"}));
}

#if MICRODOT_EXCEPTIONS
TEST_F(SpawnTest, ExceptionsAreReported) {
  run([&]() -> Task<> {
    TaskHandle now = create_task("now", []() -> Task<> {
      throw std::runtime_error("broken");
      co_return;
    });
    TaskHandle later = create_task("later", []() -> Task<> {
      co_await sleep_for(1s);
      throw 42;
    });
    EXPECT_EQ(co_await now, TaskState::failed);
    EXPECT_EQ(co_await later, TaskState::failed);
  });
  EXPECT_EQ(task_errors(),
            (std::vector<std::string>{"now: broken", "later: an exception that is not a std::exception"}));
}

TEST_F(SpawnTest, ACallableThatThrowsOnItsWayInLeavesNothing) {
  struct Throwing {
    Throwing() = default;
    Throwing(const Throwing&) { throw std::runtime_error("copy"); }
  };
  run([&]() -> Task<> {
    const std::size_t before = task_pool().used();
    const Throwing argument;
    EXPECT_THROW(create_task([](Throwing) -> Task<> { co_return; }, argument), std::runtime_error);
    EXPECT_EQ(task_pool().used(), before);
    co_return;
  });
}
#endif

TEST_F(SpawnTest, WithoutAHandlerFailuresGoToTheLog) {
  on_task_error(nullptr);
  run([&]() -> Task<> {
    co_await create_task("mqtt", []() -> Task<> { co_await abort_with(500, "broker is gone"); });
  });
  EXPECT_NE(log().find("task \"mqtt\" failed: broker is gone"), std::string::npos) << log();
}

TEST_F(SpawnTest, ATaskWhoseFrameLiesInARequestsMemoryIsRefused) {
  std::vector<std::byte> memory(4096);
  Arena request(memory);
  run([&]() -> Task<> {
    TaskHandle refused;
    TaskHandle kept;
    {
      const ArenaScope scope(request);
      refused = create_task("refused", sleeper(Duration(1s)));
      kept = create_task("kept", sleeper, Duration(1s));
    }
    EXPECT_EQ(request.used(), 0u);
    EXPECT_EQ(refused.state(), TaskState::failed);
    EXPECT_EQ(co_await kept, TaskState::done);
  });
  ASSERT_EQ(task_errors().size(), 1u);
  EXPECT_EQ(task_errors()[0], "refused: its frame lies in a request's memory: use create_task(f, args...)");
}

TEST_F(SpawnTest, AFullPoolGivesFailedHandlesAndReports) {
  run([&]() -> Task<> {
    std::vector<void*> taken;
    for (const std::size_t size : {65536u, 4096u, 256u, 16u}) {
      while (void* p = task_pool().allocate(size)) taken.push_back(p);
    }
    TaskHandle a = create_task("a", sleeper(Duration(1s)));
    TaskHandle b = create_task("b", sleeper, Duration(1s));
    EXPECT_EQ(a.state(), TaskState::failed);
    EXPECT_EQ(b.state(), TaskState::failed);
    b.cancel();
    // Room for the node, but not for the frame behind it.
    Arena::free(taken.front());
    std::vector<void*> more;
    struct Big {
      std::byte bytes[40000];
    };
    const auto big = [](Big, Big) -> Task<> { co_await yield(); };
    TaskHandle c = create_task("c", big, Big{}, Big{});
    EXPECT_EQ(c.state(), TaskState::failed);
    for (std::size_t i = 1; i < taken.size(); ++i) Arena::free(taken[i]);
    TaskHandle d = create_task("d", sleeper, Duration(1s));
    EXPECT_EQ(co_await d, TaskState::done);
  });
  EXPECT_EQ(task_errors(), (std::vector<std::string>{"a: no room for it in the task pool",
                                                     "b: no room for it in the task pool",
                                                     "c: no room for it in the task pool"}));
}

TEST_F(SpawnTest, WithoutALoopThereIsNoTask) {
  TaskHandle handle = create_task("early", sleeper, Duration(1s));
  EXPECT_EQ(handle.state(), TaskState::failed);
  EXPECT_EQ(task_errors(), (std::vector<std::string>{"early: no loop runs in this thread"}));
}

TEST_F(SpawnTest, TasksEndWithTheMainTaskAndHandlesOutliveTheLoop) {
  TaskHandle left;
  Lock lock;
  run([&]() -> Task<> {
    left = create_task([&]() -> Task<> {
      const Tracer tracer(notes_, "left");
      auto guard = co_await lock.acquire();
      co_await sleep_for(1h);
    });
    create_task([&]() -> Task<> {
      const Tracer tracer(notes_, "second");
      auto guard = co_await lock.acquire();  // gets it while everything ends
      note("never");
    });
    create_task([]() -> Task<> {  // starts another while it ends
      struct Starter {
        ~Starter() { create_task("late", sleeper, Duration(1s)); }
      } starter;
      co_await sleep_for(1h);
    });
    co_await sleep_for(1s);
  });
  EXPECT_EQ(notes_, "~left ~second");
  EXPECT_EQ(left.state(), TaskState::canceled);
  EXPECT_FALSE(lock.locked());
  left.cancel();
  EXPECT_EQ(run([&]() -> Task<int> { co_return co_await left == TaskState::canceled ? 5 : 6; }), 5);
  left = {};
}

// shield

class ShieldTest : public AsyncTest {};

TEST_F(ShieldTest, GivesTheResult) {
  run([&]() -> Task<> {
    const std::string text(40, 'x');
    const auto work = [](std::string copy) -> Task<std::string> {
      co_await sleep_for(1s);
      co_return copy + "!";
    };
    const std::string result = co_await shield(work, text);
    EXPECT_EQ(result, text + "!");
    const auto error = []() -> Task<Result<int>> { co_return Error::closed; };
    const Result<int> closed = co_await shield(error);
    EXPECT_EQ(closed.error(), Error::closed);
  });
  EXPECT_TRUE(task_errors().empty()) << "whoever waits has the failure";
}

TEST_F(ShieldTest, TheWorkIsFinishedThoughNobodyWaits) {
  run([&]() -> Task<> {
    const auto work = [this]() -> Task<Result<void>> {
      co_await sleep_for(1s);
      note("done");
      co_return Error::closed;
    };
    TaskHandle waiting = create_task([&]() -> Task<> {
      static_cast<void>(co_await shield(work));
      note("never");
    });
    co_await sleep_for(10ms);
    waiting.cancel();
    EXPECT_EQ(co_await waiting, TaskState::canceled);
    co_await sleep_for(2s);
  });
  EXPECT_EQ(notes_, "done");
  EXPECT_EQ(task_errors(), (std::vector<std::string>{"shield: peer closed the connection"}));
}

TEST_F(ShieldTest, AnAbortEndsWhoWaits) {
  run([&]() -> Task<> {
    TaskHandle task = create_task("outer", []() -> Task<> {
      const auto work = []() -> Task<int> {
        co_await sleep_for(1s);
        co_await abort_with(409, "conflict");
        co_return 1;
      };
      co_await shield(work);
    });
    EXPECT_EQ(co_await task, TaskState::failed);
  });
  EXPECT_EQ(task_errors(), (std::vector<std::string>{"outer: aborted"}));
}

#if MICRODOT_EXCEPTIONS
TEST_F(ShieldTest, ExceptionsAreRethrownOrReported) {
  run([&]() -> Task<> {
    const auto work = []() -> Task<int> {
      co_await sleep_for(1s);
      throw std::runtime_error("broken");
    };
    std::string caught;
    try {
      co_await shield(work);
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "broken");
    EXPECT_TRUE(task_errors().empty());
    TaskHandle waiting = create_task([&]() -> Task<> { co_await shield(work); });
    co_await sleep_for(10ms);
    waiting.cancel();
    co_await sleep_for(2s);
  });
  EXPECT_EQ(task_errors(), (std::vector<std::string>{"shield: broken"}));
}
#endif

// run

class RunTest : public AsyncTest {};

TEST_F(RunTest, GivesTheMainTasksNumber) {
  EXPECT_EQ(run([]() -> Task<int> { co_return 42; }), 42);
  EXPECT_EQ(run([]() -> Task<> { co_return; }), 0);
  EXPECT_EQ(run([]() -> Task<Result<void>> { co_return Result<void>(); }), 0);
  EXPECT_EQ(log(), "");
}

TEST_F(RunTest, FailuresGiveOneAndAReason) {
  EXPECT_EQ(run([]() -> Task<Result<void>> { co_return Error::address_in_use; }), 1);
  EXPECT_NE(log().find("main task failed: address already in use"), std::string::npos) << log();
  sim_.clear_log();
  EXPECT_EQ(run([]() -> Task<> { co_await abort_with(500, "no sensor"); }), 1);
  EXPECT_NE(log().find("main task failed: no sensor"), std::string::npos) << log();
  sim_.clear_log();
  EXPECT_EQ(microdot::run(Task<>(), sim_), 1);
  EXPECT_NE(log().find("main task failed: no room"), std::string::npos) << log();
  sim_.clear_log();
  EXPECT_EQ(run([]() -> Task<int> {
              co_await Task<>();
              co_return 0;
            }),
            1);
  EXPECT_NE(log().find("main task failed: no room"), std::string::npos) << log();
#if MICRODOT_EXCEPTIONS
  sim_.clear_log();
  EXPECT_EQ(run([]() -> Task<int> {
              throw std::runtime_error("broken");
              co_return 0;
            }),
            1);
  EXPECT_NE(log().find("main task failed: broken"), std::string::npos) << log();
#endif
}

TEST_F(RunTest, TheFirstSignalAsksAndTheSecondEnds) {
  EXPECT_EQ(run([&]() -> Task<int> {
              create_task([this]() -> Task<> {
                co_await sleep_for(1s);
                sim_.raise_exit_signal();
              });
              TaskHandle waiter = create_task([this]() -> Task<> {
                co_await exit_requested();
                note("asked");
              });
              while (!exit_requested()) co_await sleep_for(100ms);
              co_await exit_requested();  // ready at once
              co_await waiter;
              co_return 9;
            }),
            9);
  EXPECT_EQ(notes_, "asked");
  EXPECT_LT(ms(), 1200);
  EXPECT_FALSE(exit_requested());

  EXPECT_EQ(run([&]() -> Task<int> {
              const Tracer main(notes_, "main");
              create_task([this]() -> Task<> {
                const Tracer tracer(notes_, "task");
                co_await sleep_for(1s);
                sim_.raise_exit_signal();
                co_await sleep_for(1s);
                sim_.raise_exit_signal();
                co_await sleep_for(1h);
              });
              co_await sleep_for(24h);
              co_return 0;
            }),
            130);
  EXPECT_EQ(notes_, "asked ~task ~main");
}

TEST_F(RunTest, TheSecondSignalCountsAlsoWhereTheMainTaskEndsWithTheTaskThatItWaitsFor) {
  EXPECT_EQ(run([&]() -> Task<int> {
              auto task = create_task([this]() -> Task<> {
                sim_.raise_exit_signal();
                sim_.raise_exit_signal();
                co_await sleep_for(1h);
              });
              co_return co_await task == TaskState::done ? 0 : 1;
            }),
            130);
}

TEST_F(RunTest, SignalsBetweenRunsDoNotCount) {
  sim_.raise_exit_signal();
  EXPECT_EQ(run([]() -> Task<int> {
              co_await sleep_for(1s);
              co_return exit_requested() ? 1 : 2;
            }),
            2);
}

TEST_F(RunTest, ListenersHearOfTheExitAndMayTakeOthersAway) {
  class Listener : public ExitListener {
   public:
    explicit Listener(std::string& notes, ExitListener* other = nullptr) : notes_(&notes), other_(other) {}
    void on_exit_requested() noexcept override {
      *notes_ += "!";
      if (other_ != nullptr) other_->unlink();
      unlink();
    }

   private:
    std::string* notes_;
    ExitListener* other_;
  };
  run([&]() -> Task<> {
    Listener second(notes_);
    Listener first(notes_, &second);
    Listener third(notes_);
    for (Listener* listener : {&first, &second, &third})
      Loop::current().exit_listeners().push_back(*listener);
    Loop::current().request_exit();
    Loop::current().request_exit();
    EXPECT_TRUE(exit_requested());
    co_return;
  });
  EXPECT_EQ(notes_, "!!");
}

// All that the main task's frame holds is released while its strand and loop are still there.
TEST_F(RunTest, AForcedEndWakesNobodyWhoIsGone) {
  EXPECT_EQ(run([&]() -> Task<> {
              Lock lock;
              const auto holder = [&]() -> Task<> {
                auto guard = co_await lock.acquire();
                co_await sleep_for(1h);
              };
              create_task([this]() -> Task<> {
                sim_.raise_exit_signal();
                sim_.raise_exit_signal();
                co_return;
              });
              co_await gather(holder(), holder(), holder());
            }),
            130);
}

#if MICRODOT_HOSTED && !defined(_WIN32)
TEST(RunOnTheSystem, SignalsOfTheSystem) {
  const auto main_task = []() -> Task<int> {
    std::raise(SIGTERM);
    co_await exit_requested();
    co_return 4;
  };
  EXPECT_EQ(microdot::run(main_task()), 4);
  const auto stubborn = []() -> Task<> {
    std::raise(SIGINT);
    co_await exit_requested();
    std::raise(SIGINT);
    co_await sleep_for(24h);
  };
  EXPECT_EQ(microdot::run(stubborn()), 130);
}
#endif

}  // namespace
}  // namespace microdot_test
