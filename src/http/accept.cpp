#include <microdot/http/accept.hpp>

#include <algorithm>

#include <microdot/http/chars.hpp>

namespace microdot::inline MICRODOT_ABI {
namespace {

// qvalue (RFC 9110 12.4.2) in thousandths, or -1.
int parse_qvalue(std::string_view text) noexcept {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return -1;
  if (text.size() > 1 && text[1] != '.') return -1;
  int value = (text[0] - '0') * 1000;
  int unit = 100;
  for (const char c : text.substr(std::min<std::size_t>(2, text.size()))) {
    if (!is_char(c, kCharDigit)) return -1;
    value += (c - '0') * unit;
    unit /= 10;
  }
  return value <= 1000 ? value : -1;
}

// The weight among the parameters ("q=0.5"), 1000 without one, 0 when it is wrong.
int weight(std::string_view parameters) noexcept {
  const std::string_view parameter = trim_ows(parameters);
  if (parameter.size() < 2 || to_lower(parameter[0]) != 'q' || parameter[1] != '=') return 0;
  return std::max(parse_qvalue(parameter.substr(2)), 0);
}

bool same_coding(std::string_view a, std::string_view b) noexcept {
  if (equals_ignore_case(a, "x-gzip")) a = "gzip";  // RFC 9110 8.4.1.3
  return equals_ignore_case(a, b);
}

}  // namespace

std::string_view to_string(Encoding encoding) noexcept {
  switch (encoding) {
    case Encoding::gzip: return "gzip";
    case Encoding::br: return "br";
    default: return {};
  }
}

int encoding_quality(std::string_view accept_encoding, std::string_view coding) noexcept {
  int named = -1;
  int any = -1;
  for_each_element(accept_encoding, [&](std::string_view element) {
    const std::size_t semicolon = element.find(';');
    const std::string_view name = trim_ows(element.substr(0, semicolon));
    const int quality = semicolon == std::string_view::npos ? 1000 : weight(element.substr(semicolon + 1));
    if (name == "*") {
      any = quality;
    } else if (same_coding(name, coding)) {
      named = std::max(named, quality);
    }
    return true;
  });
  if (named >= 0) return named;
  if (any >= 0) return any;
  return equals_ignore_case(coding, "identity") ? 1 : 0;
}

Encoding choose_encoding(std::string_view accept_encoding, bool has_gzip, bool has_br) noexcept {
  const auto quality = [&](const char* coding) { return encoding_quality(accept_encoding, coding); };
  const int br = has_br ? quality("br") : 0;
  const int gzip = has_gzip ? quality("gzip") : 0;
  const int identity = quality("identity");
  if (br > 0 && br >= gzip && br >= identity) return Encoding::br;
  if (gzip > 0 && gzip >= identity) return Encoding::gzip;
  return Encoding::identity;
}

}  // namespace microdot::inline MICRODOT_ABI
