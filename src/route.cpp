#include <microdot/route.hpp>

#include <microdot/http/chars.hpp>
#include <microdot/http/url.hpp>

namespace microdot::inline MICRODOT_ABI {
namespace {

const RegexEngine* engine = nullptr;

// The byte at `i` of `text`, which may be percent-encoded; `i` moves behind it. -1 for bad encoding.
int next_byte(std::string_view text, std::size_t& i) noexcept {
  const char c = text[i++];
  if (c != '%') return static_cast<unsigned char>(c);
  if (text.size() - i < 2) return -1;
  const int high = hex_value(text[i]);
  const int low = hex_value(text[i + 1]);
  i += 2;
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// Whether both mean the same once decoded. `a` is of a checked pattern, so that bad encoding in `b` equals
// nothing.
bool same_segment(std::string_view a, std::string_view b) noexcept {
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size()) {
    if (next_byte(a, i) != next_byte(b, j)) return false;
  }
  return i == a.size() && j == b.size();
}

// Takes the first segment of a path, which begins with '/'.
std::string_view take_path_segment(std::string_view& path) noexcept {
  const std::string_view segment = path.substr(1, path.find('/', 1) - 1);
  path.remove_prefix(1 + segment.size());
  return segment;
}

}  // namespace

bool match_path(std::string_view pattern, std::string_view path, PathArgs& args) noexcept {
  args.count = 0;
  while (!pattern.empty()) {
    PatternSegment segment;
    if (!path.starts_with('/')) return false;
    if (detail::take_segment(pattern, segment) != PatternError::none) return false;
    if (!segment.component) {
      if (!same_segment(segment.literal, take_path_segment(path))) return false;
      continue;
    }
    std::string_view value = path.substr(1);
    if (segment.type == "path") {
      path = {};
    } else {
      value = take_path_segment(path);
    }
    if (value.empty() || args.count == kMaxPathArgs) return false;
    args.add(value);
  }
  return path.empty();
}

bool match_prefix(std::string_view prefix, std::string_view path, std::string_view& rest) noexcept {
  while (!prefix.empty()) {
    if (!path.starts_with('/')) return false;
    if (!same_segment(take_path_segment(prefix), take_path_segment(path))) return false;
  }
  if (!path.starts_with('/')) return false;
  rest = path;
  return true;
}

namespace detail {

std::string_view component_type(std::string_view pattern, std::size_t place) noexcept {
  PatternSegment segment;
  while (!pattern.empty() && take_segment(pattern, segment) == PatternError::none) {
    if (segment.component && place-- == 0) return segment.type;
  }
  return {};
}

bool parse_integer(std::string_view text, std::int64_t min, std::uint64_t max, std::uint64_t& bits) noexcept {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  std::uint64_t size = 0;
  if (parse_decimal(text, size) != DecimalStatus::ok) return false;
  // Unsigned negation is defined for the least number too, and right for it.
  const std::uint64_t limit = negative ? -static_cast<std::uint64_t>(min) : max;
  bits = negative ? -size : size;
  return size <= limit;
}

}  // namespace detail

void set_regex_engine(const RegexEngine* to) noexcept { engine = to; }

bool pattern_needs_regex(std::string_view pattern) noexcept {
  PatternSegment segment;
  while (!pattern.empty() && detail::take_segment(pattern, segment) == PatternError::none) {
    if (segment.component && !component_regex(segment.type).empty()) return true;
  }
  return false;
}

RouteRegex::~RouteRegex() {
  if (compiled_ != nullptr) engine->release(compiled_);
}

const char* RouteRegex::compile(std::string_view pattern) noexcept {
  if (compiled_ != nullptr || !pattern_needs_regex(pattern)) return nullptr;
  if (engine == nullptr)
    return "it needs microdot::re2: include <microdot/ext/re2.hpp> and link microdot::re2";
  const char* reason = nullptr;
  compiled_ = engine->compile(pattern, reason);
  return compiled_ != nullptr ? nullptr : reason;
}

bool RouteRegex::matches(const PathArgs& decoded) const noexcept {
  return compiled_ == nullptr || engine->matches(compiled_, decoded);
}

}  // namespace microdot::inline MICRODOT_ABI
