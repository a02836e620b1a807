// Ranges lie within the representation and never overlap, whatever the field says; asked for again, they are
// found again; and a field of the plainest form comes to what it says.
#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include <microdot/http/range.hpp>

#include "fuzz.hpp"

using namespace microdot;
using fuzz::require;

namespace {

/// Asks for the same ranges in the plainest way.
void check_again(const std::array<ByteRange, 16>& ranges, std::size_t count, std::uint64_t length) {
  std::string field = "bytes=";
  for (std::size_t i = 0; i < count; ++i) {
    if (i != 0) field += ',';
    field += std::to_string(ranges[i].first) + "-" + std::to_string(ranges[i].last);
  }
  std::array<ByteRange, 16> again;
  const RangeResult r = parse_range(field, length, again);
  require(r.outcome == RangeOutcome::partial && r.count == count);
  for (std::size_t i = 0; i < count; ++i) require(again[i] == ranges[i]);
  if (count < 2) return;
  require(parse_range(field, length, std::span(again).first(count - 1)).outcome == RangeOutcome::whole);
}

/// One range, which is given in numbers.
void check_one(std::uint64_t first, std::uint64_t last, std::uint64_t length) {
  std::array<ByteRange, 1> out;
  const RangeResult closed =
      parse_range("bytes=" + std::to_string(first) + "-" + std::to_string(last), length, out);
  if (last < first) {
    require(closed.outcome == RangeOutcome::whole);
  } else if (first >= length) {
    require(closed.outcome == RangeOutcome::unsatisfiable);
  } else {
    require(closed.outcome == RangeOutcome::partial &&
            out[0] == ByteRange{first, std::min(last, length - 1)});
  }
  const RangeResult open = parse_range("bytes=" + std::to_string(first) + "-", length, out);
  require(open.outcome == (first < length ? RangeOutcome::partial : RangeOutcome::unsatisfiable));
  if (first < length) require(out[0] == ByteRange{first, length - 1});
  const RangeResult suffix = parse_range("bytes=-" + std::to_string(first), length, out);
  if (first == 0) {
    require(suffix.outcome == RangeOutcome::unsatisfiable);
  } else if (length == 0) {
    require(suffix.outcome == RangeOutcome::whole);
  } else {
    require(suffix.outcome == RangeOutcome::partial &&
            out[0] == ByteRange{length - std::min(first, length), length - 1});
  }
}

void check_text(ByteRange range, std::uint64_t length) {
  std::array<char, kMaxContentRange> out;
  require(write_content_range(range, length, out) == "bytes " + std::to_string(range.first) + "-" +
                                                         std::to_string(range.last) + "/" +
                                                         std::to_string(length));
  require(write_unsatisfied_range(length, out) == "bytes */" + std::to_string(length));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint8_t short_length = input.byte();
  const std::string_view field = input.rest();
  const std::uint64_t length = short_length == 255 ? UINT64_MAX : short_length;
  std::array<ByteRange, 16> ranges;
  const RangeResult r = parse_range(field, length, ranges);
  require((r.outcome == RangeOutcome::partial) == (r.count > 0));
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < r.count; ++i) {
    require(ranges[i].first <= ranges[i].last && ranges[i].last < length);
    total += ranges[i].size();
    require(total <= length);
    check_text(ranges[i], length);
  }
  if (r.count != 0) check_again(ranges, r.count, length);

  fuzz::Input numbers(data, size);
  const std::uint64_t first = numbers.number() >> numbers.byte() % 64;
  const std::uint64_t last = numbers.number() >> numbers.byte() % 64;
  check_one(first, last, numbers.number() >> numbers.byte() % 64);
  return 0;
}
