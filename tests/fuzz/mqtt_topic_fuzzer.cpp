// Filters take in the topics that a plain reading of MQTT 3.1.1 section 4.7 says: both cut into levels, which
// are compared one by one.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <microdot/ext/mqtt_topic.hpp>
#include <microdot/http/utf8.hpp>

#include "fuzz.hpp"

using namespace microdot;
using fuzz::require;

namespace {

std::vector<std::string> levels(std::string_view text) {
  std::vector<std::string> all(1);
  for (const char c : text) {
    if (c == '/') {
      all.emplace_back();
    } else {
      all.back() += c;
    }
  }
  return all;
}

bool is_text(std::string_view text) {
  for (const char c : text) {
    if (c == '\0') return false;
  }
  return !text.empty() && text.size() < 65536 && is_utf8(text);
}

bool is_filter(std::string_view text) {
  const std::vector<std::string> all = levels(text);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool has_wildcard = all[i].find('+') != std::string::npos || all[i].find('#') != std::string::npos;
    if (!has_wildcard || all[i] == "+" || (all[i] == "#" && i + 1 == all.size())) continue;
    return false;
  }
  return is_text(text);
}

bool matches(const std::vector<std::string>& filter, const std::vector<std::string>& topic) {
  if (topic[0][0] == '$' && (filter[0] == "+" || filter[0] == "#")) return false;
  std::size_t i = 0;
  for (; i < filter.size(); ++i) {
    if (filter[i] == "#") return true;
    if (i == topic.size() || (filter[i] != "+" && filter[i] != topic[i])) return false;
  }
  return i == topic.size();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::string_view filter = input.until('\n');
  const std::string_view topic = input.rest();
  require(is_mqtt_filter(filter) == is_filter(filter));
  const bool is_topic = is_text(topic) && topic.find_first_of("+#") == std::string_view::npos;
  require(is_mqtt_topic(topic) == is_topic);
  if (!is_filter(filter) || !is_topic) return 0;
  require(matches_mqtt_filter(filter, topic) == matches(levels(filter), levels(topic)));
  require(is_mqtt_topic(filter) ? matches_mqtt_filter(filter, filter) : true);
  return 0;
}
