#pragma once
#include <charconv>
#include <concepts>
#include <cstddef>
#include <string_view>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI {

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
