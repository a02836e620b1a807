#include <microdot/ext/re2.hpp>

#include <memory>
#include <new>
#include <string>
#include <utility>

#include <re2/re2.h>

namespace microdot::inline MICRODOT_ABI {
namespace {

// The expressions of one route, by the place of their component; null where a component has none.
using Expressions = std::array<std::unique_ptr<re2::RE2>, kMaxPathArgs>;

// As one group: matching with a group takes RE2's one-pass search where the expression allows it, and that
// needs no memory.
std::string grouped(std::string_view regex) { return "(" + std::string(regex) + ")"; }

void* compile(std::string_view pattern, const char*& reason) noexcept {
  static std::string words;
  re2::RE2::Options options(re2::RE2::Quiet);
  options.set_max_mem(kRegexMemory);
  auto expressions = std::make_unique<Expressions>();
  std::size_t place = 0;
  PatternSegment segment;
  while (!pattern.empty() && detail::take_segment(pattern, segment) == PatternError::none) {
    if (!segment.component) continue;
    const std::string_view regex = component_regex(segment.type);
    if (!regex.empty()) {
      // First alone: "a)(b" must not become right by its group.
      auto expression = std::make_unique<re2::RE2>(re2::StringPiece(regex.data(), regex.size()), options);
      if (expression->ok()) expression = std::make_unique<re2::RE2>(grouped(regex), options);
      if (!expression->ok()) {
        words = "bad regular expression: " + expression->error();
        reason = words.c_str();
        return nullptr;
      }
      (*expressions)[place] = std::move(expression);
    }
    ++place;
  }
  return expressions.release();
}

bool matches(const void* compiled, const PathArgs& decoded) noexcept {
  const Expressions& expressions = *static_cast<const Expressions*>(compiled);
  for (std::size_t place = 0; place < decoded.count; ++place) {
    if (expressions[place] == nullptr) continue;
    const re2::StringPiece value(decoded.values[place].data(), decoded.values[place].size());
    re2::StringPiece groups[2];
    if (!expressions[place]->Match(value, 0, value.size(), re2::RE2::ANCHOR_BOTH, groups, 2)) return false;
  }
  return true;
}

void release(void* compiled) noexcept { delete static_cast<Expressions*>(compiled); }

constexpr RegexEngine kEngine{.compile = compile, .matches = matches, .release = release};

}  // namespace

const RegexEngine& re2_engine() noexcept { return kEngine; }

}  // namespace microdot::inline MICRODOT_ABI
