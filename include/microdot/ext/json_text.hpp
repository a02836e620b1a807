#pragma once
/// What the JSON extensions share: which requests have JSON, how deep it may lie, and how a text stands in
/// it.

#include <cstddef>
#include <string_view>

#include <microdot/base/text.hpp>
#include <microdot/http/chars.hpp>

namespace microdot::inline MICRODOT_ABI {

/// How deep arrays and objects may lie in each other in a request's body. What copies, writes or compares
/// values recurses, so that a body of brackets alone could exhaust the stack.
inline constexpr std::size_t kMaxJsonDepth = 64;

namespace detail {

/// Whether nothing lies deeper than `kMaxJsonDepth` in `text`. Of texts that are not JSON the answer means
/// nothing.
inline bool json_depth_is_bounded(std::string_view text) noexcept {
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        quoted = false;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxJsonDepth) return false;
    } else if ((c == ']' || c == '}') && depth != 0) {
      --depth;
    }
  }
  return true;
}

/// Whether a media type is JSON: application/json, or any with the suffix +json (RFC 6839 3.1).
inline bool is_json_type(std::string_view type) noexcept {
  type = type.substr(0, type.find(';'));
  type = type.substr(0, type.find_last_not_of(" \t") + 1);
  constexpr std::string_view kSuffix = "+json";
  return equals_ignore_case(type, "application/json") ||
         (type.size() > kSuffix.size() &&
          equals_ignore_case(type.substr(type.size() - kSuffix.size()), kSuffix));
}

/// Writes `text` as it stands between the quotes of a JSON string (RFC 8259 7). At most six times as long.
inline void append_json(TextBuilder& out, std::string_view text) noexcept {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20) {
      const unsigned code = static_cast<unsigned char>(c);
      out.append("\\u00").append(static_cast<char>('0' + (code >> 4))).append("0123456789abcdef"[code & 15]);
    } else {
      if (c == '"' || c == '\\') out.append('\\');
      out.append(c);
    }
  }
}

}  // namespace detail

}  // namespace microdot::inline MICRODOT_ABI
