#pragma once
#include <cstdint>

namespace firmware {

/// The time since the start, from SysTick, which interrupts every millisecond.
class SystemClock {
 public:
  static void start(std::uint32_t hertz) noexcept;
  /// Milliseconds as far as the interrupt has counted them; begins again at 0 after 49 days. For what is done
  /// now and then.
  static std::uint32_t ticks() noexcept;
  static std::uint64_t microseconds() noexcept;
  /// The processor's cycles.
  static std::uint64_t cycles() noexcept;
};

}  // namespace firmware
