#pragma once
#include <cstdint>

#include "drivers/mac_address.hpp"

struct pbuf;

namespace firmware {

/// The network card of QEMU's machines (virtio 1, section 5.1), over memory-mapped registers (section 4.2).
/// There is one. `Lan9118` says what each function does.
class VirtioNet {
 public:
  explicit constexpr VirtioNet(std::uintptr_t base) noexcept : base_(base) {}

  /// The card has the address that QEMU was told.
  bool start(const MacAddress& address) noexcept;
  bool send(const pbuf& frame) noexcept;
  pbuf* receive() noexcept;
  void acknowledge() noexcept;
  /// Not asked of the card.
  bool link_up() const noexcept { return true; }
  std::uint32_t dropped() const noexcept { return dropped_; }

 private:
  struct Queue;

  volatile std::uint32_t& at(std::uint32_t offset) const noexcept;
  bool add(Queue& queue) noexcept;
  void offer(Queue& queue, std::uint32_t buffer, std::uint32_t size) noexcept;

  static Queue receive_queue, send_queue;

  std::uintptr_t base_;
  std::uint32_t dropped_ = 0;
};

}  // namespace firmware
