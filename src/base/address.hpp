#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI::detail {

/// Reads four decimal numbers without leading zeros, "192.0.2.1", and nothing else. Writes 4 bytes, some of
/// them where it is none.
bool parse_ipv4(std::string_view text, std::uint8_t* bytes) noexcept;

/// Reads groups of up to four hexadecimal digits, one "::" for groups of zeros, and IPv4 in the last 32 bits
/// (RFC 4291 section 2.2). Writes nothing where it is none.
bool parse_ipv6(std::string_view text, std::array<std::uint8_t, 16>& address) noexcept;

}  // namespace microdot::inline MICRODOT_ABI::detail
