#pragma once
#include <cstdint>
#include <string_view>

#include <microdot/port/port.hpp>

namespace microdot::inline MICRODOT_ABI {

/// How near the process is to its limit of descriptors, and the system or the container (the control group
/// that is mounted as the root, cgroup v2) to its end of memory. Looks again after a while only, so that
/// asking costs next to nothing.
class LinuxPressure {
 public:
  constexpr LinuxPressure() noexcept = default;
  /// For tests: other places than /proc/meminfo and /sys/fs/cgroup, NUL-terminated.
  constexpr LinuxPressure(const char* meminfo, const char* cgroup) noexcept
      : meminfo_(meminfo), cgroup_(cgroup) {}

  Pressure at(TimePoint now) noexcept;

  /// `some` when fewer than 64 descriptors or a quarter of `limit` are left, `high` when fewer than 16 or a
  /// sixteenth are. `next`: the number that a new descriptor would have; -1: there is none.
  static Pressure of_descriptors(std::int64_t next, std::int64_t limit) noexcept;
  /// `some` when less than 6 % of `total` are available, `high` below 3 %.
  static Pressure of_memory(std::uint64_t available, std::uint64_t total) noexcept;

 private:
  Pressure descriptors() const noexcept;
  Pressure system_memory() const noexcept;
  Pressure group_memory() const noexcept;

  const char* meminfo_ = "/proc/meminfo";
  const char* cgroup_ = "/sys/fs/cgroup";
  TimePoint descriptors_again_{};
  TimePoint memory_again_{};
  Pressure descriptors_ = Pressure::none;
  Pressure memory_ = Pressure::none;
};

}  // namespace microdot::inline MICRODOT_ABI
