#include "clock.hpp"

#include "core.hpp"
#include "riscv/tick_watchdog.hpp"

namespace firmware {
namespace {

// The core's timer (CLINT).
constexpr std::uintptr_t kCompare = 0x02004000;
constexpr std::uintptr_t kTime = 0x0200BFF8;

std::uint32_t cycles_per_tick = 1;

std::uint64_t read_time() noexcept {
  for (;;) {
    const std::uint32_t high = reg(kTime + 4);
    const std::uint32_t low = reg(kTime);
    if (reg(kTime + 4) == high) return std::uint64_t{high} << 32 | low;
  }
}

/// The timer is silent until then.
void set_next_tick() noexcept {
  const std::uint64_t next = read_time() + cycles_per_tick;
  reg(kCompare) = 0xFFFFFFFF;  // none in between
  reg(kCompare + 4) = static_cast<std::uint32_t>(next >> 32);
  reg(kCompare) = static_cast<std::uint32_t>(next);
}

}  // namespace

void SystemClock::start(std::uint32_t hertz) noexcept {
  cycles_per_tick = hertz / 1000;
  set_next_tick();
}

std::uint64_t SystemClock::milliseconds() noexcept { return read_time() / cycles_per_tick; }

std::uint64_t SystemClock::microseconds() noexcept { return read_time() * 1000 / cycles_per_tick; }

std::uint64_t SystemClock::cycles() noexcept { return read_time(); }

extern "C" [[gnu::interrupt("machine"), gnu::used]] void timer_handler() noexcept {
  set_next_tick();
  TickWatchdog::tick();
}

}  // namespace firmware
