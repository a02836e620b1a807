#pragma once
#include <cstdint>

#include "core.hpp"

namespace firmware {

/// A watchdog made of the timer's interrupt, for boards without one. When it was not fed for `seconds` the
/// image says where it hangs and restarts; one that hangs with interrupts disabled it does not see.
class TickWatchdog {
 public:
  static void start(std::uint32_t, std::uint32_t seconds) noexcept {
    limit_ = seconds * 1000;
    feed();
  }
  static void feed() noexcept { left_ = limit_; }
  /// The timer has interrupted.
  static void tick() noexcept {
    if (limit_ == 0) return;
    if (left_ == 0) report_trap();
    left_ = left_ - 1;
  }

 private:
  static inline std::uint32_t limit_;  // 0: not started
  static inline volatile std::uint32_t left_;
};

}  // namespace firmware
