// From the reset to main: vectors, memory, constructors, and what an image does when it can't go on.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <microdot/base/format.hpp>

#include "cortex_m/core.hpp"
#include "cortex_m/stack.hpp"
#include "firmware.hpp"

#include "board_config.hpp"

extern "C" {
// Of the linker script.
extern std::uint32_t stack_begin[], stack_end[];
extern std::uint32_t data_image[], data_begin[], data_end[], bss_begin[], bss_end[];
extern void (*init_array_begin[])();
extern void (*init_array_end[])();

int main(int argc, char** argv);
[[noreturn]] void reset_handler() noexcept;
void fault_handler() noexcept;
void systick_handler() noexcept;
void ethernet_handler() noexcept;
}

namespace firmware {
namespace {

constexpr std::uint32_t kPaint = 0xC5C5C5C5;
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

std::size_t stack_size() noexcept { return static_cast<std::size_t>(stack_end - stack_begin) * 4; }

std::size_t stack_high_water() noexcept {
  const std::uint32_t* used = stack_begin;
  while (used != stack_end && *used == kPaint) ++used;
  return static_cast<std::size_t>(stack_end - used) * 4;
}

void stop(std::string_view reason) noexcept {
  disable_interrupts();
  board::Uart::write("\n! ");
  board::Uart::write(reason);
  board::Uart::write(", restarting\n");
  reset_system();
}

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

extern "C" void reset_handler() noexcept {
  // All that is not in use, and not what a function may use that the compiler makes of the loop.
  std::uint32_t* top;
  asm volatile("mov %0, sp" : "=r"(top));
  top -= 16;
  for (std::uint32_t* at = stack_begin; at < top; ++at) *at = kPaint;

  const std::uint32_t* from = data_image;
  for (std::uint32_t* at = data_begin; at < data_end;) *at++ = *from++;
  for (std::uint32_t* at = bss_begin; at < bss_end;) *at++ = 0;
  for (auto* constructor = init_array_begin; constructor < init_array_end; ++constructor) (*constructor)();

  start();
  main(argument_count, arguments);
  stop("main has ended");
}

}  // namespace firmware
