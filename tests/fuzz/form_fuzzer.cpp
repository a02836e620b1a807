// Both form parsers find the pairs that a plain reading of the URL standard finds, as many as counted, within
// the room that is promised to suffice.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <microdot/http/multi_dict.hpp>

#include "fuzz.hpp"

using namespace microdot;
using fuzz::require;

namespace {

int hex(char c) {
  const std::size_t at = std::string_view("0123456789abcdefABCDEF").find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at < 16 ? at : at - 6);
}

std::string decode(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::size_t taken = 1;
    if (text.size() >= 3 && text[0] == '%' && hex(text[1]) >= 0 && hex(text[2]) >= 0) {
      out += static_cast<char>(hex(text[1]) << 4 | hex(text[2]));
      taken = 3;
    } else {
      out += text[0] == '+' ? ' ' : text[0];
    }
    text.remove_prefix(taken);
  }
  return out;
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs expected_pairs(std::string_view text) {
  Pairs pairs;
  for (;;) {
    const std::size_t end = text.find('&');
    const std::string_view piece = text.substr(0, end);
    const std::size_t equals = piece.find('=');
    if (!piece.empty())
      pairs.emplace_back(decode(piece.substr(0, equals)),
                         equals == std::string_view::npos ? "" : decode(piece.substr(equals + 1)));
    if (end == std::string_view::npos) return pairs;
    text.remove_prefix(end + 1);
  }
}

bool same(const Pairs& expected, const Result<std::span<const NameValue>>& found) {
  const auto equal = [](const auto& a, const NameValue& b) {
    return a.first == b.first && a.second == b.second;
  };
  return found && std::equal(expected.begin(), expected.end(), found->begin(), found->end(), equal);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const Pairs expected = expected_pairs(text);
  const std::size_t count = count_form_pairs(text);
  require(count == expected.size());
  std::vector<NameValue> pairs(count);
  std::vector<char> memory(size);
  const auto parsed = parse_form(text, pairs, memory);
  require(same(expected, parsed));
  for (const auto& [name, value] : *parsed) {
    for (const std::string_view part : {name, value})
      require(fuzz::inside(part, text) || fuzz::inside(part, {memory.data(), memory.size()}) || part.empty());
  }

  std::string copy = text;
  std::vector<NameValue> other(count);
  const auto in_place = parse_form_in_place(copy, other);
  require(same(expected, in_place));

  const MultiDict dict(*parsed);
  require(dict.size() == count);
  for (const auto& [name, value] : dict) {
    const auto named = [&name = name](const auto& pair) { return pair.first == name; };
    require(dict[name] == std::find_if(expected.begin(), expected.end(), named)->second);
    require(dict.getlist(name).size() ==
            static_cast<std::size_t>(std::count_if(expected.begin(), expected.end(), named)));
    (void)dict.get<double>(name, 1);
    (void)dict.get<bool>(name);
    if (const int number = dict.get<int>(name, 0); number != 0) {
      require(dict.get<std::int64_t>(name, 0) == number);
    }
  }
  if (count > 0) require(!parse_form(text, std::span(pairs).first(count - 1), memory));
  return 0;
}
