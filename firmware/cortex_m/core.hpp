#pragma once
#include <cstdint>

namespace firmware {

/// A register of the chip.
inline volatile std::uint32_t& reg(std::uintptr_t address) noexcept {
  return *reinterpret_cast<volatile std::uint32_t*>(address);
}

inline void disable_interrupts() noexcept { asm volatile("cpsid i" ::: "memory"); }
inline void enable_interrupts() noexcept { asm volatile("cpsie i" ::: "memory"); }
/// Returns when an interrupt is pending, also while they are disabled.
inline void wait_for_interrupt() noexcept { asm volatile("dsb\n\twfi" ::: "memory"); }

/// The lines of the interrupt controller (NVIC).
inline void enable_irq(unsigned irq) noexcept { reg(0xE000E100 + irq / 32 * 4) = 1U << irq % 32; }
inline void disable_irq(unsigned irq) noexcept {
  reg(0xE000E180 + irq / 32 * 4) = 1U << irq % 32;
  asm volatile("dsb\n\tisb" ::: "memory");
}
inline void clear_pending_irq(unsigned irq) noexcept { reg(0xE000E280 + irq / 32 * 4) = 1U << irq % 32; }

inline std::uint32_t* stack_pointer() noexcept {
  std::uint32_t* top;
  asm volatile("mov %0, sp" : "=r"(top));
  return top;
}

/// Restarts the chip.
[[noreturn]] inline void reset_system() noexcept {
  asm volatile("dsb" ::: "memory");
  reg(0xE000ED0C) = 0x05FA0004;
  for (;;) asm volatile("");
}

}  // namespace firmware
