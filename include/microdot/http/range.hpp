#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <microdot/base/config.hpp>

/// Byte ranges (RFC 9110 14).
namespace microdot::inline MICRODOT_ABI {

/// Bytes `first` to `last`, both included, of a representation.
struct ByteRange {
  std::uint64_t first;
  std::uint64_t last;

  constexpr std::uint64_t size() const noexcept { return last - first + 1; }
  friend constexpr bool operator==(const ByteRange&, const ByteRange&) = default;
};

/// What to answer to a Range field.
enum class RangeOutcome : std::uint8_t {
  whole,          ///< Ignore the field: 200 with everything.
  partial,        ///< 206 with the ranges found.
  unsatisfiable,  ///< 416 with "Content-Range: bytes */size".
};

/// The outcome and, with `partial`, how many ranges.
struct RangeResult {
  RangeOutcome outcome;
  std::size_t count;
};

/// Reads `field`, the value of a Range field, for a representation of `size` bytes, into `out`. Ranges are
/// cut to the size and stay in the order asked for; those beyond the end are left out. Answered with the
/// whole: another unit than bytes, bad syntax, more ranges than `out` has room for, and ranges that overlap,
/// which are a way to make a server send far more than it has (RFC 9110 14.2, 17.15).
RangeResult parse_range(std::string_view field, std::uint64_t size, std::span<ByteRange> out) noexcept;

/// Room for any Content-Range value.
inline constexpr std::size_t kMaxContentRange = 6 + 3 * 20 + 2;

/// Writes "bytes first-last/size" into `out`, and returns it.
std::string_view write_content_range(ByteRange range, std::uint64_t size,
                                     std::span<char, kMaxContentRange> out) noexcept;
/// Writes "bytes */size", for 416, into `out`, and returns it.
std::string_view write_unsatisfied_range(std::uint64_t size, std::span<char, kMaxContentRange> out) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
