#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <microdot/base/config.hpp>

/// Entity tags (RFC 9110 8.8.3), such as `"33a64df5"` and the weak `W/"33a64df5"`, always with their quotes.
namespace microdot::inline MICRODOT_ABI {

/// Room for any tag that `write_etag` writes.
inline constexpr std::size_t kMaxEtag = 2 + 16 + 1 + 16;

/// Writes the strong tag of a file's version, made of its time of change and its size in bytes, into `out`.
/// Returns the tag within `out`.
std::string_view write_etag(std::int64_t mtime_ns, std::uint64_t size,
                            std::span<char, kMaxEtag> out) noexcept;

/// Whether `text` is one entity tag.
bool is_valid_etag(std::string_view text) noexcept;

/// Strong comparison (RFC 9110 8.8.3.2): equal, and neither is weak.
bool etags_equal_strong(std::string_view a, std::string_view b) noexcept;
/// Weak comparison: equal but for "W/".
bool etags_equal_weak(std::string_view a, std::string_view b) noexcept;

/// How the tags of an If-Match or If-None-Match field are compared.
enum class EtagComparison : std::uint8_t { strong, weak };

/// Whether `etag` is in `list`, the value of an If-Match (strong) or If-None-Match (weak) field. "*" is for
/// the caller to look at. What follows a malformed tag is not looked at.
bool etag_in_list(std::string_view list, std::string_view etag, EtagComparison comparison) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
