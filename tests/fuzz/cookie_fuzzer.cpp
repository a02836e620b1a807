// Cookies are read within their field; a Set-Cookie that is written adds no attribute and no line.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <microdot/http/cookie.hpp>

using namespace microdot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Cookies cookies(text);
  for (const auto& [name, value] : cookies) {
    if (name.empty() || name.find(';') != name.npos || value.find(';') != value.npos) std::abort();
    if (name.data() < text.data() || value.data() + value.size() > text.data() + text.size()) std::abort();
    if (!cookies.contains(name)) std::abort();
  }
  const std::size_t bar = std::min(text.find('|'), text.size());
  const std::string_view first = text.substr(0, bar);
  const std::string_view second = text.substr(std::min(bar + 1, text.size()));
  std::array<char, 256> out;
  const auto written =
      write_set_cookie(first, second, {.path = second, .domain = first, .expires = second}, out);
  if (!written) return 0;
  if (std::count(written->begin(), written->end(), ';') > 3) std::abort();
  for (const char c : *written) {
    if (static_cast<unsigned char>(c) < 0x20) std::abort();
  }
  return 0;
}
