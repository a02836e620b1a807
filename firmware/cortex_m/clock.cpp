#include "clock.hpp"

#include "core.hpp"

namespace firmware {
namespace {

constexpr std::uintptr_t kControl = 0xE000E010;
constexpr std::uintptr_t kReload = 0xE000E014;
constexpr std::uintptr_t kCurrent = 0xE000E018;
constexpr std::uintptr_t kInterruptState = 0xE000ED04;
constexpr std::uint32_t kSystickPending = 1U << 26;

// Since the start, in two halves: the lower one tells whether a tick came between two readings.
volatile std::uint32_t ticks;
volatile std::uint32_t ticks_high;
std::uint32_t cycles_per_tick = 1;

struct Reading {
  std::uint64_t ticks;
  std::uint32_t cycles;  // since that tick
};

/// Ticks and counter from the same moment. A tick that has passed and whose interrupt has not run yet counts,
/// so that time never goes back, and goes on while interrupts are disabled.
[[gnu::always_inline]] inline Reading read_clock() noexcept {
  for (;;) {
    const std::uint32_t before = ticks;
    std::uint32_t left = reg(kCurrent);
    const bool tick_pending = (reg(kInterruptState) & kSystickPending) != 0;
    const std::uint32_t high = ticks_high;
    if (before != ticks) continue;
    std::uint64_t passed = std::uint64_t{high} << 32 | before;
    if (tick_pending) {
      ++passed;
      left = reg(kCurrent);
    }
    return {passed, cycles_per_tick - 1 - left};
  }
}

}  // namespace

void SystemClock::start(std::uint32_t hertz) noexcept {
  cycles_per_tick = hertz / 1000;
  reg(kReload) = cycles_per_tick - 1;
  reg(kCurrent) = 0;
  reg(kControl) = 7;  // the processor's clock, interrupt, on
}

std::uint32_t SystemClock::ticks() noexcept { return firmware::ticks; }

std::uint64_t SystemClock::microseconds() noexcept {
  const Reading time = read_clock();
  return time.ticks * 1000 + time.cycles * 1000 / cycles_per_tick;
}

std::uint64_t SystemClock::cycles() noexcept {
  const Reading time = read_clock();
  return time.ticks * cycles_per_tick + time.cycles;
}

extern "C" void systick_handler() noexcept {
  const std::uint32_t next = ticks + 1;
  if (next == 0) ticks_high = ticks_high + 1;
  ticks = next;
}

}  // namespace firmware
