#include "port.hpp"

#include <lwip/stats.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>
#include <algorithm>

namespace microdot::inline MICRODOT_ABI {
namespace {

Pressure of_pool(const stats_mem& pool) noexcept {
  const std::size_t left = pool.avail - pool.used;
  if (left < pool.avail / 8) return Pressure::high;
  return left < pool.avail / 4 ? Pressure::some : Pressure::none;
}

}  // namespace

Pressure LwipPort::pressure() noexcept {
  return std::max({of_pool(lwip_stats.mem), of_pool(*lwip_stats.memp[MEMP_PBUF_POOL]),
                   of_pool(*lwip_stats.memp[MEMP_TCP_SEG])});
}

void LwipPort::BoardPoller::poll(Duration timeout) noexcept {
  TimePoint end = TimePoint::max();  // told when it is needed: the clock has its price
  network_.flush();
  for (;;) {
    board_.poll_input();
    sys_check_timeouts();
    if (network_.dispatch() || timeout == Duration::zero()) return;
    const TimePoint now = board_.now();
    if (end == TimePoint::max() && timeout > Duration::zero()) end = now + timeout;
    if (now >= end) return;
    TimePoint until = end;
    const std::uint32_t left = sys_timeouts_sleeptime();
    if (left != SYS_TIMEOUTS_SLEEPTIME_INFINITE)
      until = std::min(until, now + std::chrono::milliseconds(left));
    if (board_.idle(until)) return;
  }
}

}  // namespace microdot::inline MICRODOT_ABI

// ---- What lwIP asks for (arch/cc.h) ------------------------------------------------------------------

extern "C" {

u32_t sys_now(void) {
  const microdot::TimePoint now = microdot::LwipNetwork::instance().board().now();
  return static_cast<u32_t>(now.time_since_epoch().count() / 1000);
}

std::uint32_t microdot_lwip_random(void) {
  unsigned char bytes[4];
  microdot::LwipNetwork::instance().board().fill_random(bytes);
  return bytes[0] | std::uint32_t{bytes[1]} << 8 | std::uint32_t{bytes[2]} << 16 |
         std::uint32_t{bytes[3]} << 24;
}

void microdot_lwip_assert(const char* message) {
  microdot::LwipNetwork::instance().board().write_log(microdot::LogLevel::error, message);
  __builtin_trap();
}
}
