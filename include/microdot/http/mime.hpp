#pragma once
#include <string_view>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI {

namespace detail {
struct MediaType {
  std::string_view name;
  bool compressible;  // as `is_compressible` says of it
};
MediaType media_type(std::string_view path) noexcept;
}  // namespace detail

/// The media type for a file's name, by its extension without case, e.g. "text/html" for "a/b.HTML";
/// "application/octet-stream" for an unknown one. Without charset. Static storage.
inline std::string_view mime_type(std::string_view path) noexcept { return detail::media_type(path).name; }

/// Whether content of this media type shrinks much when compressed (text, JSON, SVG …).
bool is_compressible(std::string_view media_type) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
