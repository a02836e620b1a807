#include <microdot/http/utf8.hpp>

#include <cstring>

namespace microdot::inline MICRODOT_ABI {
namespace {

// How many ASCII bytes `text` has at `at`, counted by whole words only.
std::size_t ascii_words(std::string_view text, std::size_t at) noexcept {
  using Word = std::size_t;
  constexpr Word kHighBits = ~Word{0} / 0xff * 0x80;
  const std::size_t begin = at;
  for (; text.size() - at >= sizeof(Word); at += sizeof(Word)) {
    Word word;
    std::memcpy(&word, text.data() + at, sizeof word);
    if ((word & kHighBits) != 0) break;
  }
  return at - begin;
}

}  // namespace

std::size_t Utf8Validator::check(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    if (left_ != 0) {
      if (byte < low_ || byte > high_) return i;
      low_ = 0x80;
      high_ = 0xbf;
      --left_;
      continue;
    }
    if (byte < 0x80) {
      const std::size_t skip = ascii_words(text, i);
      if (skip != 0) i += skip - 1;
      continue;
    }
    // The table of RFC 3629 4. C0, C1 and F5 to FF stand nowhere in UTF-8.
    low_ = 0x80;
    high_ = 0xbf;
    if (byte >= 0xc2 && byte <= 0xdf) {
      left_ = 1;
    } else if (byte >= 0xe0 && byte <= 0xef) {
      left_ = 2;
      if (byte == 0xe0) low_ = 0xa0;   // below: overlong
      if (byte == 0xed) high_ = 0x9f;  // above: surrogates
    } else if (byte >= 0xf0 && byte <= 0xf4) {
      left_ = 3;
      if (byte == 0xf0) low_ = 0x90;   // below: overlong
      if (byte == 0xf4) high_ = 0x8f;  // above: beyond U+10FFFF
    } else {
      return i;
    }
  }
  return text.size();
}

}  // namespace microdot::inline MICRODOT_ABI
