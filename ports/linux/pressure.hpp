#pragma once
#include <cstdint>
#include <string_view>

#include <microdot/port/port.hpp>

namespace microdot::inline MICRODOT_ABI {

/// How near the process is to its limit of descriptors, and the system or one of the control groups that the
/// process is in (its own and those around it, of version 2 or 1) to its end of memory. Looks again after a
/// while only, so that asking costs next to nothing.
class LinuxPressure {
 public:
  constexpr LinuxPressure() noexcept = default;
  /// For tests: other places than /proc/meminfo, /proc/self/cgroup and /sys/fs/cgroup, NUL-terminated.
  constexpr LinuxPressure(const char* meminfo, const char* membership, const char* groups) noexcept
      : meminfo_(meminfo), membership_(membership), groups_(groups) {}

  Pressure at(TimePoint now) noexcept;

  /// `some` when fewer than 64 descriptors or a quarter of `limit` are left, `high` when fewer than 16 or a
  /// sixteenth are. `next`: the number that a new descriptor would have; -1: there is none.
  static Pressure of_descriptors(std::int64_t next, std::int64_t limit) noexcept;
  /// `some` when less than 6 % of `total` are available, `high` below 3 %.
  static Pressure of_memory(std::uint64_t available, std::uint64_t total) noexcept;

 private:
  Pressure descriptors() const noexcept;
  Pressure system_memory() const noexcept;
  Pressure groups_memory() const noexcept;

  const char* meminfo_ = "/proc/meminfo";
  const char* membership_ = "/proc/self/cgroup";
  const char* groups_ = "/sys/fs/cgroup";
  TimePoint descriptors_again_{};
  TimePoint memory_again_{};
  Pressure descriptors_ = Pressure::none;
  Pressure memory_ = Pressure::none;
};

}  // namespace microdot::inline MICRODOT_ABI
