#include <microdot/base/text.hpp>

namespace microdot::inline MICRODOT_ABI {

TextBuilder& TextBuilder::append(std::string_view text) noexcept {
  size_ += text.copy(data_ + size_, capacity_ - size_);
  return *this;
}

TextBuilder& TextBuilder::append_number(bool negative, std::uint64_t magnitude) noexcept {
  char text[1 + kMaxDecimal] = {'-'};
  const std::size_t size = 1 + write_decimal(text + 1, magnitude);
  const std::string_view number(text + (negative ? 0 : 1), size - (negative ? 0 : 1));
  return number.size() <= capacity_ - size_ ? append(number) : *this;
}

}  // namespace microdot::inline MICRODOT_ABI
