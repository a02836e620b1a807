#pragma once
#include <chrono>
#include <coroutine>

#include <microdot/async/loop.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Waits until a point in time.
class [[nodiscard]] SleepAwaiter {
 public:
  explicit SleepAwaiter(TimePoint deadline) noexcept : deadline_(deadline) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const noexcept {
    Strand& strand = Strand::running();
    strand.park(handle);
    strand.wake_at(deadline_);
  }
  void await_resume() const noexcept {}

 private:
  TimePoint deadline_;
};

/// `co_await sleep_until(t)`: goes on when the port's clock reaches `t` (see `Loop::now`).
inline SleepAwaiter sleep_until(TimePoint deadline) noexcept { return SleepAwaiter(deadline); }

/// `co_await sleep_for(100ms)`: goes on after a time. Zero and less: after everything else that is ready.
template <typename Rep, typename Period>
SleepAwaiter sleep_for(std::chrono::duration<Rep, Period> time) noexcept {
  return SleepAwaiter(Loop::current().now() + to_duration(time));
}

/// Lets everything else that is ready run first.
class [[nodiscard]] YieldAwaiter {
 public:
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const noexcept {
    Strand& strand = Strand::running();
    strand.park(handle);
    strand.wake();
  }
  void await_resume() const noexcept {}
};

/// `co_await yield()`: for long computations between other tasks.
inline YieldAwaiter yield() noexcept { return {}; }

/// Whether the program was asked to end (the first SIGINT or SIGTERM under `run`); `co_await
/// exit_requested()` waits for that.
class [[nodiscard]] ExitRequested {
 public:
  explicit operator bool() const noexcept;
  bool await_ready() const noexcept { return static_cast<bool>(*this); }
  void await_suspend(std::coroutine_handle<> handle) const noexcept {
    Strand& strand = Strand::running();
    strand.park(handle);
    strand.loop().exit_waiters().push_back(strand);
  }
  void await_resume() const noexcept {}
};

///     while (!exit_requested()) co_await sleep_for(100ms);
inline ExitRequested exit_requested() noexcept { return {}; }

inline ExitRequested::operator bool() const noexcept {
  const Loop* loop = Loop::try_current();
  return loop != nullptr && loop->exit_requested();
}

}  // namespace microdot::inline MICRODOT_ABI
