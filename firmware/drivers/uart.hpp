#pragma once
#include <cstdint>
#include <string_view>

#include "cortex_m/core.hpp"

namespace firmware {

/// ARM's CMSDK UART (MPS2). Output only.
template <std::uintptr_t kBase>
struct CmsdkUart {
  static void start() noexcept {
    reg(kBase + 0x10) = 16;  // the smallest divider
    reg(kBase + 0x08) = 1;   // transmitter on
  }
  static void write(std::string_view text) noexcept {
    for (const char letter : text) {
      while ((reg(kBase + 0x04) & 1) != 0) continue;  // the transmit buffer is full
      reg(kBase) = static_cast<unsigned char>(letter);
    }
  }
};

/// ARM's PL011 UART (Stellaris), as it is after a reset in QEMU. Output only.
template <std::uintptr_t kBase>
struct Pl011 {
  static void start() noexcept {}
  static void write(std::string_view text) noexcept {
    for (const char letter : text) {
      while ((reg(kBase + 0x18) & 0x20) != 0) continue;  // the transmit FIFO is full
      reg(kBase) = static_cast<unsigned char>(letter);
    }
  }
};

}  // namespace firmware
