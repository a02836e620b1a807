#pragma once
#include <array>
#include <cstdint>

namespace firmware {

using MacAddress = std::array<std::uint8_t, 6>;

/// Its bytes `first` … `first + count - 1`, the first one lowest.
constexpr std::uint32_t little_endian(const MacAddress& address, unsigned first, unsigned count) noexcept {
  std::uint32_t word = 0;
  for (unsigned i = 0; i < count; ++i) word |= static_cast<std::uint32_t>(address[first + i]) << 8 * i;
  return word;
}

}  // namespace firmware
