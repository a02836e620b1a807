#include "firmware.hpp"

#include <lwip/memp.h>
#include <lwip/stats.h>
#include <chrono>
#include <cstddef>
#include <span>

#include <microdot/base/format.hpp>
#include <ports/lwip/port.hpp>

#include "clock.hpp"
#include "core.hpp"
#include "network.hpp"
#include "stack.hpp"

#include "board_config.hpp"

namespace firmware {
namespace {

constexpr std::uint32_t kWatchdogSeconds = 4;
constexpr std::uint32_t kStackReportMilliseconds = 1000;

std::uint64_t slept;

/// How the board is.
[[gnu::noinline]] void report_status() noexcept {
  while (board::Uart::skip_input()) continue;
  char line[256];
  const auto used = [](memp_t pool) { return lwip_stats.memp[pool]->used; };
  log_line({line, microdot::format_to(
                      line,
                      "status: {} cycles, {} idle; stack {} of {} bytes; {} frames dropped; {} connections; "
                      "in use: heap {} bytes, {} frames, {} segments, {} references",
                      SystemClock::cycles(), slept, stack_high_water(), stack_size(), frames_dropped(),
                      open_connections(), lwip_stats.mem.used, used(MEMP_PBUF_POOL), used(MEMP_TCP_SEG),
                      used(MEMP_PBUF))});
}

/// The stack's high-water mark, when it has risen.
[[gnu::noinline]] void report_stack() noexcept {
  static std::size_t reported;
  const std::size_t used = stack_high_water();
  if (used == reported) return;
  reported = used;
  char line[48];
  log_line({line, microdot::format_to(line, "stack: {} of {} bytes used", used, stack_size())});
}

/// What has to be done now and then, whether the program is busy or sleeps. One that never comes here hangs:
/// the watchdog restarts the board.
void look_after_board() noexcept {
  board::Watchdog::feed();
  if (board::Uart::skip_input()) report_status();  // a key asks for it
  static std::uint32_t last_time;
  const std::uint32_t now = SystemClock::ticks();
  if (now - last_time < kStackReportMilliseconds) return;
  last_time = now;
  report_stack();
}

class Board final : public microdot::LwipBoard {
 public:
  microdot::TimePoint now() noexcept override {
    return microdot::TimePoint(std::chrono::microseconds(SystemClock::microseconds()));
  }

  bool poll_input() noexcept override {
    look_after_board();
    return poll_network();
  }

  bool idle(microdot::TimePoint until) noexcept override {
    for (;;) {
      // With interrupts disabled nothing comes between looking and sleeping; one that is pending ends the
      // sleep.
      disable_interrupts();
      const bool woken = awake_;
      const bool go_on = woken || frames_waiting() || now() >= until;
      if (!go_on) {
        const std::uint64_t from = SystemClock::cycles();
        wait_for_interrupt();
        slept += SystemClock::cycles() - from;
      } else {
        awake_ = false;
      }
      enable_interrupts();
      if (go_on) return woken;
      look_after_board();
    }
  }

  void wake() noexcept override { awake_ = true; }

  // Not fit for keys: no board has a source of noise (docs/design/firmware.md).
  void fill_random(std::span<unsigned char> bytes) noexcept override {
    for (unsigned char& byte : bytes) {
      random_ += 0x9E3779B97F4A7C15 + network_noise() + static_cast<std::uint32_t>(SystemClock::cycles());
      std::uint64_t mixed = random_;  // splitmix64
      mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9;
      mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB;
      byte = static_cast<unsigned char>((mixed ^ mixed >> 31) & 0xFF);
    }
  }

  void write_log(microdot::LogLevel, std::string_view line) noexcept override { log_line(line); }

 private:
  volatile bool awake_ = false;
  std::uint64_t random_ = 0;
};

constinit Board the_board;

}  // namespace

void start() noexcept {
  board::Uart::start();
  board::Uart::write("\nmicrodot on ");
  log_line(board::kName);
  SystemClock::start(board::kClockHertz);
  enable_interrupts();
  (void)microdot::system_port();  // lwIP is ready
  start_network();
  board::Watchdog::start(board::kClockHertz, kWatchdogSeconds);
  if constexpr (board::kWatchdogIrq) enable_irq(*board::kWatchdogIrq);
}

void log_line(std::string_view line) noexcept {
  board::Uart::write(line);
  board::Uart::write("\n");
}

}  // namespace firmware

namespace microdot::inline MICRODOT_ABI {

Port& system_port() noexcept {
  static LwipPort port(firmware::the_board);
  return port;
}

}  // namespace microdot::inline MICRODOT_ABI
