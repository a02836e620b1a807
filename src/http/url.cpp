#include <microdot/http/url.hpp>

#include <microdot/http/chars.hpp>

namespace microdot::inline MICRODOT_ABI {
namespace {

// The byte that "%xy" at `i` stands for, or -1.
int encoded_byte(std::string_view text, std::size_t i) noexcept {
  if (text.size() - i < 3) return -1;
  const int high = hex_value(text[i + 1]);
  const int low = hex_value(text[i + 2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

}  // namespace

Result<std::string_view> percent_decode(std::string_view text, std::span<char> out,
                                        bool plus_is_space) noexcept {
  std::size_t size = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int byte = encoded_byte(text, i);
      if (byte < 0) return Error::invalid;
      c = static_cast<char>(byte);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (size == out.size()) return Error::too_large;
    out[size++] = c;
  }
  return std::string_view(out.data(), size);
}

Result<std::string_view> percent_encode(std::string_view text, std::span<char> out,
                                        std::string_view keep) noexcept {
  std::size_t size = 0;
  for (const char c : text) {
    const bool plain = is_char(c, kCharUnreserved) || keep.find(c) != std::string_view::npos;
    if (out.size() - size < (plain ? 1U : 3U)) return Error::too_large;
    if (plain) {
      out[size++] = c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out[size++] = '%';
    out[size++] = "0123456789ABCDEF"[byte >> 4];
    out[size++] = "0123456789ABCDEF"[byte & 15];
  }
  return std::string_view(out.data(), size);
}

bool decoded_equals(std::string_view encoded, std::string_view literal) noexcept {
  std::size_t at = 0;
  for (std::size_t i = 0; i < encoded.size(); ++i, ++at) {
    int byte = static_cast<unsigned char>(encoded[i]);
    if (encoded[i] == '%') {
      byte = encoded_byte(encoded, i);
      i += 2;
    }
    if (at == literal.size() || byte != static_cast<unsigned char>(literal[at])) return false;
  }
  return at == literal.size();
}

bool is_local_path(std::string_view path) noexcept {
  if (path.empty() || path.front() == '/') return false;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    if (c == '.') {
      const bool begins = i == 0 || path[i - 1] == '/';
      if (begins && i + 1 < path.size() && path[i + 1] == '.' && (i + 2 == path.size() || path[i + 2] == '/'))
        return false;
    } else if (!is_char(c, kCharUnreserved)) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x20 || byte == 0x7f || c == '\\' || c == ':') return false;
    }
  }
  return true;
}

}  // namespace microdot::inline MICRODOT_ABI
