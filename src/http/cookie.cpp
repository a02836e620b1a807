#include <microdot/http/cookie.hpp>

#include <algorithm>
#include <cstring>

#include <microdot/http/chars.hpp>
#include <microdot/http/date.hpp>

namespace microdot::inline MICRODOT_ABI {
namespace {

// Whether text can't end its attribute: no control byte and no ';'.
bool is_safe(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte != 0x7f && byte != ';';
  });
}

// Appends while there is room, and remembers when there was none.
struct Appender {
  std::span<char> out;
  std::size_t size = 0;
  bool fits = true;

  Appender& operator<<(std::string_view text) noexcept {
    fits = fits && out.size() - size >= text.size();
    if (fits && !text.empty()) {
      std::memcpy(out.data() + size, text.data(), text.size());
      size += text.size();
    }
    return *this;
  }
};

}  // namespace

Cookies::Iterator& Cookies::Iterator::operator++() noexcept {
  while (!rest_.empty()) {
    const std::size_t end = std::min(rest_.find(';'), rest_.size());
    const std::string_view piece = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    const std::size_t equals = piece.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = trim_ows(piece.substr(0, equals));
    std::string_view value = trim_ows(piece.substr(equals + 1));
    if (name.empty()) continue;
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    cookie_ = {name, value};
    return *this;
  }
  *this = Iterator();
  return *this;
}

std::string_view Cookies::get(std::string_view name, std::string_view fallback) const noexcept {
  for (const auto& [cookie, value] : *this) {
    if (cookie == name) return value;
  }
  return fallback;
}

bool Cookies::contains(std::string_view name) const noexcept {
  for (const auto& [cookie, value] : *this) {
    if (cookie == name) return true;
  }
  return false;
}

Result<std::string_view> write_set_cookie(std::string_view name, std::string_view value,
                                          const CookieOptions& options, std::span<char> out) noexcept {
  if (name.empty() || !all_chars(name, kCharToken) || !is_safe(value) || !is_safe(options.path) ||
      !is_safe(options.domain) || !is_safe(options.expires.date())) {
    return Error::invalid;
  }
  Appender text{out};
  text << name << "=" << value;
  if (!options.path.empty()) text << "; Path=" << options.path;
  if (!options.domain.empty()) text << "; Domain=" << options.domain;
  if (options.expires.is_set()) {
    char date[kHttpDateSize];
    text << "; Expires="
         << (options.expires.date().empty() ? write_http_date(options.expires.unix_seconds(), date)
                                            : options.expires.date());
  }
  if (options.max_age) {
    char digits[kMaxDecimal];
    // Negative ages mean the same as 0 (RFC 6265 5.2.2), which more browsers understand.
    const auto age = static_cast<std::uint64_t>(std::max<std::int64_t>(*options.max_age, 0));
    text << "; Max-Age=" << std::string_view(digits, write_decimal(digits, age));
  }
  if (options.secure) text << "; Secure";
  if (options.http_only) text << "; HttpOnly";
  if (options.same_site == SameSite::strict) text << "; SameSite=Strict";
  if (options.same_site == SameSite::lax) text << "; SameSite=Lax";
  if (options.same_site == SameSite::none) text << "; SameSite=None";
  if (options.partitioned) text << "; Partitioned";
  if (!text.fits) return Error::too_large;
  return std::string_view(out.data(), text.size);
}

}  // namespace microdot::inline MICRODOT_ABI
