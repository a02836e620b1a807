#include <microdot/http/date.hpp>

#include <algorithm>
#include <cstring>

#include <microdot/http/chars.hpp>

namespace microdot::inline MICRODOT_ABI {
namespace {

constexpr std::string_view kDays[] = {"Thu", "Fri", "Sat", "Sun",
                                      "Mon", "Tue", "Wed"};  // 1970-01-01 is first
constexpr std::string_view kLongDays[] = {"Thursday", "Friday",  "Saturday", "Sunday",
                                          "Monday",   "Tuesday", "Wednesday"};
constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::int64_t kDay = 86400;

struct Civil {
  std::int64_t year;
  unsigned month;  // 1–12
  unsigned day;    // 1–31
};

// Days since 1970-01-01 in the proleptic Gregorian calendar. Years begin in March, so that the leap day is
// last.
constexpr std::int64_t days_from_civil(Civil date) {
  const std::int64_t year = date.year - (date.month <= 2 ? 1 : 0);
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t month = (date.month + 9) % 12;
  const std::int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;
  const std::int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

constexpr Civil civil_from_days(std::int64_t days) {
  days += 719468;
  const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const auto day_of_era = static_cast<unsigned>(days - era * 146097);
  const unsigned year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const unsigned shifted = (5 * day_of_year + 2) / 153;
  const unsigned day = day_of_year - (153 * shifted + 2) / 5 + 1;
  const unsigned month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {static_cast<std::int64_t>(year_of_era) + era * 400 + (month <= 2 ? 1 : 0), month, day};
}

constexpr std::int64_t kFirst = days_from_civil({0, 1, 1}) * kDay;
constexpr std::int64_t kLast = days_from_civil({10000, 1, 1}) * kDay - 1;
static_assert(days_from_civil({1970, 1, 1}) == 0);

constexpr unsigned days_in_month(std::int64_t year, unsigned month) {
  if (month == 2) return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

void put2(char* out, unsigned value) {
  out[0] = static_cast<char>('0' + value / 10);
  out[1] = static_cast<char>('0' + value % 10);
}

// Reads what it is asked for from the front of a text; remembers whether all of it was there.
struct Reader {
  std::string_view text;
  bool ok = true;

  void literal(std::string_view expected) {
    ok = ok && text.substr(0, expected.size()) == expected;
    if (ok) text.remove_prefix(expected.size());
  }
  unsigned digits(std::size_t count) {
    unsigned value = 0;
    ok = ok && text.size() >= count && all_chars(text.substr(0, count), kCharDigit);
    if (!ok) return 0;
    for (std::size_t i = 0; i < count; ++i) value = value * 10 + static_cast<unsigned>(text[i] - '0');
    text.remove_prefix(count);
    return value;
  }
  unsigned month() {
    for (unsigned i = 0; i < 12; ++i) {
      if (text.substr(0, 3) == kMonths[i]) {
        text.remove_prefix(3);
        return i + 1;
      }
    }
    ok = false;
    return 1;
  }
  std::int64_t time() {
    const unsigned hour = digits(2);
    literal(":");
    const unsigned minute = digits(2);
    literal(":");
    const unsigned second = digits(2);
    ok = ok && hour <= 23 && minute <= 59 && second <= 60;  // 60: a leap second
    return static_cast<std::int64_t>(hour) * 3600 + minute * 60 + second;
  }
};

std::optional<std::int64_t> combine(bool ok, Civil date, std::int64_t time) {
  if (!ok || date.day == 0 || date.day > days_in_month(date.year, date.month)) return std::nullopt;
  return days_from_civil(date) * kDay + time;
}

}  // namespace

std::string_view write_http_date(std::int64_t unix_seconds, std::span<char, kHttpDateSize> out) noexcept {
  const std::int64_t seconds = std::clamp(unix_seconds, kFirst, kLast);
  std::int64_t days = seconds / kDay;
  std::int64_t rest = seconds % kDay;
  if (rest < 0) {
    rest += kDay;
    --days;
  }
  const Civil date = civil_from_days(days);
  const auto time = static_cast<unsigned>(rest);
  const auto year = static_cast<unsigned>(date.year);
  char* p = out.data();
  std::memcpy(p, kDays[((days % 7) + 7) % 7].data(), 3);
  std::memcpy(p + 3, ", ", 2);
  put2(p + 5, date.day);
  p[7] = ' ';
  std::memcpy(p + 8, kMonths[date.month - 1].data(), 3);
  p[11] = ' ';
  put2(p + 12, year / 100);
  put2(p + 14, year % 100);
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
  Reader in{text};
  const std::size_t comma = text.find(',');
  if (comma == std::string_view::npos) {  // Sun Nov  6 08:49:37 1994
    if (std::find(std::begin(kDays), std::end(kDays), text.substr(0, 3)) == std::end(kDays))
      return std::nullopt;
    in.text.remove_prefix(3);
    in.literal(" ");
    const unsigned month = in.month();
    in.literal(" ");
    const bool padded = in.text.substr(0, 1) == " ";
    if (padded) in.literal(" ");
    const unsigned day = in.digits(padded ? 1 : 2);
    in.literal(" ");
    const std::int64_t time = in.time();
    in.literal(" ");
    const unsigned year = in.digits(4);
    return combine(in.ok && in.text.empty(), {year, month, day}, time);
  }
  const std::string_view day_name = text.substr(0, comma);
  in.text.remove_prefix(comma);
  in.literal(", ");
  const unsigned day = in.digits(2);
  if (day_name.size() == 3) {  // Sun, 06 Nov 1994 08:49:37 GMT
    if (std::find(std::begin(kDays), std::end(kDays), day_name) == std::end(kDays)) return std::nullopt;
    in.literal(" ");
    const unsigned month = in.month();
    in.literal(" ");
    const unsigned year = in.digits(4);
    in.literal(" ");
    const std::int64_t time = in.time();
    in.literal(" GMT");
    return combine(in.ok && in.text.empty(), {year, month, day}, time);
  }
  // Sunday, 06-Nov-94 08:49:37 GMT
  if (std::find(std::begin(kLongDays), std::end(kLongDays), day_name) == std::end(kLongDays))
    return std::nullopt;
  in.literal("-");
  const unsigned month = in.month();
  in.literal("-");
  const unsigned short_year = in.digits(2);
  in.literal(" ");
  const std::int64_t time = in.time();
  in.literal(" GMT");
  const Civil today = civil_from_days(std::clamp(now, kFirst, kLast) / kDay);
  std::int64_t year = today.year / 100 * 100 + short_year;
  const bool far =
      year > today.year + 50 ||
      (year == today.year + 50 && (month > today.month || (month == today.month && day > today.day)));
  if (far) year -= 100;
  return combine(in.ok && in.text.empty(), {year, month, day}, time);
}

void DateField::refresh(std::int64_t unix_seconds) noexcept {
  std::memcpy(line_, "Date: ", 6);
  write_http_date(unix_seconds, std::span<char, kHttpDateSize>(line_ + 6, kHttpDateSize));
  std::memcpy(line_ + 6 + kHttpDateSize, "\r\n", 2);
  second_ = unix_seconds;
}

}  // namespace microdot::inline MICRODOT_ABI
