#include "port.hpp"

#include <ctime>

namespace microdot::inline MICRODOT_ABI {

TimePoint PosixPort::SystemClock::now() noexcept {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return TimePoint(Duration(std::int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000));
}

std::int64_t PosixPort::SystemClock::unix_seconds() noexcept {
  constexpr std::int64_t kEarliest = 1'700'000'000;  // before that, a device was not told the time yet
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return time.tv_sec < kEarliest ? 0 : time.tv_sec;
}

}  // namespace microdot::inline MICRODOT_ABI
