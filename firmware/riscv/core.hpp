#pragma once
#include <cstdint>

namespace firmware {

/// A register of the chip.
inline volatile std::uint32_t& reg(std::uintptr_t address) noexcept {
  return *reinterpret_cast<volatile std::uint32_t*>(address);
}

inline void disable_interrupts() noexcept { asm volatile("csrci mstatus, 8" ::: "memory"); }
inline void enable_interrupts() noexcept { asm volatile("csrsi mstatus, 8" ::: "memory"); }
/// Returns when an interrupt is pending, also while they are disabled.
inline void wait_for_interrupt() noexcept { asm volatile("fence\n\twfi" ::: "memory"); }

/// The lines of the interrupt controller (PLIC), where QEMU's machine has it. One that is disabled by its
/// priority, 0, can still be completed.
inline constexpr std::uintptr_t kPlic = 0x0C000000;
inline void enable_irq(unsigned irq) noexcept {
  reg(kPlic + irq * 4) = 1;
  reg(kPlic + 0x2000 + irq / 32 * 4) = reg(kPlic + 0x2000 + irq / 32 * 4) | 1U << irq % 32;
}
inline void disable_irq(unsigned irq) noexcept { reg(kPlic + irq * 4) = 0; }
/// A line that is silent again is not pending: nothing is kept of it.
inline void clear_pending_irq(unsigned) noexcept {}

inline std::uint32_t* stack_pointer() noexcept {
  std::uint32_t* top;
  asm volatile("mv %0, sp" : "=r"(top));
  return top;
}

/// Says why and where the core took the trap that it is in, and restarts.
extern "C" [[noreturn]] void report_trap() noexcept;

/// What QEMU's machine has for its end and for tests ("SiFive test").
[[noreturn]] inline void write_test_device(std::uint32_t command) noexcept {
  reg(0x100000) = command;
  for (;;) asm volatile("");
}
/// Restarts the chip.
[[noreturn]] inline void reset_system() noexcept { write_test_device(0x7777); }
/// Ends QEMU, with 0 or 1.
[[noreturn]] inline void exit_emulator(bool success) noexcept {
  write_test_device(success ? 0x5555 : 1U << 16 | 0x3333);
}

}  // namespace firmware
