// A pattern and a path, separated by a newline: whatever they are, matching stays within them, and a pattern
// that passes the check keeps what the check promises.
#include <cstdint>
#include <string_view>

#include <microdot/route.hpp>

#include "fuzz.hpp"

using namespace microdot;
using fuzz::inside;
using fuzz::require;

namespace {

/// The segments of a pattern, put together again, are the pattern; in front of the first mistake.
void check_segments(std::string_view pattern) {
  std::string_view rest = pattern;
  PatternSegment segment;
  while (rest.starts_with('/')) {
    const std::string_view before = rest;
    if (detail::take_segment(rest, segment) != PatternError::none) return;
    require(inside(rest, before) && rest.data() + rest.size() == before.data() + before.size());
    const std::string_view taken = before.substr(0, before.size() - rest.size());
    require(taken.size() == segment.literal.size() + (segment.component ? 3 : 1));
    require(inside(segment.literal, taken));
    if (!segment.component) {
      require(segment.literal.find_first_of("/<>") == std::string_view::npos && segment.name.empty());
      continue;
    }
    require(inside(segment.name, segment.literal) && segment.name.find(':') == std::string_view::npos);
    require(segment.type == "string" || inside(segment.type, segment.literal));
    require(inside(component_regex(segment.type), segment.type) || component_regex(segment.type).empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t newline = input.find('\n');
  if (newline == std::string_view::npos) return 0;
  const std::string_view pattern = input.substr(0, newline);
  const std::string_view path = input.substr(newline + 1);

  // Never checked: must match or not, and nothing else.
  PathArgs args;
  const bool matched = match_path(pattern, path, args);
  require(args.count <= kMaxPathArgs);
  for (std::size_t i = 0; i < args.count; ++i)
    require(!args.values[i].empty() && inside(args.values[i], path));
  static_cast<void>(pattern_needs_regex(pattern));
  check_segments(pattern);

  // For arguments that take anything, in any number up to the most.
  constexpr PathArgType kAny{.integer = true, .text = true};
  constexpr PathArgType kTypes[kMaxPathArgs] = {kAny, kAny, kAny, kAny, kAny, kAny, kAny, kAny};
  for (std::size_t count = 0; count <= kMaxPathArgs; ++count) {
    const PatternError error = check_pattern(pattern, kTypes, count);
    require((error == PatternError::none) == (pattern_error_text(error) == nullptr));
    if (error != PatternError::none) continue;
    if (matched) require(args.count == count);
    for (std::size_t i = 0; i < count; ++i) require(!detail::component_type(pattern, i).empty());
    require(detail::component_type(pattern, count).empty());
    if (matched) {
      // All but a last "path" stay within their segment.
      for (std::size_t i = 0; i < count; ++i) {
        require(detail::component_type(pattern, i) == "path" ||
                args.values[i].find('/') == std::string_view::npos);
      }
    }
  }

  std::string_view rest;
  if (match_prefix(pattern, path, rest)) require(rest.starts_with('/') && inside(rest, path));
  if (check_prefix(pattern) == PatternError::none && !pattern.empty()) {
    require(match_path(pattern, pattern, args));  // a literal matches itself
    require(!match_prefix(pattern, pattern, rest));
  }

  std::uint64_t bits = 0;
  if (detail::parse_integer(path, INT32_MIN, INT32_MAX, bits)) {
    const auto value = static_cast<std::int64_t>(bits);
    require(value >= INT32_MIN && value <= INT32_MAX);
  }
  return 0;
}
