#include <microdot/http/range.hpp>

#include <algorithm>
#include <cstring>

#include <microdot/http/chars.hpp>

namespace microdot::inline MICRODOT_ABI {
namespace {

// Reads a number; one that is out of range is as good as the largest, which is beyond every end.
bool parse_position(std::string_view text, std::uint64_t& value) noexcept {
  const DecimalStatus status = parse_decimal(text, value);
  if (status == DecimalStatus::overflow) value = UINT64_MAX;
  return status != DecimalStatus::invalid;
}

enum class Spec { ok, beyond_end, invalid };

// Reads "first-last", "first-" or "-suffix".
Spec parse_spec(std::string_view text, std::uint64_t size, ByteRange& range) noexcept {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return Spec::invalid;
  const std::string_view first_text = text.substr(0, dash);
  const std::string_view last_text = text.substr(dash + 1);
  std::uint64_t first = 0;
  std::uint64_t last = UINT64_MAX;
  if (first_text.empty()) {
    std::uint64_t suffix = 0;
    if (!parse_position(last_text, suffix)) return Spec::invalid;
    if (suffix == 0) return Spec::beyond_end;
    range = {size - std::min(suffix, size), size - 1};
    return Spec::ok;
  }
  if (!parse_position(first_text, first)) return Spec::invalid;
  if (!last_text.empty() && !parse_position(last_text, last)) return Spec::invalid;
  if (last < first) return Spec::invalid;
  if (first >= size) return Spec::beyond_end;
  range = {first, std::min(last, size - 1)};
  return Spec::ok;
}

bool overlaps(ByteRange range, std::span<const ByteRange> others) noexcept {
  for (const ByteRange& other : others) {
    if (range.first <= other.last && other.first <= range.last) return true;
  }
  return false;
}

}  // namespace

RangeResult parse_range(std::string_view field, std::uint64_t size, std::span<ByteRange> out) noexcept {
  constexpr RangeResult kWhole{RangeOutcome::whole, 0};
  constexpr std::string_view kUnit = "bytes=";
  if (!equals_ignore_case(field.substr(0, kUnit.size()), kUnit)) return kWhole;
  std::size_t count = 0;
  bool any = false;
  RangeResult result = kWhole;
  bool valid = true;
  for_each_element(field.substr(kUnit.size()), [&](std::string_view element) {
    any = true;
    // An empty representation has no bytes to name: a suffix of it is all of it.
    ByteRange range{};
    const Spec spec = parse_spec(element, size, range);
    valid = spec != Spec::invalid && !(spec == Spec::ok && size == 0);
    if (!valid || spec == Spec::beyond_end) return valid;
    valid = count < out.size() && !overlaps(range, out.first(count));
    if (valid) out[count++] = range;
    return valid;
  });
  if (any && valid) result = {count == 0 ? RangeOutcome::unsatisfiable : RangeOutcome::partial, count};
  return result;
}

std::string_view write_content_range(ByteRange range, std::uint64_t size,
                                     std::span<char, kMaxContentRange> out) noexcept {
  char* p = out.data();
  std::memcpy(p, "bytes ", 6);
  p += 6;
  p += write_decimal(p, range.first);
  *p++ = '-';
  p += write_decimal(p, range.last);
  *p++ = '/';
  p += write_decimal(p, size);
  return {out.data(), static_cast<std::size_t>(p - out.data())};
}

std::string_view write_unsatisfied_range(std::uint64_t size, std::span<char, kMaxContentRange> out) noexcept {
  std::memcpy(out.data(), "bytes */", 8);
  return {out.data(), 8 + write_decimal(out.data() + 8, size)};
}

}  // namespace microdot::inline MICRODOT_ABI
