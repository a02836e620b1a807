// Cookies are what a plain reading of their field finds, within it; a Set-Cookie that is written has the
// attributes that were given and nothing else, and its cookie is read again.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <microdot/http/cookie.hpp>

#include "fuzz.hpp"

using namespace microdot;
using fuzz::require;

namespace {

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string_view unquoted(std::string_view value) {
  value = trim(value);
  const bool quoted = value.size() >= 2 && value.front() == '"' && value.back() == '"';
  return quoted ? value.substr(1, value.size() - 2) : value;
}

using Pairs = std::vector<std::pair<std::string_view, std::string_view>>;

Pairs expected_cookies(std::string_view text) {
  Pairs pairs;
  for (;;) {
    const std::size_t end = text.find(';');
    const std::string_view piece = text.substr(0, end);
    const std::size_t equals = piece.find('=');
    if (equals != piece.npos && !trim(piece.substr(0, equals)).empty())
      pairs.emplace_back(trim(piece.substr(0, equals)), unquoted(piece.substr(equals + 1)));
    if (end == text.npos) return pairs;
    text.remove_prefix(end + 1);
  }
}

void check_field(std::string_view text) {
  const Pairs expected = expected_cookies(text);
  const Cookies cookies(text);
  auto at = expected.begin();
  for (const auto& [name, value] : cookies) {
    require(at != expected.end() && name == at->first && value == at->second);
    require(fuzz::inside(name, text) && fuzz::inside(value, text));
    require(cookies.contains(name));
    const auto same_name = [&name = name](const auto& pair) { return pair.first == name; };
    require(cookies.get(name) == std::find_if(expected.begin(), expected.end(), same_name)->second);
    ++at;
  }
  require(at == expected.end());
}

void check_written(std::string_view name, std::string_view value) {
  std::array<char, 256> out;
  const auto written = write_set_cookie(name, value, {.path = value, .domain = name, .expires = value}, out);
  if (!written) return;
  std::string expected = std::string(name) + "=" + std::string(value);
  const std::size_t pair_size = expected.size();
  if (!value.empty()) expected.append("; Path=").append(value);
  expected.append("; Domain=").append(name);
  if (!value.empty()) expected.append("; Expires=").append(value);
  require(*written == expected);
  require(expected.find_first_of("\r\n\x7f") == expected.npos);
  const Cookies again(written->substr(0, pair_size));
  require(again.get(name) == unquoted(value) && again.contains(name));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  check_field({reinterpret_cast<const char*>(data), size});
  const std::string_view name = input.until('|');
  check_written(name, input.rest());
  return 0;
}
