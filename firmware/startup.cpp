// From the reset to main: memory, constructors, and what an image does when it can't go on.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core.hpp"
#include "firmware.hpp"
#include "stack.hpp"

#include "board_config.hpp"

extern "C" {
// Of the linker script.
extern std::uint32_t stack_begin[], stack_end[];
extern std::uint32_t data_image[], data_begin[], data_end[], bss_begin[], bss_end[];
extern void (*init_array_begin[])();
extern void (*init_array_end[])();

int main(int argc, char** argv);
}

namespace firmware {
namespace {

constexpr std::uint32_t kPaint = 0xC5C5C5C5;

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

// Where the core goes after a reset, once it has a stack.
extern "C" [[gnu::used]] void reset_handler() noexcept {
  // All that is not in use, and not what a function may use that the compiler makes of the loop.
  std::uint32_t* const top = stack_pointer() - 16;
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
