#pragma once
// TI's evaluation board for the Stellaris LM3S6965 (Cortex-M3), which QEMU calls lm3s6965evb.
#include <optional>

#include "drivers/stellaris_ethernet.hpp"
#include "drivers/uart.hpp"
#include "drivers/watchdog.hpp"

namespace firmware::board {

inline constexpr char kName[] = "lm3s6965evb";
inline constexpr std::uint32_t kClockHertz = 12'500'000;  // after a reset
inline constexpr unsigned kInterrupts = 44;

using Uart = Pl011<0x4000C000>;

using Ethernet = StellarisEthernet;
inline constexpr std::uintptr_t kEthernetBase = 0x40048000;
inline constexpr unsigned kEthernetIrq = 42;

using Watchdog = Sp805<0x40000000>;
inline constexpr std::optional<unsigned> kWatchdogIrq = 18;

}  // namespace firmware::board
