#pragma once
#include <chrono>
#include <cstdint>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI {

/// The library's notion of time: microseconds of a clock that never jumps. `now()` lives in the port.
struct SteadyClock {
  using rep = std::int64_t;
  using period = std::micro;
  using duration = std::chrono::duration<rep, period>;
  using time_point = std::chrono::time_point<SteadyClock>;
  static constexpr bool is_steady = true;
};
using Duration = SteadyClock::duration;
using TimePoint = SteadyClock::time_point;

// Compared as the numbers that they are. Those of std::chrono give a three-way result of two references: two
// calls, where size counts more than speed.
constexpr bool operator<(Duration a, Duration b) noexcept { return a.count() < b.count(); }
constexpr bool operator>(Duration a, Duration b) noexcept { return b < a; }
constexpr bool operator<=(Duration a, Duration b) noexcept { return !(b < a); }
constexpr bool operator>=(Duration a, Duration b) noexcept { return !(a < b); }
constexpr bool operator<(TimePoint a, TimePoint b) noexcept {
  return a.time_since_epoch() < b.time_since_epoch();
}
constexpr bool operator>(TimePoint a, TimePoint b) noexcept { return b < a; }
constexpr bool operator<=(TimePoint a, TimePoint b) noexcept { return !(b < a); }
constexpr bool operator>=(TimePoint a, TimePoint b) noexcept { return !(a < b); }

/// The system's clocks.
class Clock {
 public:
  /// Time since an arbitrary start; never goes back.
  virtual TimePoint now() noexcept = 0;
  /// The same time as it was some milliseconds ago, at most; for what asks so often that the reading must
  /// cost less than that of `now`.
  virtual TimePoint coarse() noexcept { return now(); }
  /// Seconds since 1970-01-01T00:00:00Z, or 0 where the wall clock is not known (then no `Date` is sent,
  /// RFC 9110 section 6.6.1).
  virtual std::int64_t unix_seconds() noexcept = 0;

 protected:
  ~Clock() = default;
};

}  // namespace microdot::inline MICRODOT_ABI
