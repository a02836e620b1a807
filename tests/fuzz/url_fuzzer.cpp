// Decoding, comparing without a copy, and encoding agree with each other; a path that is local stays below;
// the media type of a name depends on its extension alone.
#include <algorithm>
#include <cctype>
#include <cstdint>
#include <string>
#include <string_view>

#include <microdot/http/mime.hpp>
#include <microdot/http/request_parser.hpp>
#include <microdot/http/url.hpp>

#include "fuzz.hpp"

using namespace microdot;
using fuzz::require;

namespace {

void check_decoding(const std::string& text) {
  std::string decoded(text.size(), '\0');
  const auto r = percent_decode(text, decoded);
  require(r || r.error() == Error::invalid);
  require(decoded_equals(text, r ? *r : std::string_view(text)) == r.has_value());
  std::string in_place = text;
  const auto again = percent_decode(in_place, in_place);
  require(again.has_value() == r.has_value() && (!r || *again == *r));

  // A plus is a space, and nothing else is different.
  std::string spaces(text.size(), '\0');
  std::string replaced = text;
  std::replace(replaced.begin(), replaced.end(), '+', ' ');
  const auto plus = percent_decode(text, spaces, true);
  require(plus.has_value() == r.has_value());
  if (plus) require(*plus == *percent_decode(replaced, decoded));
  if (plus && !plus->empty())
    require(percent_decode(text, std::span(spaces).first(plus->size() - 1)).error() == Error::too_large);
}

void check_encoding(const std::string& text) {
  for (const std::string_view keep : {"", "/", "%"}) {
    std::string encoded(3 * text.size(), '\0');
    const auto e = percent_encode(text, encoded, keep);
    require(e && std::all_of(e->begin(), e->end(), [&](char c) {
              return std::isalnum(static_cast<unsigned char>(c)) ||
                     std::string_view("-._~%").find(c) != keep.npos || keep.find(c) != keep.npos;
            }));
    if (keep == "%") continue;
    std::string back(text.size(), '\0');
    const auto b = percent_decode(*e, back);
    require(b && *b == text && decoded_equals(*e, text));
  }
}

/// Climbs at no point above where it began, as a system walks it.
bool stays_below(std::string_view path) {
  for (int depth = 0;;) {
    const std::size_t end = path.find('/');
    const std::string_view part = path.substr(0, end);
    if (part == "..") --depth;
    if (part != ".." && part != "." && !part.empty()) ++depth;
    if (depth < 0) return false;
    if (end == path.npos) return true;
    path.remove_prefix(end + 1);
  }
}

void check_path(const std::string& text) {
  if (is_local_path(text)) {
    require(text.front() != '/' && stays_below(text));
    require(std::none_of(text.begin(), text.end(),
                         [](unsigned char c) { return c < 32 || c == 127 || c == '\\' || c == ':'; }));
  }
  const std::string_view type = mime_type(text);
  require(!type.empty() && type.find('/') != type.npos);
  std::string upper = text;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  require(mime_type(upper) == type && mime_type(path_filename(text)) == type);
  require(mime_type("x." + std::string(path_extension(text))) == type);
  require(fuzz::inside(path_filename(text), text) && path_filename(text).find('/') == std::string_view::npos);
  require(is_compressible(type) == is_compressible(std::string(type) + "; charset=UTF-8"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check_decoding(text);
  check_encoding(text);
  check_path(text);
  (void)is_valid_host(text);
  return 0;
}
