#pragma once
#include <cstddef>
#include <span>
#include <string_view>

#include <microdot/base/config.hpp>
#include <microdot/base/result.hpp>

/// Percent-encoding (RFC 3986 2.1) and paths. Nothing here allocates.
namespace microdot::inline MICRODOT_ABI {

/// Decodes `text` into `out`, which may be the memory of `text` itself (decoding in place) but not overlap it
/// otherwise. `plus_is_space` for text of forms. Returns the decoded text within `out`, or `Error::invalid`
/// (a '%' without two hexadecimal digits), or `Error::too_large` (no room; `text.size()` bytes always
/// suffice).
Result<std::string_view> percent_decode(std::string_view text, std::span<char> out,
                                        bool plus_is_space = false) noexcept;

/// Encodes every byte of `text` that is neither unreserved (letters, digits, "-._~") nor in `keep` (e.g. "/"
/// for paths). Returns the text within `out`, or `Error::too_large`; three times `text.size()` bytes always
/// suffice.
Result<std::string_view> percent_encode(std::string_view text, std::span<char> out,
                                        std::string_view keep = {}) noexcept;

/// Whether `encoded`, once decoded, is exactly `literal`. Bad percent-encoding equals nothing. Needs no
/// memory.
bool decoded_equals(std::string_view encoded, std::string_view literal) noexcept;

/// Whether a decoded path stays below the directory that it is relative to: not empty, not absolute, no ".."
/// segment, no NUL or other control byte, no backslash, no drive or stream (':').
bool is_local_path(std::string_view path) noexcept;

/// The part after the last '/': "b.txt" of "a/b.txt".
constexpr std::string_view path_filename(std::string_view path) noexcept {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

/// The extension without its dot: "gz" of "a/b.tar.gz"; "" where there is none, as in ".profile".
constexpr std::string_view path_extension(std::string_view path) noexcept {
  std::size_t dot = path.size();
  while (dot != 0 && path[dot - 1] != '.' && path[dot - 1] != '/') --dot;
  // Before it must be a dot, and before that a part of the name.
  if (dot < 2 || path[dot - 1] == '/' || path[dot - 2] == '/') return {};
  return path.substr(dot);
}

}  // namespace microdot::inline MICRODOT_ABI
