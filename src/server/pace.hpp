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
  void restart() noexcept {
    since_ = kNotWaiting;
    waited_ms_ = moved_ = 0;
  }
  void begin_wait(TimePoint now) noexcept {
    if (!waiting()) since_ = now;
  }
  void end_wait(TimePoint now) noexcept {
    waited_ms_ = waited_ms(now);
    since_ = kNotWaiting;
  }
  bool waiting() const noexcept { return since_ != kNotWaiting; }
  void move(std::size_t bytes) noexcept {
    moved_ = bytes < UINT32_MAX - moved_ ? moved_ + static_cast<std::uint32_t>(bytes) : UINT32_MAX;
  }

  /// After `grace` of waiting, whether there were fewer bytes than `rate` a second (0: any pace will do).
  bool too_slow(TimePoint now, Milliseconds grace, std::uint32_t rate) const noexcept {
    const std::uint32_t waited = waited_ms(now);
    return waited > grace.count && std::uint64_t{moved_} * 1000 < std::uint64_t{waited} * rate;
  }

 private:
  static constexpr TimePoint kNotWaiting = TimePoint::max();

  std::uint32_t waited_ms(TimePoint now) const noexcept {
    const auto more = waiting() ? std::chrono::floor<std::chrono::milliseconds>(now - since_).count() : 0;
    return waited_ms_ + static_cast<std::uint32_t>(more);
  }

  TimePoint since_ = kNotWaiting;
  std::uint32_t waited_ms_ = 0;
  std::uint32_t moved_ = 0;  // bytes
};

}  // namespace microdot::inline MICRODOT_ABI::detail
