// Task, Generator, the loop's fairness and time.

#include <microdot/async/task.hpp>

#include <memory>
#include <optional>
#include <stdexcept>

#include <microdot/async/event.hpp>
#include <microdot/async/gather.hpp>
#include <microdot/async/generator.hpp>

#include "sim_run.hpp"

namespace microdot_test {
namespace {

class TaskTest : public AsyncTest {};

Task<int> number(int n) { co_return n; }
Task<int> sum(int n) {
  int total = 0;
  for (int i = 1; i <= n; ++i) total += co_await number(i);
  co_return total;
}
Task<std::unique_ptr<int>> owned(int n) { co_return std::make_unique<int>(n); }
Task<std::pair<int, std::string>> braced() { co_return {1, "one"}; }
Task<> nothing() { co_return; }

TEST_F(TaskTest, GivesValues) {
  EXPECT_EQ(run([]() -> Task<int> { co_return co_await sum(10); }), 55);
  EXPECT_EQ(run([&]() -> Task<> {
              const std::unique_ptr<int> value = co_await owned(7);
              EXPECT_EQ(*value, 7);
              const auto [a, b] = co_await braced();
              EXPECT_EQ(a, 1);
              EXPECT_EQ(b, "one");
              co_await nothing();
              note("end");
            }),
            0);
  EXPECT_EQ(notes_, "end");
}

TEST_F(TaskTest, StartsWhenItIsAwaited) {
  run([&]() -> Task<> {
    const auto child = [this]() -> Task<> {
      note("child");
      co_return;
    };
    Task<> task = child();
    note("before");
    co_await task;
    note("after");
    co_await task;  // it is done: gives its result at once
  });
  EXPECT_EQ(notes_, "before child after");
}

TEST_F(TaskTest, AHundredThousandAwaitsStayOnAFlatStack) {
  // The machine stack itself: a local of a coroutine may lie in its frame.
  static std::uintptr_t deepest;
  const auto highest = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  deepest = highest;
  struct Stack {
    static Task<int> leaf() {
      deepest = std::min(deepest, reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)));
      co_return 1;
    }
    static Task<int> chain(int n) {  // returns through the whole chain at once
      if (n == 0) co_return co_await leaf();
      co_return 1 + co_await chain(n - 1);
    }
  };
  EXPECT_EQ(run([]() -> Task<int> {
              int total = 0;
              for (int i = 0; i < 100'000; ++i) total += co_await Stack::leaf();
              co_return total == 100'000 ? 0 : 1;
            }),
            0);
  EXPECT_EQ(run([]() -> Task<int> { co_return co_await Stack::chain(2000); }), 2001);
  EXPECT_LT(highest - deepest, 65536u) << "less than one byte for each await";
}

TEST_F(TaskTest, FramesComeFromTheTaskPoolAndGoBack) {
  std::size_t inside = 0;
  run([&]() -> Task<> {
    const std::size_t before = task_pool().used();
    Task<> task = nothing();
    inside = task_pool().used() - before;
    EXPECT_EQ(&Arena::owner_of(task.handle().address()), &task_pool());
    co_return;
  });
  EXPECT_GT(inside, 0u);
  EXPECT_LE(inside, 256u);
}

TEST_F(TaskTest, ASuspendedChainIsDestroyedFromItsRoot) {
  const auto leaf = [this]() -> Task<> {
    const Tracer tracer(notes_, "leaf");
    co_await sleep_for(1h);
    note("never");
  };
  const auto middle = [&]() -> Task<> {
    const Tracer tracer(notes_, "middle");
    co_await leaf();
    note("never");
  };
  run([&]() -> Task<> {
    TaskHandle task = create_task([&]() -> Task<> {
      const Tracer first(notes_, "first");
      const Tracer second(notes_, "second");
      co_await middle();
    });
    co_await sleep_for(1s);
    task.cancel();
    EXPECT_EQ(co_await task, TaskState::canceled);
  });
  // The awaited task is the newest temporary of the frame that awaits it.
  EXPECT_EQ(notes_, "~leaf ~middle ~second ~first");
  EXPECT_EQ(ms(), 1000);
}

// A strand of its own with an arena of its own: what the connection does with a handler.
class Handler : public Strand::Owner {
 public:
  explicit Handler(std::size_t bytes) : memory_(bytes), arena_(memory_), strand_(*this, arena_) {}
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  ~Handler() { end(); }
  /// `f` must stay, as every lambda that is a coroutine.
  template <typename F>
  void start(Loop& loop, F& f) {
    const ArenaScope scope(arena_);
    task_ = f();
    strand_.start(loop, task_.handle());
  }
  void end() {
    strand_.reset();
    task_.destroy();
  }
  Arena& arena() { return arena_; }
  bool finished = false;
  Stop stop;

 private:
  void on_finished(Strand&) noexcept override { finished = true; }
  void on_stopped(Strand& strand) noexcept override {
    stop = strand.stop_reason();
    task_.destroy();
  }

  std::vector<std::byte> memory_;
  Arena arena_;
  Strand strand_;
  Task<> task_;
};

TEST_F(TaskTest, FramesOfAStrandLieInItsArena) {
  Handler handler(4096);
  run([&]() -> Task<> {
    const auto body = [&]() -> Task<> {
      Task<int> task = number(1);
      EXPECT_EQ(&Arena::owner_of(task.handle().address()), &handler.arena());
      co_await sleep_for(1s);
      Task<int> later = number(2);  // after a resume, too
      EXPECT_EQ(&Arena::owner_of(later.handle().address()), &handler.arena());
      EXPECT_EQ(co_await later, 2);
    };
    handler.start(Loop::current(), body);
    EXPECT_EQ(&current_arena(), &task_pool());
    co_await sleep_for(2s);
    EXPECT_TRUE(handler.finished);
  });
}

Task<> hungry(std::string& notes, int depth) {
  const Tracer tracer(notes, "frame");
  if (depth < 1'000'000) co_await hungry(notes, depth + 1);
  notes += " never";
}

TEST_F(TaskTest, WithoutRoomTheStrandStopsAndNothingElse) {
  Handler full(2048);
  Handler other(2048);
  std::string frames;
  run([&]() -> Task<> {
    const auto modest = []() -> Task<> {
      co_await sleep_for(1s);
      co_await nothing();
    };
    other.start(Loop::current(), modest);
    const auto greedy = [&] { return hungry(frames, 0); };
    full.start(Loop::current(), greedy);
    co_await sleep_for(2s);
    EXPECT_EQ(full.stop.cause, Stop::Cause::no_memory);
    EXPECT_EQ(full.stop.status, 503);
    EXPECT_FALSE(full.finished);
    EXPECT_TRUE(other.finished);
    EXPECT_EQ(full.arena().used(), 0u);
    EXPECT_EQ(full.arena().failures(), 1u);
  });
  EXPECT_GT(frames.size(), 5u);
  EXPECT_EQ(frames.find("never"), std::string::npos);
}

TEST_F(TaskTest, EmptyTasksAndGeneratorsStopWhoAwaitsThem) {
  run([&]() -> Task<> {
    TaskHandle a = create_task("a", []() -> Task<> { co_await Task<>(); });
    TaskHandle b = create_task("b", []() -> Task<> {
      Generator<int> none;
      co_await none.next();
    });
    TaskHandle c = create_task("c", []() -> Task<> { co_await gather(nothing(), Task<>()); });
    TaskHandle d = create_task("d", []() -> Task<> { static_cast<void>(co_await wait_for(Task<>(), 1s)); });
    co_await gather(a, b, c, d);
  });
  ASSERT_EQ(task_errors().size(), 4u);
  for (const std::string& error : task_errors())
    EXPECT_NE(error.find("no room for a coroutine frame"), error.npos);
}

#if MICRODOT_EXCEPTIONS
Task<int> failing(bool later) {
  if (later) co_await sleep_for(1s);
  throw std::runtime_error("broken");
}

TEST_F(TaskTest, ExceptionsComeToWhoAwaits) {
  run([&]() -> Task<> {
    for (const bool later : {false, true}) {
      std::string caught;
      try {
        const Tracer tracer(notes_, "local");
        co_await failing(later);
      } catch (const std::runtime_error& error) {
        caught = error.what();
      }
      EXPECT_EQ(caught, "broken");
    }
  });
  EXPECT_EQ(notes_, "~local ~local");
}
#endif

// Generator

class GeneratorTest : public AsyncTest {};

Generator<std::string_view> words(bool slow) {
  co_yield "one";
  if (slow) co_await sleep_for(1s);
  co_yield "two";
  const std::string local = "three";
  co_yield local;
}
Generator<std::string> strings() {
  for (int i = 0; i < 3; ++i) co_yield std::string(40, static_cast<char>('a' + i));
}
Generator<int> none() { co_return; }

TEST_F(GeneratorTest, GivesValuesInOrderAndThenNull) {
  run([&]() -> Task<> {
    for (const bool slow : {false, true}) {
      Generator<std::string_view> generator = words(slow);
      while (const std::string_view* word = co_await generator.next()) note(*word);
      EXPECT_EQ(co_await generator.next(), nullptr);
    }
    Generator<int> empty = none();
    EXPECT_EQ(co_await empty.next(), nullptr);
    Generator<std::string> owned = strings();
    std::string all;
    while (const std::string* text = co_await owned.next()) all += *text;
    EXPECT_EQ(all, std::string(40, 'a') + std::string(40, 'b') + std::string(40, 'c'));
  });
  EXPECT_EQ(notes_, "one two three one two three");
  EXPECT_EQ(ms(), 1000);
}

TEST_F(GeneratorTest, CanBeEndedAnywhere) {
  run([&]() -> Task<> {
    const auto endless = [this]() -> Generator<int> {
      const Tracer tracer(notes_, "generator");
      for (int i = 0;; ++i) {
        co_yield i;
        co_await sleep_for(1s);
      }
    };
    { Generator<int> unstarted = endless(); }
    {
      Generator<int> generator = endless();
      co_await generator.next();
      EXPECT_EQ(*co_await generator.next(), 1);
    }
    TaskHandle task = create_task([&]() -> Task<> {
      Generator<int> generator = endless();
      while (co_await generator.next() != nullptr) {
      }
    });
    co_await sleep_for(1500ms);  // it sleeps inside the generator
    task.cancel();
    co_await task;
  });
  EXPECT_EQ(notes_, "~generator ~generator");
}

#if MICRODOT_EXCEPTIONS
TEST_F(GeneratorTest, ExceptionsComeOut) {
  run([&]() -> Task<> {
    const auto make = []() -> Generator<int> {
      co_yield 1;
      throw std::runtime_error("broken");
    };
    Generator<int> generator = make();
    EXPECT_EQ(*co_await generator.next(), 1);
    try {
      co_await generator.next();
      ADD_FAILURE();
    } catch (const std::runtime_error&) {
    }
    EXPECT_EQ(co_await generator.next(), nullptr);
  });
}
#endif

// Sleep, yield, time

class LoopTest : public AsyncTest {};

TEST_F(LoopTest, SleepersWakeInTheOrderOfTheirDeadlines) {
  run([&]() -> Task<> {
    const auto sleeper = [this](int time, char name) -> Task<> {
      co_await sleep_for(std::chrono::milliseconds(time));
      EXPECT_EQ(ms(), time);
      note(std::string(1, name));
    };
    co_await gather(sleeper(30, 'd'), sleeper(10, 'a'), sleeper(20, 'b'), sleeper(20, 'c'));
    co_await sleep_until(start_ + 20ms);  // passed already
    EXPECT_EQ(ms(), 30);
    co_await sleep_for(-5s);
    EXPECT_EQ(ms(), 30);
    co_await sleep_until(start_ + 1s);
    EXPECT_EQ(ms(), 1000);
  });
  EXPECT_EQ(notes_, "a b c d");
}

TEST_F(LoopTest, AVeryLongSleepIsNotAShortOne) {
  run([&]() -> Task<> {
    const Result<void> result = co_await wait_for(sleep_for(std::chrono::hours::max()), 1h);
    EXPECT_EQ(result.error(), Error::timeout);
  });
}

TEST_F(LoopTest, TasksThatYieldTakeTurnsAndStarveNeitherTimersNorThePort) {
  bool due = false;
  bool posted = false;
  run([&]() -> Task<> {
    const auto spin = [&](char name) -> Task<> {
      for (int i = 0; i < 3; ++i) {
        note(std::string(1, name));
        co_await yield();
      }
      while (!due || !posted) {
        sim_.advance(1ms);  // computes
        co_await yield();
      }
    };
    TaskHandle timer = create_task([&]() -> Task<> {
      co_await sleep_for(10ms);
      due = true;
    });
    post([&posted] { posted = true; });
    co_await gather(spin('a'), spin('b'), timer);
  });
  EXPECT_EQ(notes_, "a b a b a b");
}

TEST_F(LoopTest, APostThatPostsItselfStarvesNobody) {
  struct State {
    Loop* loop;
    int calls = 0;
    bool stop = false;
    static void again(State* state) {
      if (++state->calls > 1'000'000) std::abort();
      if (!state->stop) state->loop->post([state] { again(state); });
    }
  } state{};
  run([&]() -> Task<> {
    state.loop = &Loop::current();
    State::again(&state);
    for (int i = 0; i < 1000; ++i) co_await yield();
    state.stop = true;
    co_await yield();
    co_await yield();
  });
  EXPECT_GE(state.calls, 5);
}

TEST_F(LoopTest, TimeIsNeverThatOfAnEarlierTurn) {
  class Probe : public Timer {
   public:
    explicit Probe(SimPort& sim) : sim_(&sim) {}
    using Timer::armed;

   private:
    void on_timer() noexcept override { EXPECT_EQ(Loop::current().now(), sim_->clock().now()); }
    SimPort* sim_;
  };
  Loop loop(sim_);
  sim_.advance(1h);  // before it is driven for the first time
  Handler handler(4096);
  TimePoint woken;
  const auto body = [&]() -> Task<> {
    co_await sleep_for(5s);
    woken = Loop::current().now();
  };
  handler.start(loop, body);
  loop.turn(Duration{0});
  loop.run_until([&] { return handler.finished; });
  EXPECT_EQ(woken - start_, Duration(1h + 5s));
  Probe probe(sim_);
  loop.timers().arm(probe, loop.now() + Duration(1s));
  sim_.advance(1min);  // nobody drives it for a while
  loop.run_until([&] { return !probe.armed(); });
}

TEST_F(LoopTest, TheLongestTurnIsThatOfWhoeverDidNotLetGo) {
  run([&]() -> Task<> {
    const Loop& loop = Loop::current();
    co_await sleep_for(10s);  // waiting holds nobody up
    EXPECT_EQ(loop.longest_turn(), 0s);
    sim_.advance(1ms);  // as code does that computes, or that blocks
    co_await yield();   // goes on in the same turn
    sim_.advance(1ms);
    for (int i = 0; i < 20; ++i) co_await yield();  // goes on in the next one, which waits for nothing
    EXPECT_EQ(loop.longest_turn(), 2ms);
    sim_.advance(30ms);
    co_await sleep_for(1s);
    EXPECT_EQ(loop.longest_turn(), 30ms);
    sim_.advance(20ms);
    co_await yield();  // who has taken longer goes on in another one
    sim_.advance(20ms);
    co_await sleep_for(1s);
    EXPECT_EQ(loop.longest_turn(), 30ms);
  });
}

TEST_F(LoopTest, WhoHoldsUpAllOthersIsNamed) {
  run([&]() -> Task<> {
    Loop& loop = Loop::current();
    const auto work = [this](Duration time) -> Task<> {
      co_await sleep_for(1s);
      sim_.advance(time);
    };
    create_task("quick", work, Duration(20ms));
    create_task("sensor", work, Duration(2003ms));
    create_task("slow", work, Duration(30ms));
    co_await sleep_for(5s);
    EXPECT_EQ(loop.longest_turn(), 2053ms);
    EXPECT_EQ(loop.longest_turn_by().view(), "task 'sensor'");
    EXPECT_EQ(loop.times_blocked(), 1u);
  });
  EXPECT_EQ(log(), "loop blocked for 2003 ms by task 'sensor'\n");
}

TEST_F(LoopTest, TheWarningHasABoundAndComesSeldom) {
  run([&]() -> Task<> {
    Loop& loop = Loop::current();
    sim_.advance(249ms);
    co_await yield();
    EXPECT_EQ(log(), "");
    sim_.advance(250ms);
    co_await yield();
    EXPECT_EQ(log(), "loop blocked for 250 ms by the main task\n");
    sim_.advance(300ms);
    co_await yield();
    EXPECT_EQ(log(), "loop blocked for 250 ms by the main task\n") << "10 s must pass";
    EXPECT_EQ(loop.times_blocked(), 2u);
    loop.warn_when_blocked(5ms);
    sim_.clear_log();
    co_await sleep_for(11s);
    TaskHandle group = create_task("group", [this]() -> Task<> {
      const auto branch = [](SimPort& sim) -> Task<> {
        sim.advance(5ms);
        co_return;
      };
      co_await gather(branch(sim_), sleep_for(1s));
    });
    co_await group;
    EXPECT_EQ(log(), "loop blocked for 5 ms by task 'group'\n") << "a branch is its task's";
    loop.warn_when_blocked({});
    sim_.clear_log();
    sim_.advance(1h);
    co_await yield();
    EXPECT_EQ(log(), "");
  });
}

TEST_F(LoopTest, APostedCallHoldsUpTheLoopToo) {
  run([&]() -> Task<> {
    SimPort* const sim = &sim_;
    post([sim] { sim->advance(2s); });
    co_await sleep_for(5s);
  });
  EXPECT_EQ(log(), "loop blocked for 2000 ms by a posted call\n");
}

TEST_F(LoopTest, LoopsMayBeDrivenInsideAnother) {
  run([&]() -> Task<> {
    Strand* const strand = Strand::current();
    Loop* const loop = &Loop::current();
    SimPort other;
    const int result = microdot::run(number(3), other);
    EXPECT_EQ(result, 3);
    EXPECT_EQ(Strand::current(), strand);
    EXPECT_EQ(&Loop::current(), loop);
    co_await sleep_for(1s);
    note("end");
  });
  EXPECT_EQ(Loop::try_current(), nullptr);
  EXPECT_EQ(notes_, "end");
}

}  // namespace
}  // namespace microdot_test
