#pragma once
#include <microdot/testing/sim_port.hpp>

#include "memory.hpp"

namespace microdot::inline MICRODOT_ABI {

/// Files in memory, then those of another `Files`.
class SimFiles final : public Files {
 public:
  /// Slow reads move `now`.
  SimFiles(SimFaults& faults, Files* others, TimePoint& now) noexcept
      : faults_(faults), others_(others), now_(now) {}
  SimFiles(const SimFiles&) = delete;
  ~SimFiles();

  Result<File> open(std::string_view root, std::string_view path) noexcept override;
  Result<void> check_root(std::string_view root) noexcept override;
  Result<std::size_t> read(Handle handle, std::uint64_t offset, std::span<char> buffer) noexcept override;
  std::span<const char> data(Handle handle) noexcept override;
  void close(Handle handle) noexcept override;

  void add(std::string_view path, std::string_view content, std::int64_t modified, bool in_place) noexcept;

  std::size_t open_count = 0;

 private:
  struct Entry;

  Entry* find(std::string_view name) noexcept;
  bool is_directory(std::string_view name) noexcept;

  SimFaults& faults_;
  Files* others_;
  TimePoint& now_;
  Entry* entries_ = nullptr;
};

}  // namespace microdot::inline MICRODOT_ABI
