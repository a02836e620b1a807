// Any text is a date or none; a date that was read is written and read again as the same time; what is
// written is what the system writes.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>

#include <microdot/http/date.hpp>

using namespace microdot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::array<char, kHttpDateSize> out;
  std::int64_t now = 0;
  if (size >= sizeof now) std::memcpy(&now, data, sizeof now);
  const auto time_of_day = static_cast<std::time_t>(now % 253402300800);  // to the year 9999
  if (std::tm parts{}; now >= 0 && gmtime_r(&time_of_day, &parts) != nullptr) {
    char expected[64];
    const std::size_t length = std::strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    if (write_http_date(time_of_day, out) != std::string_view(expected, length)) std::abort();
    if (parse_http_date({expected, length}) != time_of_day) std::abort();
  }
  (void)write_http_date(now, out);
  (void)parse_http_date(text, now);
  const auto time = parse_http_date(text);
  if (time && *time < 253402300800 && parse_http_date(write_http_date(*time, out)) != time) std::abort();
  return 0;
}
