// The core's vectors and its faults.
#include <cstddef>
#include <cstdint>

#include <microdot/base/format.hpp>

#include "core.hpp"
#include "firmware.hpp"

#include "board_config.hpp"

extern "C" {
extern std::uint32_t stack_end[];  // of the linker script

[[noreturn]] void reset_handler() noexcept;
void fault_handler() noexcept;
void systick_handler() noexcept;
void ethernet_handler() noexcept;
}

namespace firmware {
namespace {

constexpr std::size_t kExceptions = 16;  // the core's own, before the chip's interrupts

using Handler = void (*)() noexcept;
struct Vectors {
  std::uint32_t* stack = stack_end;
  Handler handlers[kExceptions - 1 + board::kInterrupts];

  constexpr Vectors() noexcept : handlers{} {
    for (Handler& handler : handlers) handler = fault_handler;
    handlers[0] = reset_handler;
    handlers[14] = systick_handler;
    handlers[kExceptions - 1 + board::kEthernetIrq] = ethernet_handler;
  }
};

[[gnu::section(".vectors"), gnu::used]] constinit const Vectors vectors;

/// What the processor put on the stack when it took an exception.
struct ExceptionFrame {
  std::uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr;
};

}  // namespace

extern "C" [[gnu::used]] void report_fault(const ExceptionFrame* frame, unsigned exception) noexcept {
  char text[64];
  stop({text,
        microdot::format_to(text, "exception {} at {:08x}, from {:08x}", exception, frame->pc, frame->lr)});
}

// A fault, or an interrupt that nobody asked for.
extern "C" [[gnu::naked]] void fault_handler() noexcept {
  asm volatile(
      "mov r0, sp\n\t"
      "mrs r1, ipsr\n\t"
      "b report_fault");
}

}  // namespace firmware
