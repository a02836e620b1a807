#include "address.hpp"

#include <microdot/base/text.hpp>

namespace microdot::inline MICRODOT_ABI::detail {

bool parse_ipv4(std::string_view text, std::uint8_t* bytes) noexcept {
  for (int i = 0; i < 4; ++i) {
    const std::size_t size = i < 3 ? text.find('.') : text.size();
    if (size == 0 || size > 3) return false;  // also where there is no dot
    unsigned value = 0;
    for (const char c : text.substr(0, size)) {
      if (c < '0' || c > '9') return false;
      value = value * 10 + static_cast<unsigned>(c - '0');
    }
    if (value > 255 || (size > 1 && text.front() == '0')) return false;
    bytes[i] = static_cast<std::uint8_t>(value);
    text.remove_prefix(i < 3 ? size + 1 : size);
  }
  return true;
}

bool parse_ipv6(std::string_view text, std::array<std::uint8_t, 16>& address) noexcept {
  std::uint8_t bytes[16] = {};
  std::size_t size = 0;
  std::size_t gap = 17;  // where "::" is
  if (text.starts_with("::")) {
    gap = 0;
    text.remove_prefix(2);
  } else if (text.empty()) {
    return false;
  }
  while (!text.empty()) {
    const std::size_t end = text.find(':');
    const std::string_view group = text.substr(0, end);
    if (group.find('.') != std::string_view::npos) {
      if (end != std::string_view::npos || size > 12 || !parse_ipv4(group, bytes + size)) return false;
      size += 4;
      break;
    }
    if (group.empty() || group.size() > 4 || size > 14) return false;
    unsigned value = 0;
    for (const char c : group) {
      const int digit = hex_value(c);
      if (digit < 0) return false;
      value = value * 16 + static_cast<unsigned>(digit);
    }
    bytes[size++] = static_cast<std::uint8_t>(value >> 8);
    bytes[size++] = static_cast<std::uint8_t>(value);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
    if (text.starts_with(':')) {
      if (gap != 17) return false;
      gap = size;
      text.remove_prefix(1);
    } else if (text.empty()) {
      return false;
    }
  }
  if (gap == 17 ? size != 16 : size > 14) return false;
  address = {};
  const std::size_t front = gap == 17 ? size : gap;
  for (std::size_t i = 0; i < front; ++i) address[i] = bytes[i];
  for (std::size_t i = front; i < size; ++i) address[16 - size + i] = bytes[i];
  return true;
}

}  // namespace microdot::inline MICRODOT_ABI::detail
