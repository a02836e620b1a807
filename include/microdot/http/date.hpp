#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <microdot/base/config.hpp>

/// HTTP dates (RFC 9110 5.6.7), without the C library's time functions. Times are seconds since 1970-01-01
/// UTC.
namespace microdot::inline MICRODOT_ABI {

/// Bytes of every IMF-fixdate.
inline constexpr std::size_t kHttpDateSize = 29;

/// Writes `unix_seconds` as IMF-fixdate, e.g. "Sun, 06 Nov 1994 08:49:37 GMT", into `out`. Times outside the
/// years 0–9999 are moved to the nearest end. Returns the text within `out`.
std::string_view write_http_date(std::int64_t unix_seconds, std::span<char, kHttpDateSize> out) noexcept;

/// Reads a date in one of the three forms that recipients accept: IMF-fixdate, RFC 850 ("Sunday, 06-Nov-94
/// 08:49:37 GMT") and asctime ("Sun Nov  6 08:49:37 1994"). Empty when `text` is none of them or no day of
/// the calendar. A two-digit year that lies more than 50 years after `now` (default: 2025) is of the century
/// before.
std::optional<std::int64_t> parse_http_date(std::string_view text, std::int64_t now = 1735689600) noexcept;

/// The `Date` field line of the current second, formatted once a second.
class DateField {
 public:
  /// "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n". Valid until the next call.
  std::string_view at(std::int64_t unix_seconds) noexcept {
    if (unix_seconds != second_) refresh(unix_seconds);
    return {line_, sizeof line_};
  }

 private:
  void refresh(std::int64_t unix_seconds) noexcept;

  std::int64_t second_ = INT64_MIN;
  char line_[6 + kHttpDateSize + 2] = {};
};

}  // namespace microdot::inline MICRODOT_ABI
