#pragma once
#include <cstdint>

#include "core.hpp"

namespace firmware {

/// ARM's SP805 watchdog and its like (both boards have one). When it was not fed for `seconds` it interrupts,
/// which nobody expects: the image says where it hangs and restarts. After as long again it restarts the chip
/// itself.
template <std::uintptr_t kBase>
struct Sp805 {
  static void start(std::uint32_t hertz, std::uint32_t seconds) noexcept {
    reg(kBase + 0xC00) = 0x1ACCE551;  // unlocks the registers
    reg(kBase) = hertz * seconds;
    reg(kBase + 0x08) = 3;  // interrupt and reset on
  }
  static void feed() noexcept { reg(kBase + 0x0C) = 1; }
};

}  // namespace firmware
