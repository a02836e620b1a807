#include "firmware.hpp"

#include "cortex_m/clock.hpp"
#include "cortex_m/core.hpp"
#include "cortex_m/stack.hpp"
#include "drivers/watchdog.hpp"
#include "network.hpp"

#include "board.hpp"

namespace firmware {
namespace {

using BoardWatchdog = Watchdog<board::kWatchdogBase>;
constexpr std::uint32_t kWatchdogSeconds = 8;
constexpr std::uint64_t kReportMilliseconds = 1000;

volatile bool awake;
std::uint64_t slept;
std::uint64_t next_report;
std::size_t stack_reported;

void print(std::size_t number) noexcept {
  char text[10];
  char* at = text + sizeof text;
  do *--at = static_cast<char>('0' + number % 10);
  while ((number /= 10) != 0);
  board::Uart::write({at, static_cast<std::size_t>(text + sizeof text - at)});
}

/// The stack's high-water mark, when it has risen.
void report_stack() noexcept {
  const std::uint64_t now = SystemClock::milliseconds();
  if (now < next_report) return;
  next_report = now + kReportMilliseconds;
  const std::size_t used = stack_high_water();
  if (used == stack_reported) return;
  stack_reported = used;
  board::Uart::write("stack: ");
  print(used);
  board::Uart::write(" of ");
  print(stack_size());
  board::Uart::write(" bytes used\n");
}

}  // namespace

void start() noexcept {
  board::Uart::start();
  board::Uart::write("\nmicrodot on ");
  log_line(board::kName);
  SystemClock::start(board::kClockHertz);
  enable_interrupts();
  start_network();
  BoardWatchdog::start(board::kClockHertz, kWatchdogSeconds);
}

void log_line(std::string_view line) noexcept {
  board::Uart::write(line);
  board::Uart::write("\n");
}

void poll() noexcept {
  BoardWatchdog::feed();
  poll_network();
  report_stack();
}

void idle() noexcept {
  // With interrupts disabled nothing comes between looking and sleeping; one that is pending ends the sleep.
  disable_interrupts();
  if (!awake && !frames_waiting()) {
    const std::uint64_t from = SystemClock::cycles();
    wait_for_interrupt();
    slept += SystemClock::cycles() - from;
  }
  awake = false;
  enable_interrupts();
}

void wake() noexcept { awake = true; }

std::uint64_t idle_cycles() noexcept { return slept; }

std::uint32_t entropy_seed() noexcept {
  // Neither board has a source of noise: the moment at which the network answered is what differs.
  return static_cast<std::uint32_t>(SystemClock::cycles() * 2654435761U);
}

}  // namespace firmware

extern "C" void firmware_assert(const char* text) noexcept { firmware::stop(text); }
extern "C" unsigned firmware_rand() noexcept { return firmware::entropy_seed(); }
extern "C" std::uint32_t sys_now() noexcept { return static_cast<std::uint32_t>(firmware::SystemClock::milliseconds()); }
