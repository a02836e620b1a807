#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ratio>
#include <type_traits>

#include <microdot/port/clock.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Any duration as the library's, rounded up; about 70,000 years if it is longer, so that a deadline never
/// overflows.
template <typename Rep, typename Period>
constexpr Duration to_duration(std::chrono::duration<Rep, Period> time) noexcept {
  if constexpr (std::ratio_greater_v<Period, Duration::period> || std::is_floating_point_v<Rep>) {
    using Wide = std::chrono::duration<std::common_type_t<Rep, Duration::rep>, Period>;
    constexpr auto kLongest = std::chrono::duration_cast<Wide>(Duration::max() / 4);
    if (Wide(time) > kLongest) return Duration::max() / 4;
    if (Wide(time) < -kLongest) return -Duration::max() / 4;
  }
  return std::chrono::ceil<Duration>(time);
}

/// A point in time at which the loop calls `on_timer`. Base class of what waits, so that no timer needs an
/// allocation; disarms itself when destroyed.
class Timer {
 public:
  Timer() noexcept = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  bool armed() const noexcept { return heap_ != nullptr; }
  /// When it fires; meaningful while armed. Never before what the heap fired last.
  TimePoint deadline() const noexcept { return deadline_; }
  void disarm() noexcept;

 protected:
  ~Timer() { disarm(); }
  /// Called once, after the timer was disarmed.
  virtual void on_timer() noexcept = 0;

 private:
  friend class TimerHeap;

  /// Counts what is armed, so that equal deadlines have an order. It may wrap around.
  using Sequence = std::uint32_t;

  class TimerHeap* heap_ = nullptr;
  Timer* child_ = nullptr;  // first child
  Timer* next_ = nullptr;   // next sibling
  Timer* prev_ = nullptr;   // previous sibling, or the parent of the first child
  // Without a hole: on 64 bits a derived class has the four bytes behind the last one.
#if UINTPTR_MAX == UINT32_MAX
  Sequence sequence_ = 0;
  TimePoint deadline_{};
#else
  TimePoint deadline_{};
  Sequence sequence_ = 0;
#endif
};

/// The armed timers of a loop: an intrusive pairing heap. Arming is O(1), the next deadline is O(1), firing
/// and disarming O(log n) amortised. Timers of equal deadlines fire in the order in which they were armed; so
/// do those whose deadline had passed already when they were armed.
class TimerHeap {
 public:
  TimerHeap() noexcept = default;
  TimerHeap(const TimerHeap&) = delete;
  TimerHeap& operator=(const TimerHeap&) = delete;
  ~TimerHeap();

  void arm(Timer& timer, TimePoint deadline) noexcept;
  void disarm(Timer& timer) noexcept;
  bool empty() const noexcept { return root_ == nullptr; }
  /// The earliest deadline; the heap must not be empty.
  TimePoint next() const noexcept { return root_->deadline_; }
  /// Fires what is due at `now`, but nothing that is armed meanwhile for the same moment.
  void fire(TimePoint now) noexcept;

 private:
  static bool earlier(const Timer& a, const Timer& b) noexcept;
  static bool before(Timer::Sequence a, Timer::Sequence b) noexcept;
  static Timer* meld(Timer* a, Timer* b) noexcept;
  static Timer* meld_siblings(Timer* first) noexcept;

  Timer* root_ = nullptr;
  // Begins shortly before it wraps around, so that all tests see it wrap.
  Timer::Sequence sequence_ = static_cast<Timer::Sequence>(-8);
  TimePoint fired_{TimePoint::min()};
};

}  // namespace microdot::inline MICRODOT_ABI
