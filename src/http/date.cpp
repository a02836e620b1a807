#include <microdot/http/date.hpp>

#include <algorithm>
#include <cstring>

#include <microdot/http/chars.hpp>

#include "../base/packed_texts.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

// 1970-01-01 was a Thursday.
constexpr std::string_view kDayNames[] = {"Thursday", "Friday",  "Saturday", "Sunday",
                                          "Monday",   "Tuesday", "Wednesday"};
constexpr std::string_view kMonthNames[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr auto kDays = detail::pack_texts<kDayNames>();
constexpr auto kMonths = detail::pack_texts<kMonthNames>();
constexpr std::size_t kShort = 3;  // letters of a short day's name
constexpr std::int64_t kDay = 86400;

struct Civil {
  int year;
  int month;  // 1–12
  int day;    // 1–31
};

// Days since 1970-01-01 in the proleptic Gregorian calendar, of the years 0 to 10000. Years begin in March,
// so that the leap day is last; 400 are added, so that none is before 0.
constexpr int days_from_civil(Civil date) {
  const int year = date.year + 400 - (date.month <= 2 ? 1 : 0);
  const int month = (date.month + 9) % 12;
  const int day_of_year = (153 * month + 2) / 5 + date.day - 1;
  return year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - (719468 + 146097);
}

// Neri and Schneider, "Euclidean affine functions and their application to calendar algorithms" (2022), with
// their names: years of 365.25 and months of 30.6 days as multiplications, no division by anything but a
// constant.
constexpr Civil civil_from_days(int days) {
  const auto n1 = 4 * static_cast<std::uint32_t>(days + 719468 + 146097) + 3;
  const std::uint32_t n2 = n1 % 146097 / 4 * 4 + 3;  // day of the century
  const std::uint64_t p2 = std::uint64_t{2939745} * n2;
  const std::uint32_t day_of_year = static_cast<std::uint32_t>(p2) / 2939745 / 4;
  const std::uint32_t n3 = 2141 * day_of_year + 197913;
  const bool in_next = day_of_year >= 306;  // January and February
  const auto year = 100 * (n1 / 146097) + static_cast<std::uint32_t>(p2 >> 32) + (in_next ? 1 : 0);
  const std::uint32_t month = (n3 >> 16) - (in_next ? 12 : 0);
  return {static_cast<int>(year) - 400, static_cast<int>(month), static_cast<int>((n3 & 0xffff) / 2141 + 1)};
}

constexpr std::int64_t kFirst = days_from_civil({0, 1, 1}) * kDay;
constexpr std::int64_t kLast = days_from_civil({10000, 1, 1}) * kDay - 1;
static_assert(days_from_civil({1970, 1, 1}) == 0);

/// A time, cut to the years 0 to 9999: days since 1970-01-01, and seconds of the day.
struct Moment {
  int days;
  int time;

  explicit constexpr Moment(std::int64_t unix_seconds) {
    const std::int64_t seconds = std::clamp(unix_seconds, kFirst, kLast);
    days = static_cast<int>(seconds / kDay);
    time = static_cast<int>(seconds % kDay);
    if (time < 0) {
      time += static_cast<int>(kDay);
      --days;
    }
  }
};

constexpr int days_in_month(int year, int month) {
  if (month == 2) return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

void put2(char* out, int value) {
  const int tens = value * 205 >> 11;  // of a number below 100, without a division
  out[0] = static_cast<char>('0' + tens);
  out[1] = static_cast<char>('0' + (value - tens * 10));
}

struct Fields {
  Civil date{};
  int hour = 0;
  int minute = 0;
  int second = 0;
};

// Reads a text that is as a form says: y a year of four digits, t one of two; m a month's name; d a day of
// two digits, e one where a space may be the first; h, n and s are hours, minutes and seconds. All else
// stands for itself.
bool read(std::string_view text, const char* form, Fields& fields) {
  for (; *form != '\0'; ++form) {
    int* field = nullptr;
    std::size_t digits = 2;
    switch (*form) {
      case 'y': digits = 4; [[fallthrough]];
      case 't': field = &fields.date.year; break;
      case 'e':
        if (text.starts_with(' ')) {
          text.remove_prefix(1);
          digits = 1;
        }
        [[fallthrough]];
      case 'd': field = &fields.date.day; break;
      case 'h': field = &fields.hour; break;
      case 'n': field = &fields.minute; break;
      case 's': field = &fields.second; break;
      case 'm': {
        const std::size_t month = kMonths.find(text.substr(0, 3));
        if (month == kMonths.size()) return false;
        fields.date.month = static_cast<int>(month) + 1;
        text.remove_prefix(3);
        continue;
      }
      default:
        if (!text.starts_with(*form)) return false;
        text.remove_prefix(1);
        continue;
    }
    if (text.size() < digits) return false;
    for (; digits != 0; --digits) {
      if (!is_char(text.front(), kCharDigit)) return false;
      *field = *field * 10 + (text.front() - '0');
      text.remove_prefix(1);
    }
  }
  return text.empty();
}

bool is_day_name(std::string_view text, bool whole) {
  for (std::size_t i = 0; i < kDays.size(); ++i) {
    if (text == kDays[i].substr(0, whole ? std::string_view::npos : kShort)) return true;
  }
  return false;
}

}  // namespace

std::string_view write_http_date(std::int64_t unix_seconds, std::span<char, kHttpDateSize> out) noexcept {
  const auto [days, time] = Moment(unix_seconds);
  const Civil date = civil_from_days(days);
  char* p = out.data();
  std::memcpy(p, kDays[static_cast<std::size_t>((days % 7 + 7) % 7)].data(), kShort);
  std::memcpy(p + 3, ", ", 2);
  put2(p + 5, date.day);
  p[7] = ' ';
  std::memcpy(p + 8, kMonths[static_cast<std::size_t>(date.month - 1)].data(), 3);
  p[11] = ' ';
  put2(p + 12, date.year / 100);
  put2(p + 14, date.year % 100);
  p[16] = ' ';
  put2(p + 17, time / 3600);
  p[19] = ':';
  put2(p + 20, time / 60 % 60);
  p[22] = ':';
  put2(p + 23, time % 60);
  std::memcpy(p + 25, " GMT", 4);
  return {out.data(), out.size()};
}

std::optional<std::int64_t> parse_http_date(std::string_view text, std::int64_t now) noexcept {
  const std::size_t comma = text.find(',');
  const bool is_asctime = comma == std::string_view::npos;  // Sun Nov  6 08:49:37 1994
  const std::size_t name_size = is_asctime ? std::min(kShort, text.size()) : comma;
  const bool short_name = name_size == kShort;  // Sun, 06 Nov 1994 08:49:37 GMT
  if (!is_day_name(text.substr(0, name_size), !short_name)) return std::nullopt;
  // And with the whole name: Sunday, 06-Nov-94 08:49:37 GMT
  const char* const form = is_asctime   ? " m e h:n:s y"
                           : short_name ? ", d m y h:n:s GMT"
                                        : ", d-m-t h:n:s GMT";
  Fields fields;
  if (!read(text.substr(name_size), form, fields)) return std::nullopt;
  Civil& date = fields.date;
  if (!short_name) {
    const Civil today = civil_from_days(Moment(now).days);
    date.year += today.year / 100 * 100;
    const bool far = date.year > today.year + 50 ||
                     (date.year == today.year + 50 &&
                      (date.month > today.month || (date.month == today.month && date.day > today.day)));
    if (far) date.year -= 100;
  }
  if (date.day == 0 || date.day > days_in_month(date.year, date.month)) return std::nullopt;
  if (fields.hour > 23 || fields.minute > 59 || fields.second > 60) return std::nullopt;  // 60: a leap second
  return days_from_civil(date) * kDay + (fields.hour * 60 + fields.minute) * 60 + fields.second;
}

void DateField::refresh(std::int64_t unix_seconds) noexcept {
  std::memcpy(line_, "Date: ", 6);
  write_http_date(unix_seconds, std::span<char, kHttpDateSize>(line_ + 6, kHttpDateSize));
  std::memcpy(line_ + 6 + kHttpDateSize, "\r\n", 2);
  second_ = unix_seconds;
}

}  // namespace microdot::inline MICRODOT_ABI
