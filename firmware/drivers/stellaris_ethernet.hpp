#pragma once
#include <cstdint>

#include "drivers/mac_address.hpp"

struct pbuf;

namespace firmware {

/// The Ethernet controller within the Stellaris LM3S6965. `Lan9118` says what each function does.
class StellarisEthernet {
 public:
  explicit constexpr StellarisEthernet(std::uintptr_t base) noexcept : base_(base) {}

  bool start(const MacAddress& address) noexcept;
  bool send(const pbuf& frame) noexcept;
  pbuf* receive() noexcept;
  void acknowledge() noexcept;
  /// QEMU's PHY tells nothing.
  bool link_up() const noexcept { return true; }
  std::uint32_t dropped() const noexcept { return dropped_; }

 private:
  volatile std::uint32_t& at(std::uint32_t offset) const noexcept;

  std::uintptr_t base_;
  std::uint32_t dropped_ = 0;
};

}  // namespace firmware
