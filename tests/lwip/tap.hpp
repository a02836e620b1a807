#pragma once
// lwIP as a neighbour of this machine's kernel: an Ethernet between the two that loses, repeats and delays
// frames.

#include <lwip/netif.h>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "ports/lwip/port.hpp"
#include "tap_device.hpp"

namespace microdot_test {

using namespace microdot;

/// The kernel's address and lwIP's, in 10.79.0.0/24.
inline constexpr const char* kKernelAddress = "10.79.0.1";
inline constexpr const char* kLwipAddress = "10.79.0.2";

// <netinet/tcp.h> has another TCP_MSS, and whoever includes it first gets that one.
inline constexpr std::size_t kSegmentBytes = TCP_MSS;
inline constexpr std::size_t kSendBufferBytes = TCP_SND_BUF;
static_assert(kSegmentBytes == 1440);

/// What happens to frames, in both directions; the same for the same seed and frames.
struct TapFaults {
  unsigned lost = 0, repeated = 0, delayed = 0;  ///< Of a thousand.
  Duration delay{};                              ///< The longest; delayed frames are overtaken by others.
};

class TapBoard final : public LwipBoard {
 public:
  /// Makes the tap device, with the kernel's address. `ready` tells whether that could be done.
  TapBoard();
  ~TapBoard();
  TapBoard(const TapBoard&) = delete;
  bool ready() const { return tap_ >= 0; }
  /// Adds lwIP's interface, once there is a port.
  void start();
  /// Faults from now on.
  void set_faults(const TapFaults& faults, std::uint32_t seed = 1);
  /// The interface, to be taken down and up.
  struct netif& interface() {
    return netif_;
  }
  std::size_t lost() const { return lost_; }
  /// Moves lwIP's clock on; the kernel's stays.
  void advance(Duration time) { ahead_ += time; }

  TimePoint now() noexcept override;
  std::int64_t unix_seconds() noexcept override;
  bool poll_input() noexcept override;
  bool idle(TimePoint until) noexcept override;
  void wake() noexcept override;
  void fill_random(std::span<unsigned char> bytes) noexcept override;
  void write_log(LogLevel level, std::string_view line) noexcept override;

 private:
  struct Frame {
    TimePoint due;
    bool to_kernel;
    std::string bytes;
  };

  /// Lets the faults have it, then delivers what is left of it.
  void pass(std::string bytes, bool to_kernel);
  void deliver(const Frame& frame);

  int tap_ = -1;
  int event_ = -1;
  struct netif netif_ {};
  TapFaults faults_;
  std::mt19937 random_;
  std::vector<Frame> under_way_;
  std::size_t lost_ = 0;
  Duration ahead_{};
};

}  // namespace microdot_test
