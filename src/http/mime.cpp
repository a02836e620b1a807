#include <microdot/http/mime.hpp>

#include <algorithm>

#include <microdot/http/chars.hpp>
#include <microdot/http/url.hpp>

#include "../base/packed_texts.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

struct Type {
  std::string_view extension;
  std::string_view media_type;
};

// Sorted by extension.
constexpr Type kTypes[] = {
    {"aac", "audio/aac"},
    {"apng", "image/apng"},
    {"avif", "image/avif"},
    {"bin", "application/octet-stream"},
    {"bmp", "image/bmp"},
    {"css", "text/css"},
    {"csv", "text/csv"},
    {"flac", "audio/flac"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"htm", "text/html"},
    {"html", "text/html"},
    {"ico", "image/x-icon"},
    {"ics", "text/calendar"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript"},
    {"json", "application/json"},
    {"jsonld", "application/ld+json"},
    {"log", "text/plain"},
    {"m4a", "audio/mp4"},
    {"map", "application/json"},
    {"md", "text/markdown"},
    {"mjs", "text/javascript"},
    {"mov", "video/quicktime"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"mpeg", "video/mpeg"},
    {"ogg", "audio/ogg"},
    {"ogv", "video/ogg"},
    {"opus", "audio/opus"},
    {"otf", "font/otf"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"ttf", "font/ttf"},
    {"txt", "text/plain"},
    {"vtt", "text/vtt"},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"webm", "video/webm"},
    {"webmanifest", "application/manifest+json"},
    {"webp", "image/webp"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xhtml", "application/xhtml+xml"},
    {"xml", "application/xml"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"zip", "application/zip"},
};
static_assert(std::is_sorted(std::begin(kTypes), std::end(kTypes),
                             [](const Type& a, const Type& b) { return a.extension < b.extension; }));
constexpr auto kExtensions = detail::pack_texts<kTypes, &Type::extension>();
constexpr std::string_view kCompressibleEnds[] = {"json", "xml",     "/wasm", "/yaml", "javascript",
                                                  "/bmp", "/x-icon", "/ttf",  "/otf"};
constexpr auto kEnds = detail::pack_texts<kCompressibleEnds>();
constexpr auto kMediaTypes = detail::pack_texts<kTypes, &Type::media_type>();

}  // namespace

std::string_view mime_type(std::string_view path) noexcept {
  constexpr std::string_view kUnknown = "application/octet-stream";
  constexpr std::size_t kLongest = 11;
  const std::string_view extension = path_extension(path);
  if (extension.empty() || extension.size() > kLongest) return kUnknown;
  char lower[kLongest];
  std::transform(extension.begin(), extension.end(), lower, to_lower);
  const std::string_view key(lower, extension.size());
  std::size_t begin = 0;
  for (std::size_t end = kExtensions.size(); begin != end;) {
    const std::size_t middle = (begin + end) / 2;
    if (kExtensions[middle] < key) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin != kExtensions.size() && kExtensions[begin] == key ? kMediaTypes[begin] : kUnknown;
}

bool is_compressible(std::string_view media_type) noexcept {
  media_type = trim_ows(media_type.substr(0, media_type.find(';')));
  bool found = equals_ignore_case(media_type.substr(0, 5), "text/");
  for (std::size_t i = 0; i != kEnds.size() && !found; ++i) {
    const std::string_view end = kEnds[i];
    found = media_type.size() >= end.size() &&
            equals_ignore_case(media_type.substr(media_type.size() - end.size()), end);
  }
  return found;
}

}  // namespace microdot::inline MICRODOT_ABI
