#pragma once
#include <cstdint>

#include "drivers/mac_address.hpp"

struct pbuf;

namespace firmware {

/// Microchip LAN9118 Ethernet controller (MPS2 boards), behind the two FIFOs of its bus interface.
class Lan9118 {
 public:
  explicit constexpr Lan9118(std::uintptr_t base) noexcept : base_(base) {}

  /// Resets the controller and turns it on; it interrupts from then on when a frame has come. False: there is
  /// none.
  bool start(const MacAddress& address) noexcept;
  /// Sends the frame; false where the controller has no room for it.
  bool send(const pbuf& frame) noexcept;
  /// The next frame that has come, or null. One that finds no buffer is dropped.
  pbuf* receive() noexcept;
  /// To be called before frames are received, after an interrupt.
  void acknowledge() noexcept;
  /// Whether a cable is plugged in, with somebody at its other end.
  bool link_up() noexcept;
  std::uint32_t dropped() const noexcept { return dropped_; }

 private:
  volatile std::uint32_t& at(std::uint32_t offset) const noexcept;
  void write_mac(std::uint32_t index, std::uint32_t value) noexcept;
  std::uint32_t read_mac(std::uint32_t index) noexcept;

  std::uintptr_t base_;
  std::uint32_t dropped_ = 0;
};

}  // namespace firmware
