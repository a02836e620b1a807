#pragma once
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Whether `size` bytes at `a` and `b` are the same: for short texts, where a call of memcmp costs more.
inline bool same_bytes(const char* a, const char* b, std::size_t size) noexcept {
  using Word = std::size_t;
  const auto word_at = [](const char* p) {
    Word word;
    std::memcpy(&word, p, sizeof word);
    return word;
  };
  if (size < sizeof(Word)) {
    for (std::size_t i = 0; i < size; ++i) {
      if (a[i] != b[i]) return false;
    }
    return true;
  }
  const std::size_t last = size - sizeof(Word);  // may overlap the one before
  for (std::size_t i = 0; i < last; i += sizeof(Word)) {
    if (word_at(a + i) != word_at(b + i)) return false;
  }
  return word_at(a + last) == word_at(b + last);
}

/// Room for any `write_decimal`.
inline constexpr std::size_t kMaxDecimal = 20;

/// Writes `value` in decimal at `out`, which has room for `kMaxDecimal` bytes. Returns the bytes written.
inline std::size_t write_decimal(char* out, std::uint64_t value) noexcept {
  if (value < 10) {
    *out = static_cast<char>('0' + value);
    return 1;
  }
  if (value < 100) {
    const unsigned tens = static_cast<unsigned>(value) * 205 >> 11;  // a tenth, without a division
    out[0] = static_cast<char>('0' + tens);
    out[1] = static_cast<char>('0' + (static_cast<unsigned>(value) - tens * 10));
    return 2;
  }
  std::size_t size = 3;
  for (std::uint64_t bound = 1000; size < kMaxDecimal && value >= bound; bound *= 10) ++size;
  char* p = out + size;
  // 32-bit division is several times faster on small processors, and most numbers are small.
  while (value > UINT32_MAX) {
    *--p = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  auto small = static_cast<std::uint32_t>(value);
  do {
    *--p = static_cast<char>('0' + small % 10);
    small /= 10;
  } while (small != 0);
  return size;
}

/// Room for any `write_hex`.
inline constexpr std::size_t kMaxHex = 16;

/// Writes `value` in lower-case hexadecimal without leading zeros at `out`, which has room for `kMaxHex`
/// bytes. Returns the bytes written.
inline std::size_t write_hex(char* out, std::uint64_t value) noexcept {
  const std::size_t size = (static_cast<std::size_t>(std::bit_width(value | 1)) + 3) / 4;
  for (std::size_t i = size; i-- > 0; value >>= 4) out[i] = "0123456789abcdef"[value & 15];
  return size;
}

/// The value of a hexadecimal digit, or -1.
constexpr int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// A line of text built in place, cut at the end of its room: for logs. A number that does not fit is left
/// out.
class TextBuilder {
 public:
  TextBuilder(const TextBuilder&) = delete;
  TextBuilder& operator=(const TextBuilder&) = delete;

  TextBuilder& append(std::string_view text) noexcept;
  TextBuilder& append(const char* text) noexcept { return append(std::string_view(text)); }
  TextBuilder& append(char c) noexcept { return append(std::string_view(&c, 1)); }
  TextBuilder& append(std::integral auto number) noexcept {
    const auto bits = static_cast<std::uint64_t>(number);
    return number < 0 ? append_number(true, 0 - bits) : append_number(false, bits);
  }
  std::string_view view() const noexcept { return {data_, size_}; }
  void clear() noexcept { size_ = 0; }

 protected:
  TextBuilder(char* data, std::size_t capacity) noexcept : data_(data), capacity_(capacity) {}
  ~TextBuilder() = default;

 private:
  TextBuilder& append_number(bool negative, std::uint64_t magnitude) noexcept;

  char* data_;
  std::size_t capacity_;
  std::size_t size_ = 0;
};

/// One with room for `N` bytes.
template <std::size_t N>
class FixedText : public TextBuilder {
 public:
  FixedText() noexcept : TextBuilder(text_, N) {}

 private:
  char text_[N];
};

}  // namespace microdot::inline MICRODOT_ABI
