#pragma once
#include <microdot/port/port.hpp>

#include "files.hpp"
#include "poller.hpp"
#include "sockets.hpp"
#include "system.hpp"

namespace microdot::inline MICRODOT_ABI {

/// The port for systems with BSD sockets and poll(2): one for each thread. It asks the heap for nothing.
class PosixPort final : public Port {
 public:
  constexpr PosixPort() noexcept = default;

  Clock& clock() noexcept override { return clock_; }
  Poller& poller() noexcept override { return poller_; }
  Network& network() noexcept override { return network_; }
  Files& files() noexcept override { return files_; }
  Entropy& entropy() noexcept override { return entropy_; }
  Log& log() noexcept override { return log_; }
  void discard(std::span<std::byte> bytes) noexcept override { discard_system_memory(bytes); }

  void open() noexcept {
    network_.bind(poller_);
    poller_.bind(network_);
    (void)poller_.open();  // tried again when it is needed
  }
  void close() noexcept { poller_.close(); }
  /// See `PosixPoller::network_changed`.
  void network_changed() noexcept { poller_.network_changed(); }

 private:
  struct SystemClock final : Clock {
    TimePoint now() noexcept override;
    std::int64_t unix_seconds() noexcept override;
  };
  struct SystemEntropy final : Entropy {
    void fill(std::span<unsigned char> bytes) noexcept override { fill_system_random(bytes); }
  };
  struct SystemLog final : Log {
    void write(LogLevel level, std::string_view line) noexcept override { write_system_log(level, line); }
  };

  SystemClock clock_;
  PosixPoller poller_;
  PosixNetwork network_;
  PosixFiles files_;
  SystemEntropy entropy_;
  SystemLog log_;
};

}  // namespace microdot::inline MICRODOT_ABI
