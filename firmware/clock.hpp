#pragma once
#include <cstdint>

namespace firmware {

/// The time since the start, from SysTick, which interrupts every millisecond.
class SystemClock {
 public:
  static void start(std::uint32_t hertz) noexcept;
  static std::uint64_t milliseconds() noexcept;
  static std::uint64_t microseconds() noexcept;
  /// The processor's cycles.
  static std::uint64_t cycles() noexcept;
};

}  // namespace firmware
