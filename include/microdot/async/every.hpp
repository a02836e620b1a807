#pragma once
#include <algorithm>
#include <chrono>
#include <coroutine>
#include <cstdint>

#include <microdot/async/loop.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Ticks at the same distance, for one task; see `every`. Counted on from its start, so it never drifts.
class Ticker {
 public:
  /// `period`: a microsecond or more.
  Ticker(TimePoint first, Duration period) noexcept : next_(first), due_(first), period_(period) {}

  class Awaiter {
   public:
    explicit Awaiter(Ticker& ticker) noexcept : ticker_(&ticker) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const noexcept {
      Strand& strand = Strand::running();
      strand.park(handle);
      strand.wake_at(ticker_->next_);
    }
    std::int64_t await_resume() const noexcept { return ticker_->advance(Loop::current().now()); }

   private:
    Ticker* ticker_;
  };
  /// `co_await tick.next()`: waits for the next tick; if that is over, for everything else that is ready.
  /// Gives how many ticks after it have been missed by now: they are left out.
  Awaiter next() noexcept { return Awaiter(*this); }
  Awaiter operator co_await() noexcept { return Awaiter(*this); }

  /// When the last tick that was waited for was due: `Clock::now() - tick.due()` is how late its task is.
  TimePoint due() const noexcept { return due_; }

 private:
  std::int64_t advance(TimePoint now) noexcept {
    due_ = next_;
    const std::int64_t missed = std::max<std::int64_t>((now - next_) / period_, 0);
    next_ += (missed + 1) * period_;
    return missed;
  }

  TimePoint next_;
  TimePoint due_;
  Duration period_;
};

/// A tick each `period`, the first one a period from now:
///
///     auto tick = every(100ms);
///     for (;;) {
///       co_await tick;  // at 100 ms, 200 ms, 300 ms …, however long the rest takes
///       read();
///     }
///
/// A task that comes late goes on at once, and then with the next tick that is still to come: ticks that were
/// missed do not come in a burst, `co_await` gives their number.
template <typename Rep, typename Period>
Ticker every(std::chrono::duration<Rep, Period> period) noexcept {
  const Duration time = std::max(to_duration(period), Duration{1});
  return Ticker(Loop::current().now() + time, time);
}

}  // namespace microdot::inline MICRODOT_ABI
