// Ranges lie within the representation and never overlap, whatever the field says; entity tags are compared
// safely.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <microdot/http/etag.hpp>
#include <microdot/http/range.hpp>

using namespace microdot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::uint64_t length = data[0] == 255 ? UINT64_MAX : data[0];
  const std::string_view field(reinterpret_cast<const char*>(data + 1), size - 1);
  std::array<ByteRange, 16> ranges;
  const RangeResult r = parse_range(field, length, ranges);
  if ((r.outcome == RangeOutcome::partial) != (r.count > 0)) std::abort();
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < r.count; ++i) {
    if (ranges[i].first > ranges[i].last || ranges[i].last >= length) std::abort();
    total += ranges[i].size();
    if (total > length) std::abort();
    std::array<char, kMaxContentRange> out;
    (void)write_content_range(ranges[i], length, out);
  }
  const bool strong = etag_in_list(field, "\"a\"", EtagComparison::strong);
  if (strong && !etag_in_list(field, "\"a\"", EtagComparison::weak)) std::abort();
  if (is_valid_etag(field) && !etag_in_list(field, field, EtagComparison::weak)) std::abort();
  return 0;
}
