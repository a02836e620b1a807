#pragma once
#include <charconv>
#include <concepts>
#include <cstddef>
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

/// A line of text built in place, cut at `N` bytes: for logs. A number that does not fit is left out.
template <std::size_t N>
class FixedText {
 public:
  FixedText& append(std::string_view text) noexcept {
    if (text.size() > N - size_) text = text.substr(0, N - size_);
    for (const char c : text) data_[size_++] = c;
    return *this;
  }
  FixedText& append(char c) noexcept { return append(std::string_view(&c, 1)); }
  FixedText& append(std::integral auto number) noexcept {
    const std::to_chars_result end = std::to_chars(data_ + size_, data_ + N, number);
    if (end.ec == std::errc{}) size_ = static_cast<std::size_t>(end.ptr - data_);
    return *this;
  }
  std::string_view view() const noexcept { return {data_, size_}; }
  void clear() noexcept { size_ = 0; }

 private:
  char data_[N];
  std::size_t size_ = 0;
};

}  // namespace microdot::inline MICRODOT_ABI
