#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI::detail {

/// Writes the SHA-1 digest (FIPS 180-4, RFC 3174) of `message` into `digest`.
///
/// For the handshake of WebSocket and nothing else: there it proves that the server read the request as such,
/// no security rests on it, and none could rest on SHA-1. It is our own because the core needs the standard
/// library only; mbedTLS comes with TLS, which most programs build without.
void sha1(std::string_view message, std::span<std::uint8_t, 20> digest) noexcept;

}  // namespace microdot::inline MICRODOT_ABI::detail
