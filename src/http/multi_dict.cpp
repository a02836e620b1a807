#include <microdot/http/multi_dict.hpp>

#include <algorithm>

namespace microdot::inline MICRODOT_ABI {
namespace {

// Decodes into `out`, which has room for text.size() bytes and may be text itself. Returns the decoded size.
std::size_t decode_form_text(std::string_view text, char* out) noexcept {
  std::size_t size = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '+') {
      c = ' ';
    } else if (c == '%' && text.size() - i >= 3 && is_char(text[i + 1], kCharHex) &&
               is_char(text[i + 2], kCharHex)) {
      c = static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    }
    out[size++] = c;
  }
  return size;
}

// Decodes each name and value where `place(text)` says, null meaning there is no room.
template <typename Place>
Result<std::span<const NameValue>> parse(std::string_view text, std::span<NameValue> out,
                                         Place place) noexcept {
  std::size_t count = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view piece = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (piece.empty()) continue;
    if (count == out.size()) return Error::too_large;
    const std::size_t equals = std::min(piece.find('='), piece.size());
    std::string_view parts[] = {piece.substr(0, equals), piece.substr(std::min(equals + 1, piece.size()))};
    for (std::string_view& part : parts) {
      if (part.find_first_of("+%") == std::string_view::npos) continue;
      char* memory = place(part);
      if (memory == nullptr) return Error::too_large;
      part = {memory, decode_form_text(part, memory)};
    }
    out[count++] = {parts[0], parts[1]};
  }
  return std::span<const NameValue>(out.data(), count);
}

}  // namespace

std::size_t count_form_pairs(std::string_view text) noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '&' && (i == 0 || text[i - 1] == '&')) ++count;
  }
  return count;
}

Result<std::span<const NameValue>> parse_form(std::string_view text, std::span<NameValue> out,
                                              std::span<char> memory) noexcept {
  std::size_t used = 0;
  return parse(text, out, [&](std::string_view part) -> char* {
    // Decoded text is never longer; what it is shorter is not worth a second pass.
    if (memory.size() - used < part.size()) return nullptr;
    char* at = memory.data() + used;
    used += part.size();
    return at;
  });
}

Result<std::span<const NameValue>> parse_form_in_place(std::span<char> text,
                                                       std::span<NameValue> out) noexcept {
  return parse({text.data(), text.size()}, out,
               [&](std::string_view part) { return text.data() + (part.data() - text.data()); });
}

}  // namespace microdot::inline MICRODOT_ABI
