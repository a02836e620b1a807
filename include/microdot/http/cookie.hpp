#pragma once
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include <microdot/base/config.hpp>
#include <microdot/base/result.hpp>

/// Cookies (RFC 6265).
namespace microdot::inline MICRODOT_ABI {

/// The cookies of a request: a view of the value of its `Cookie` field.
///
///     cookies["session"]            // "" when missing
///     for (auto [name, value] : cookies) …
///
/// Lenient, as RFC 6265 5.4 asks servers to be with what browsers send: whitespace around names and values
/// and one pair of double quotes around a value are taken off; pieces without '=' are left out. Names are
/// case-sensitive. Of several cookies with one name the first counts, which has the longest path (RFC
/// 6265 5.4).
class Cookies {
 public:
  using value_type = std::pair<std::string_view, std::string_view>;

  constexpr Cookies() noexcept = default;
  /// `field` is the value of the `Cookie` field; it has to outlive the view.
  constexpr explicit Cookies(std::string_view field) noexcept : field_(field) {}

  /// The value of the cookie `name`; "" when there is none.
  std::string_view operator[](std::string_view name) const noexcept { return get(name); }
  std::string_view get(std::string_view name, std::string_view fallback = {}) const noexcept;
  bool contains(std::string_view name) const noexcept;

  class Iterator {
   public:
    using value_type = Cookies::value_type;
    using difference_type = std::ptrdiff_t;
    using reference = const value_type&;
    using pointer = const value_type*;
    using iterator_category = std::input_iterator_tag;

    Iterator() noexcept = default;
    explicit Iterator(std::string_view rest) noexcept : rest_(rest), at_end_(false) { ++*this; }
    const value_type& operator*() const noexcept { return cookie_; }
    const value_type* operator->() const noexcept { return &cookie_; }
    Iterator& operator++() noexcept;
    Iterator operator++(int) noexcept {
      Iterator old = *this;
      ++*this;
      return old;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) noexcept {
      return a.at_end_ == b.at_end_ && a.rest_.size() == b.rest_.size();
    }

   private:
    std::string_view rest_;
    value_type cookie_;
    bool at_end_ = true;
  };
  Iterator begin() const noexcept { return Iterator(field_); }
  Iterator end() const noexcept { return {}; }

 private:
  std::string_view field_;
};

/// When a cookie ends: a time in seconds since 1970, or the text of an HTTP date; never, by default.
class CookieExpiry {
 public:
  constexpr CookieExpiry() noexcept = default;
  constexpr CookieExpiry(std::int64_t unix_seconds) noexcept : seconds_(unix_seconds), set_(true) {}
  constexpr CookieExpiry(std::string_view date) noexcept : date_(date), set_(!date.empty()) {}
  constexpr CookieExpiry(const char* date) noexcept : CookieExpiry(std::string_view(date)) {}

  constexpr bool is_set() const noexcept { return set_; }
  constexpr std::string_view date() const noexcept { return date_; }
  constexpr std::int64_t unix_seconds() const noexcept { return seconds_; }

 private:
  std::string_view date_;
  std::int64_t seconds_ = 0;
  bool set_ = false;
};

/// Whether a browser sends a cookie with requests that other sites start. `unset` leaves it to the browser.
enum class SameSite : std::uint8_t { unset, strict, lax, none };

/// The attributes of a cookie; what is left out is not sent.
struct CookieOptions {
  std::string_view path = {};
  std::string_view domain = {};
  CookieExpiry expires = {};
  std::optional<std::int64_t> max_age = {};  ///< In seconds; 0 and less delete the cookie.
  bool secure = false;
  bool http_only = false;
  bool partitioned = false;
  SameSite same_site = SameSite::unset;
};

/// Writes the value of a `Set-Cookie` field into `out`. Returns the text within `out`; `Error::invalid` when
/// the name is no token, or when value, path, domain or expiry hold a control byte or ';', which could add
/// attributes or whole fields; `Error::too_large` when there is no room.
Result<std::string_view> write_set_cookie(std::string_view name, std::string_view value,
                                          const CookieOptions& options, std::span<char> out) noexcept;

/// `options` changed so that browsers delete the cookie. Path and domain have to be those it was set with.
constexpr CookieOptions delete_cookie_options(CookieOptions options = {}) noexcept {
  options.expires = CookieExpiry(std::int64_t{0});
  options.max_age = 0;
  return options;
}

}  // namespace microdot::inline MICRODOT_ABI
