#include "clock.hpp"

#include "core.hpp"

namespace firmware {
namespace {

constexpr std::uintptr_t kControl = 0xE000E010;
constexpr std::uintptr_t kReload = 0xE000E014;
constexpr std::uintptr_t kCurrent = 0xE000E018;
constexpr std::uintptr_t kInterruptState = 0xE000ED04;
constexpr std::uint32_t kSystickPending = 1U << 26;

volatile std::uint64_t ticks;
std::uint32_t cycles_per_tick = 1;

struct Reading {
  std::uint64_t ticks;
  std::uint32_t cycles;  // since that tick
};

/// Ticks and counter from the same moment. A tick that has passed and whose interrupt has not run yet counts,
/// so that time never goes back, and goes on while interrupts are disabled.
Reading read_clock() noexcept {
  for (;;) {
    const std::uint64_t before = ticks;
    const std::uint32_t left = reg(kCurrent);
    const bool tick_pending = (reg(kInterruptState) & kSystickPending) != 0;
    if (before != ticks) continue;
    if (tick_pending) return {before + 1, cycles_per_tick - 1 - reg(kCurrent)};
    return {before, cycles_per_tick - 1 - left};
  }
}

}  // namespace

void SystemClock::start(std::uint32_t hertz) noexcept {
  cycles_per_tick = hertz / 1000;
  reg(kReload) = cycles_per_tick - 1;
  reg(kCurrent) = 0;
  reg(kControl) = 7;  // the processor's clock, interrupt, on
}

std::uint64_t SystemClock::milliseconds() noexcept { return read_clock().ticks; }

std::uint64_t SystemClock::microseconds() noexcept {
  const Reading time = read_clock();
  return time.ticks * 1000 + time.cycles * 1000 / cycles_per_tick;
}

std::uint64_t SystemClock::cycles() noexcept {
  const Reading time = read_clock();
  return time.ticks * cycles_per_tick + time.cycles;
}

extern "C" void systick_handler() noexcept { ticks = ticks + 1; }

}  // namespace firmware
