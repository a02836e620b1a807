#pragma once
/// How fast a client takes or gives bytes, counting only the time in which it was waited for.

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <microdot/limits.hpp>

namespace microdot::inline MICRODOT_ABI::detail {

class Pace {
 public:
  /// Something else begins: a head, a body, an answer.
  void restart() noexcept { *this = {}; }
  void begin_wait(TimePoint now) noexcept {
    if (!waiting()) toggle(now);
  }
  void end_wait(TimePoint now) noexcept {
    if (waiting()) toggle(now);
  }
  bool waiting() const noexcept { return (moved_ & 1) != 0; }
  MICRODOT_CALLED void move(std::size_t bytes) noexcept { moved_ += std::uint64_t{bytes} << 1; }
  /// Bytes since `restart`.
  std::uint64_t moved() const noexcept { return moved_ >> 1; }

  /// After `grace` of waiting, whether there were fewer bytes than `rate` a second (0: any pace will do).
  bool too_slow(TimePoint now, Milliseconds grace, std::uint32_t rate) const noexcept {
    const Duration waited = waiting() ? now.time_since_epoch() - time_ : time_;
    if (waited <= Duration(grace)) return false;
    // Without a sign, since small processors divide by hand. Products of 64 bits: that is 49 days at the
    // highest rate.
    const std::uint64_t ms = static_cast<std::uint64_t>(waited.count()) / (Duration::period::den / 1000);
    return moved() * std::uint64_t{1000} < ms * rate;
  }

 private:
  void toggle(TimePoint now) noexcept {
    time_ = now.time_since_epoch() - time_;
    moved_ ^= 1;
  }

  // How long it was waited for; while it is, the moment at which that would have begun without a break. In
  // the clock's ticks, so that many short waits add up.
  Duration time_{};
  std::uint64_t moved_ = 0;  // bytes, times two; the lowest bit says whether it is waited for now
};

}  // namespace microdot::inline MICRODOT_ABI::detail
