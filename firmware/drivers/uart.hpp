#pragma once
#include <cstdint>
#include <string_view>

#include "core.hpp"

namespace firmware {

/// ARM's CMSDK UART (MPS2).
template <std::uintptr_t kBase>
struct CmsdkUart {
  static void start() noexcept {
    reg(kBase + 0x10) = 16;  // the smallest divider
    reg(kBase + 0x08) = 3;   // transmitter and receiver on
  }
  static void write(std::string_view text) noexcept {
    for (const char letter : text) {
      while ((reg(kBase + 0x04) & 1) != 0) continue;  // the transmit buffer is full
      reg(kBase) = static_cast<unsigned char>(letter);
    }
  }
  /// Takes a byte that has come; false if there was none.
  static bool skip_input() noexcept {
    if ((reg(kBase + 0x04) & 2) == 0) return false;
    [[maybe_unused]] const std::uint32_t byte = reg(kBase);
    return true;
  }
};

/// ARM's PL011 UART (Stellaris), as it is after a reset in QEMU.
template <std::uintptr_t kBase>
struct Pl011 {
  static void start() noexcept {}
  static void write(std::string_view text) noexcept {
    for (const char letter : text) {
      while ((reg(kBase + 0x18) & 0x20) != 0) continue;  // the transmit FIFO is full
      reg(kBase) = static_cast<unsigned char>(letter);
    }
  }
  static bool skip_input() noexcept {
    if ((reg(kBase + 0x18) & 0x10) != 0) return false;
    [[maybe_unused]] const std::uint32_t byte = reg(kBase);
    return true;
  }
};

/// The 16550 and its like, as it is after a reset in QEMU.
template <std::uintptr_t kBase>
struct Uart16550 {
  static void start() noexcept {}
  static void write(std::string_view text) noexcept {
    for (const char letter : text) {
      while ((at(5) & 0x20) == 0) continue;  // the transmit FIFO is full
      at(0) = static_cast<unsigned char>(letter);
    }
  }
  static bool skip_input() noexcept {
    if ((at(5) & 1) == 0) return false;
    [[maybe_unused]] const std::uint8_t byte = at(0);
    return true;
  }

 private:
  static volatile std::uint8_t& at(unsigned offset) noexcept {
    return *reinterpret_cast<volatile std::uint8_t*>(kBase + offset);
  }
};

}  // namespace firmware
