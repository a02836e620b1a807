#include <microdot/http/response_writer.hpp>

#include <cstring>

#include <microdot/http/chars.hpp>
#include <microdot/http/status.hpp>

namespace microdot::inline MICRODOT_ABI {

bool is_valid_field_name(std::string_view name) noexcept {
  return !name.empty() && all_chars(name, kCharToken);
}

bool is_valid_field_value(std::string_view value) noexcept { return all_chars(value, kCharField); }

ResponseHead& ResponseHead::status(int code, std::string_view reason) noexcept {
  if (code == 200 && reason.empty()) return raw("HTTP/1.1 200 OK\r\n");
  if (reason.empty()) reason = reason_phrase(code);
  if (error_ == Error::none && (code < 100 || code > 999 || !is_valid_field_value(reason)))
    error_ = Error::invalid;
  if (!fits(sizeof("HTTP/1.1 200 ") - 1 + reason.size() + 2)) return *this;
  put("HTTP/1.1 ");
  p_ += write_decimal(p_, static_cast<std::uint64_t>(code));
  put(" ");
  put(reason);
  put("\r\n");
  return *this;
}

ResponseHead& ResponseHead::field(std::string_view name, std::string_view value) noexcept {
  if (error_ == Error::none && (!is_valid_field_name(name) || !is_valid_field_value(value)))
    error_ = Error::invalid;
  if (!fits(name.size() + value.size() + 4)) return *this;
  put(name);
  put(": ");
  if (!value.empty()) put(value);
  put("\r\n");
  return *this;
}

ResponseHead& ResponseHead::field(std::string_view name, std::uint64_t value) noexcept {
  char digits[kMaxDecimal];
  return field(name, std::string_view(digits, write_decimal(digits, value)));
}

ResponseHead& ResponseHead::content_type(std::string_view type) noexcept {
  if (error_ == Error::none && !is_valid_field_value(type)) error_ = Error::invalid;
  if (!fits(type.size() + 16)) return *this;
  put("Content-Type: ");
  if (!type.empty()) put(type);
  put("\r\n");
  return *this;
}

ResponseHead& ResponseHead::content_length(std::uint64_t size) noexcept {
  constexpr std::string_view kName = "Content-Length: ";
  char digits[kMaxDecimal];
  const std::string_view number(digits, write_decimal(digits, size));
  if (!fits(kName.size() + number.size() + 2)) return *this;
  put(kName);
  put(number);
  put("\r\n");
  return *this;
}

Result<std::string_view> ResponseHead::finish() noexcept {
  raw("\r\n");
  if (error_ != Error::none) return error_;
  return std::string_view(begin_, size());
}

}  // namespace microdot::inline MICRODOT_ABI
