#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include <microdot/base/config.hpp>
#include <microdot/base/text.hpp>

/// Classes of bytes in HTTP and small text helpers on them. No locale.
namespace microdot::inline MICRODOT_ABI {

/// Classes of bytes; one byte may be in several.
enum CharClass : std::uint8_t {
  kCharToken = 1,        ///< tchar (RFC 9110 5.6.2).
  kCharTarget = 2,       ///< Plain byte of a request target: visible ASCII without " # % < > ? and backslash.
  kCharRegName = 4,      ///< unreserved and sub-delims (RFC 3986 3.2.2), without '%'.
  kCharHex = 8,          ///< HEXDIG, either case.
  kCharUnreserved = 16,  ///< ALPHA DIGIT - . _ ~ (RFC 3986 2.3).
  kCharField = 32,       ///< Byte of a field value: VCHAR, obs-text, SP, HTAB (RFC 9110 5.5).
  kCharCookieOctet = 64,  ///< cookie-octet (RFC 6265 4.1.1).
  kCharDigit = 128,       ///< DIGIT.
};

namespace detail {
constexpr std::array<std::uint8_t, 256> make_char_classes() {
  std::array<std::uint8_t, 256> table{};
  auto in = [](std::string_view set, char c) { return set.find(c) != std::string_view::npos; };
  for (unsigned i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    const bool digit = i >= '0' && i <= '9';
    const bool alpha = (i >= 'a' && i <= 'z') || (i >= 'A' && i <= 'Z');
    const bool visible = i > 0x20 && i < 0x7f;
    unsigned bits = 0;
    if (digit || alpha || (visible && in("!#$%&'*+-.^_`|~", c))) bits |= kCharToken;
    if (visible && !in("\"#%<>?\\", c)) bits |= kCharTarget;
    if (digit || alpha || (visible && in("-._~", c))) bits |= kCharUnreserved | kCharRegName;
    if (visible && in("!$&'()*+,;=", c)) bits |= kCharRegName;
    if (digit || (i >= 'a' && i <= 'f') || (i >= 'A' && i <= 'F')) bits |= kCharHex;
    if (visible || i >= 0x80 || i == ' ' || i == '\t') bits |= kCharField;
    if (visible && !in("\",;\\", c)) bits |= kCharCookieOctet;
    if (digit) bits |= kCharDigit;
    table[i] = static_cast<std::uint8_t>(bits);
  }
  return table;
}
}  // namespace detail

inline constexpr std::array<std::uint8_t, 256> kCharClasses = detail::make_char_classes();

/// Whether `c` is in `char_class`.
constexpr bool is_char(char c, CharClass char_class) noexcept {
  return (kCharClasses[static_cast<unsigned char>(c)] & char_class) != 0;
}

/// Whether every byte of `text` is in `char_class`; true for empty text.
constexpr bool all_chars(std::string_view text, CharClass char_class) noexcept {
  for (const char c : text) {
    if (!is_char(c, char_class)) return false;
  }
  return true;
}

/// `c` in lower case where it is an ASCII letter.
constexpr char to_lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

/// ASCII comparison without case.
constexpr bool equals_ignore_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && to_lower(a[i]) != to_lower(b[i])) return false;
  }
  return true;
}

constexpr bool equals_ignore_case(std::string_view a, const char* b) noexcept {
  return equals_ignore_case(a, std::string_view(b));
}

/// `text` without spaces and tabs at both ends (OWS, RFC 9110 5.6.3).
constexpr std::string_view trim_ows(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// How `parse_decimal` ended.
enum class DecimalStatus : std::uint8_t { ok, invalid, overflow };

/// Reads `1*DIGIT` and nothing else (no sign, no spaces). `value` is written only with `ok`.
constexpr DecimalStatus parse_decimal(std::string_view text, std::uint64_t& value) noexcept {
  constexpr std::size_t kSure = 19;  // digits that are never too many
  if (text.empty() || (text.size() > kSure && !all_chars(text, kCharDigit))) return DecimalStatus::invalid;
  std::uint64_t sum = 0;
  for (const char c : text) {
    const auto digit = static_cast<std::uint64_t>(static_cast<unsigned char>(c)) - '0';
    if (digit > 9) return DecimalStatus::invalid;
    if (text.size() > kSure && sum > (UINT64_MAX - digit) / 10) return DecimalStatus::overflow;
    sum = sum * 10 + digit;
  }
  value = sum;
  return DecimalStatus::ok;
}

/// Takes the next element off the front of a comma-separated list, without the whitespace around it; skips
/// empty ones (RFC 9110 5.6.1). Commas inside quoted strings separate nothing. False at the end.
constexpr bool take_element(std::string_view& list, std::string_view& element) noexcept {
  while (!list.empty()) {
    std::size_t end = 0;
    for (bool quoted = false; end < list.size() && (quoted || list[end] != ','); ++end) {
      if (list[end] == '"') quoted = !quoted;
      if (list[end] == '\\' && quoted && end + 1 < list.size()) ++end;
    }
    element = trim_ows(list.substr(0, end));
    list.remove_prefix(end < list.size() ? end + 1 : end);
    if (!element.empty()) return true;
  }
  return false;
}

/// Calls `f(element)` for each element of such a list. `f` returns false to stop.
template <typename F>
constexpr void for_each_element(std::string_view list, F&& f) {
  for (std::string_view element; take_element(list, element) && f(element);) {
  }
}

}  // namespace microdot::inline MICRODOT_ABI
