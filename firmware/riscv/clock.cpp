#include "clock.hpp"

#include "core.hpp"
#include "riscv/tick_watchdog.hpp"

namespace firmware {
namespace {

// The core's timer (CLINT), of 64 bits, where QEMU's machine has it.
constexpr std::uintptr_t kCompare = 0x02004000;
constexpr std::uintptr_t kTime = 0x0200BFF8;

// Whole milliseconds are counted, so that a reading needs no division of 64 bits.
volatile std::uint64_t ticks;
volatile std::uint32_t last_tick;  // the timer's lower half then
std::uint32_t cycles_per_tick = 1;

struct Reading {
  std::uint64_t ticks;
  std::uint32_t cycles;  // since that tick; more than one while interrupts are disabled
};

Reading read_clock() noexcept {
  for (;;) {
    const std::uint64_t before = ticks;
    const std::uint32_t cycles = reg(kTime) - last_tick;
    if (before == ticks) return {before, cycles};
  }
}

void set_next_tick() noexcept {
  std::uint32_t high, low;
  do {
    high = reg(kTime + 4);
    low = reg(kTime);
  } while (reg(kTime + 4) != high);
  const std::uint64_t now = std::uint64_t{high} << 32 | low;
  const std::uint32_t passed = low - last_tick;
  const std::uint64_t next = now + (passed < cycles_per_tick ? cycles_per_tick - passed : 0);
  reg(kCompare) = 0xFFFFFFFF;  // none in between
  reg(kCompare + 4) = static_cast<std::uint32_t>(next >> 32);
  reg(kCompare) = static_cast<std::uint32_t>(next);
}

}  // namespace

void SystemClock::start(std::uint32_t hertz) noexcept {
  cycles_per_tick = hertz / 1000;
  last_tick = reg(kTime);
  set_next_tick();
}

std::uint32_t SystemClock::ticks() noexcept { return static_cast<std::uint32_t>(firmware::ticks); }

std::uint64_t SystemClock::microseconds() noexcept {
  const Reading time = read_clock();
  return time.ticks * 1000 + time.cycles / (cycles_per_tick / 1000);
}

std::uint64_t SystemClock::cycles() noexcept {
  const Reading time = read_clock();
  return time.ticks * cycles_per_tick + time.cycles;
}

extern "C" [[gnu::interrupt("machine"), gnu::used]] void timer_handler() noexcept {
  while (reg(kTime) - last_tick >= cycles_per_tick) {
    last_tick = last_tick + cycles_per_tick;
    ticks = ticks + 1;
  }
  set_next_tick();
  TickWatchdog::tick();
}

}  // namespace firmware
