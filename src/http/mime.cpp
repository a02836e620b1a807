#include <microdot/http/mime.hpp>

#include <algorithm>
#include <array>
#include <cstdint>

#include <microdot/http/chars.hpp>
#include <microdot/http/url.hpp>

#include "../base/packed_texts.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

struct Type {
  std::string_view extension;
  std::string_view media_type;
};

// Sorted by extension. One of more than 8 bytes is told by `media_type` itself.
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
    {"webp", "image/webp"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xhtml", "application/xhtml+xml"},
    {"xml", "application/xml"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"zip", "application/zip"},
};

// An extension of up to 8 bytes as a number that sorts as it does; 0 for none and for a longer one.
constexpr std::uint64_t key_of(std::string_view extension) noexcept {
  constexpr std::size_t kLongest = sizeof(std::uint64_t);
  if (extension.size() > kLongest) return 0;
  std::uint64_t key = 0;
  for (const char c : extension) key = key << 8 | static_cast<unsigned char>(to_lower(c));
  return extension.empty() ? 0 : key << 8 * (kLongest - extension.size());
}

constexpr auto kKeys = [] {
  std::array<std::uint64_t, std::size(kTypes)> keys{};
  std::transform(std::begin(kTypes), std::end(kTypes), keys.begin(),
                 [](const Type& type) { return key_of(type.extension); });
  return keys;
}();
static_assert(std::is_sorted(kKeys.begin(), kKeys.end()) && kKeys.front() != 0);

constexpr bool shrinks(std::string_view media_type) noexcept {
  if (equals_ignore_case(media_type.substr(0, 5), "text/")) return true;
  for (const std::string_view end :
       {"json", "xml", "/wasm", "/yaml", "javascript", "/bmp", "/x-icon", "/ttf", "/otf"}) {
    if (media_type.size() >= end.size() &&
        equals_ignore_case(media_type.substr(media_type.size() - end.size()), end))
      return true;
  }
  return false;
}

// A bit for each type.
static_assert(std::size(kTypes) <= 64);
constexpr std::uint64_t kCompressible = [] {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < std::size(kTypes); ++i)
    bits |= std::uint64_t{shrinks(kTypes[i].media_type)} << i;
  return bits;
}();
constexpr auto kMediaTypes = detail::pack_texts<kTypes, &Type::media_type>();

}  // namespace

detail::MediaType detail::media_type(std::string_view path) noexcept {
  const std::string_view extension = path_extension(path);
  const std::uint64_t key = key_of(extension);
  const auto* found = kKeys.data();
  for (std::size_t count = kKeys.size(); count > 1;) {  // the last key that is not greater
    const std::size_t half = count / 2;
    found += found[half] <= key ? half : 0;
    count -= half;
  }
  const auto place = static_cast<std::size_t>(found - kKeys.data());
  if (*found == key) return {kMediaTypes[place], (kCompressible >> place & 1) != 0};
  if (equals_ignore_case(extension, "webmanifest")) return {"application/manifest+json", true};
  return {"application/octet-stream", false};
}

bool is_compressible(std::string_view media_type) noexcept {
  return shrinks(trim_ows(media_type.substr(0, media_type.find(';'))));
}

}  // namespace microdot::inline MICRODOT_ABI
