#include <microdot/ext/mqtt_topic.hpp>

#include <microdot/http/utf8.hpp>

namespace microdot::inline MICRODOT_ABI {

namespace {

constexpr std::size_t kLongest = 65535;

bool is_mqtt_text(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kLongest && text.find('\0') == std::string_view::npos &&
         is_utf8(text);
}

/// Takes the first level off `rest`; whether another one follows.
bool take_level(std::string_view& rest, std::string_view& level) noexcept {
  const std::size_t end = rest.find('/');
  level = rest.substr(0, end);
  const bool more = end != std::string_view::npos;
  rest.remove_prefix(more ? end + 1 : rest.size());
  return more;
}

}  // namespace

bool is_mqtt_topic(std::string_view topic) noexcept {
  return is_mqtt_text(topic) && topic.find_first_of("+#") == std::string_view::npos;
}

bool is_mqtt_filter(std::string_view filter) noexcept {
  if (!is_mqtt_text(filter)) return false;
  std::string_view level;
  for (bool more = true; more;) {
    more = take_level(filter, level);
    if (level.size() > 1 && level.find_first_of("+#") != std::string_view::npos) return false;
    if (level == "#" && more) return false;
  }
  return true;
}

bool matches_mqtt_filter(std::string_view filter, std::string_view topic) noexcept {
  if (topic.starts_with('$') && (filter.starts_with('+') || filter.starts_with('#'))) return false;
  std::string_view wanted;
  std::string_view level;
  bool more_topic = true;
  for (bool more = true; more;) {
    more = take_level(filter, wanted);
    if (wanted == "#") return true;
    if (!more_topic) return false;
    more_topic = take_level(topic, level);
    if (wanted != "+" && wanted != level) return false;
  }
  return !more_topic;
}

}  // namespace microdot::inline MICRODOT_ABI
