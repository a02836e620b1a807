// Both form parsers find the same pairs, as many as counted, within the room that is promised to suffice.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <microdot/http/multi_dict.hpp>

using namespace microdot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::size_t count = count_form_pairs(text);
  std::vector<NameValue> pairs(count);
  std::vector<char> memory(size);
  const auto parsed = parse_form(text, pairs, memory);
  if (!parsed || parsed->size() != count) std::abort();

  std::string copy = text;
  std::vector<NameValue> other(count);
  const auto in_place = parse_form_in_place(copy, other);
  if (!in_place || !std::equal(pairs.begin(), pairs.end(), in_place->begin(), in_place->end())) std::abort();

  const MultiDict dict(*parsed);
  for (const auto& [name, value] : dict) {
    if (!dict.contains(name) || dict.getlist(name).empty()) std::abort();
    (void)dict.get<int>(name, 1);
    (void)dict.get<double>(name, 1);
    (void)dict.get<bool>(name);
  }
  if (count > 0 && parse_form(text, std::span(pairs).first(count - 1), memory)) std::abort();
  return 0;
}
