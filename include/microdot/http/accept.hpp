#pragma once
#include <cstdint>
#include <string_view>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI {

/// A content coding that a file may be stored in.
enum class Encoding : std::uint8_t { identity, gzip, br };

/// The coding's name in `Content-Encoding`: "gzip", "br"; "" for identity. Static storage.
std::string_view to_string(Encoding encoding) noexcept;

/// How much a client wants content coded with `coding` (e.g. "gzip"), in thousandths: 0 (not acceptable) to
/// 1000, by the value of its Accept-Encoding (RFC 9110 12.5.3). Identity that is not named gets 1:
/// acceptable, but after what is named. A coding with a bad q-value counts as not acceptable.
int encoding_quality(std::string_view accept_encoding, std::string_view coding) noexcept;

/// The coding to answer with, out of those available (identity always is): that of the best quality; among
/// equals br, then gzip, then identity. Identity when the client accepts nothing at all.
Encoding choose_encoding(std::string_view accept_encoding, bool has_gzip, bool has_br) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
