// Any text is a date or none; a date that was read is written and read again as the same time.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <microdot/http/date.hpp>

using namespace microdot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::array<char, kHttpDateSize> out;
  std::int64_t now = 0;
  if (size >= sizeof now) std::memcpy(&now, data, sizeof now);
  (void)write_http_date(now, out);
  (void)parse_http_date(text, now);
  const auto time = parse_http_date(text);
  if (time && *time < 253402300800 && parse_http_date(write_http_date(*time, out)) != time) std::abort();
  return 0;
}
