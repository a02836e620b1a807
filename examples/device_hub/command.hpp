#pragma once
#include <cstdint>
#include <string_view>

enum class Command : std::uint8_t { none, on, off, toggle };

/// Reads "on", "off", "toggle", "true", "false", "1", "0", in any case, or what is so under "actuator" in a
/// flat JSON object:
/// {"actuator":"on"}. `none` if it is nothing of that.
inline Command read_command(std::string_view text) noexcept {
  const auto trim = [](std::string_view part) {
    const std::size_t first = part.find_first_not_of(" \t\r\n");
    return first == part.npos ? std::string_view()
                              : part.substr(first, part.find_last_not_of(" \t\r\n") - first + 1);
  };
  text = trim(text);
  if (text.starts_with('{') && text.ends_with('}')) {
    constexpr std::string_view kKey = "\"actuator\"";
    const std::size_t key = text.find(kKey);
    if (key == text.npos) return Command::none;
    text = trim(text.substr(key + kKey.size(), text.size() - 1 - key - kKey.size()));
    if (!text.starts_with(':')) return Command::none;
    text = trim(text.substr(1, text.find(',') - 1));
    if (text.size() > 1 && text.starts_with('"') && text.ends_with('"'))
      text = text.substr(1, text.size() - 2);
  }
  const auto is = [text](std::string_view word) {
    if (text.size() != word.size()) return false;
    for (std::size_t i = 0; i < word.size(); ++i) {
      const char lower = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] - 'A' + 'a') : text[i];
      if (lower != word[i]) return false;
    }
    return true;
  };
  if (is("on") || is("true") || is("1")) return Command::on;
  if (is("off") || is("false") || is("0")) return Command::off;
  if (is("toggle")) return Command::toggle;
  return Command::none;
}
