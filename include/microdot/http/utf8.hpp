#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Checks UTF-8 (RFC 3629) that comes in pieces, cut anywhere, also inside a code point. A byte is refused as
/// soon as no text could go on with it: overlong forms, surrogates and what lies above U+10FFFF already at
/// their second byte.
class Utf8Validator {
 public:
  /// The index of the first byte of `text`, the next piece, that cannot be; `text.size()` when all can. After
  /// a byte that cannot be, `reset` before the next use.
  std::size_t check(std::string_view text) noexcept;

  /// Whether the text may end here: not inside a code point.
  bool complete() const noexcept { return left_ == 0; }

  /// Starts over, for the next text.
  void reset() noexcept { left_ = 0; }

 private:
  std::uint8_t left_ = 0;  // bytes that this code point still needs
  // What the next of them may be, from `low_` to `high_`.
  std::uint8_t low_ = 0x80;
  std::uint8_t high_ = 0xbf;
};

/// Whether all of `text` is UTF-8.
inline bool is_utf8(std::string_view text) noexcept {
  Utf8Validator validator;
  return validator.check(text) == text.size() && validator.complete();
}

}  // namespace microdot::inline MICRODOT_ABI
