#pragma once
#include <microdot/base/result.hpp>

namespace microdot::inline MICRODOT_ABI {

/// A pair of descriptors by which other threads, signal handlers and interrupts end a poll. Which kind is
/// chosen in config.hpp.
class WakePair {
 public:
  constexpr WakePair() noexcept = default;

  /// Errors: `no_descriptors`, `no_memory`.
  Result<void> open() noexcept;
  void close() noexcept;
  bool is_open() const noexcept { return read_ >= 0; }

  int read_end() const noexcept { return read_; }
  /// Whoever writes eight bytes with the value 1 to it wakes the poll.
  int write_end() const noexcept { return write_; }
  void wake() noexcept;
  /// Takes what was written; only when there is something to read.
  void drain() noexcept;

 private:
  int read_ = -1;
  int write_ = -1;
};

}  // namespace microdot::inline MICRODOT_ABI
