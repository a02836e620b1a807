#pragma once
// ARM MPS2 with the Cortex-M3 image AN385: what QEMU calls mps2-an385.
#include <optional>

#include "drivers/lan9118.hpp"
#include "drivers/uart.hpp"
#include "drivers/watchdog.hpp"

namespace firmware::board {

inline constexpr char kName[] = "mps2-an385";
inline constexpr std::uint32_t kClockHertz = 25'000'000;
inline constexpr unsigned kInterrupts = 32;

using Uart = CmsdkUart<0x40004000>;

/// The one that a program may use.
struct Led {
  static void start() noexcept {}
  static void set(bool on) noexcept { reg(0x40028000) = on ? 1 : 0; }
};

using Ethernet = Lan9118;
inline constexpr std::uintptr_t kEthernetBase = 0x40200000;
inline constexpr unsigned kEthernetIrq = 13;

using Watchdog = Sp805<0x40008000>;
inline constexpr std::optional<unsigned> kWatchdogIrq;  // it is the NMI

}  // namespace firmware::board
