// What the core comes to after a reset, for interrupts and for faults.
#include <cstdint>

#include <microdot/base/format.hpp>

#include "core.hpp"
#include "firmware.hpp"

#include "board_config.hpp"

extern "C" void ethernet_handler() noexcept;

namespace firmware {

// The first instructions of an image. It enables the interrupts of the timer and of the PLIC (mie; mstatus
// lets them in later), and protects the flash (pmp): a stack that grows below the RAM faults.
extern "C" [[gnu::naked, gnu::section(".vectors"), gnu::used]] void reset_vector() noexcept {
  asm volatile(
      ".option push\n\t"
      ".option norelax\n\t"
      "la gp, __global_pointer$\n\t"
      ".option pop\n\t"
      "la sp, stack_end\n\t"
      "la t0, trap_vectors + 1\n\t"  // 1: each interrupt has a vector of its own
      "csrw mtvec, t0\n\t"
      "li t0, 0x880\n\t"
      "csrw mie, t0\n\t"
      "la t0, flash_napot\n\t"
      "csrw pmpaddr0, t0\n\t"
      "li t0, 0x9D\n\t"  // locked, a power of two, read and execute
      "csrw pmpcfg0, t0\n\t"
      "j reset_handler");
}

// A fault has a stack of its own, the whole one: it may have come of too large a stack, and there is no way
// back.
extern "C" [[gnu::naked, gnu::aligned(256), gnu::used]] void trap_vectors() noexcept {
  asm volatile(
      ".option push\n\t"
      ".option norvc\n\t"
      ".rept 7\n\t"
      "j fault_vector\n\t"
      ".endr\n\t"
      "j timer_handler\n\t"
      ".rept 3\n\t"
      "j fault_vector\n\t"
      ".endr\n\t"
      "j external_handler\n\t"
      ".option pop");
}

extern "C" [[gnu::naked, gnu::used]] void fault_vector() noexcept {
  asm volatile(
      "la sp, stack_end\n\t"
      "j report_trap");
}

extern "C" [[gnu::used]] void report_trap() noexcept {
  std::uint32_t cause, at, value;
  asm volatile("csrr %0, mcause\n\tcsrr %1, mepc\n\tcsrr %2, mtval" : "=r"(cause), "=r"(at), "=r"(value));
  char text[64];
  stop({text, microdot::format_to(text, "exception {:x} at {:08x}, value {:08x}", cause, at, value)});
}

extern "C" [[gnu::interrupt("machine"), gnu::used]] void external_handler() noexcept {
  volatile std::uint32_t& claim = reg(kPlic + 0x200004);
  const std::uint32_t irq = claim;
  if (irq == board::kEthernetIrq) ethernet_handler();
  claim = irq;  // completed
}

}  // namespace firmware
