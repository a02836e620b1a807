#pragma once
// QEMU's machine "virt" with the ESP32-C3's instruction set, RV32IMC, and about its memory.
#include <optional>

#include "drivers/uart.hpp"
#include "drivers/virtio_net.hpp"
#include "riscv/tick_watchdog.hpp"

namespace firmware::board {

inline constexpr char kName[] = "rv32imc";
inline constexpr std::uint32_t kClockHertz = 10'000'000;  // of the timer

using Uart = Uart16550<0x10000000>;

using Ethernet = VirtioNet;
inline constexpr std::uintptr_t kEthernetBase = 0x10001000;
inline constexpr unsigned kEthernetIrq = 1;

using Watchdog = TickWatchdog;
inline constexpr std::optional<unsigned> kWatchdogIrq;  // it has none of its own

}  // namespace firmware::board
