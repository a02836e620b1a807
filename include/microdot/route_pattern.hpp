#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <microdot/base/config.hpp>
#include <microdot/http/chars.hpp>

/// The grammar of route patterns and its check, the same at compile time and at run time.
///
///   pattern   = 1*( "/" segment )
///   segment   = literal / "<" [ type ":" ] name ">"
///   type      = "string" / "int" / "path" / "re:" regex / the `PathType<T>::name` of an argument's type
///
/// A literal is text of a URL's path; percent-encoding means the byte that it encodes.
namespace microdot::inline MICRODOT_ABI {

/// The most components that a pattern may have.
inline constexpr std::size_t kMaxPathArgs = 8;

// Everything that can be wrong with a pattern: the name that the compiler prints, and the words at run time.
#define MICRODOT_PATTERN_ERRORS(X)                                                                          \
  X(pattern_must_begin_with_a_slash, "the pattern must begin with '/'")                                     \
  X(pattern_has_an_opening_bracket_without_its_closing_one, "a '<' has no '>' in its segment")              \
  X(pattern_has_a_closing_bracket_without_its_opening_one, "a '>' has no '<' before it")                    \
  X(component_must_fill_its_whole_segment, "a component must fill its whole segment: \"/<name>/\"")         \
  X(component_has_no_name, "a component has no name")                                                       \
  X(component_name_must_be_letters_digits_and_underscores, "a component's name is letters, digits and '_'") \
  X(component_name_is_used_twice, "two components have the same name")                                      \
  X(component_has_no_type_before_its_colon, "a component has nothing before its ':'")                       \
  X(component_has_an_unknown_type,                                                                          \
    "a component's type is unknown: string, int, path, re: or that of a PathType")                          \
  X(component_of_type_re_needs_a_regular_expression,                                                        \
    "a \"re\" component is written \"<re:expression:name>\"")                                               \
  X(component_of_type_path_must_be_last, "a \"path\" component must be the last one")                       \
  X(pattern_has_too_many_components, "the pattern has too many components")                                 \
  X(handler_takes_fewer_arguments_than_the_pattern_has_components,                                          \
    "the handler takes fewer arguments than the pattern has components")                                    \
  X(handler_takes_more_arguments_than_the_pattern_has_components,                                           \
    "the handler takes more arguments than the pattern has components")                                     \
  X(component_of_type_int_needs_an_integer_argument, "an \"int\" component needs an integer argument")      \
  X(component_of_text_needs_a_string_view_or_string_argument,                                               \
    "a component of text needs a std::string_view or std::string argument")                                 \
  X(component_of_a_custom_type_needs_an_argument_of_that_type,                                              \
    "a component of a custom type needs an argument of that type, in the same place")                       \
  X(pattern_must_not_have_a_query_or_fragment, "the pattern must not have a '?' or '#'")                    \
  X(pattern_must_not_have_spaces_or_control_characters,                                                     \
    "the pattern must not have spaces or control characters")                                               \
  X(pattern_has_a_percent_sign_without_two_hexadecimal_digits,                                              \
    "a '%' has no two hexadecimal digits after it")                                                         \
  X(prefix_must_not_have_components, "a prefix must not have components")                                   \
  X(prefix_must_not_end_with_a_slash, "a prefix must not end with '/'")

/// What is wrong with a pattern; `none` if nothing is.
enum class PatternError : std::uint8_t {
  none = 0,
#define MICRODOT_X(name, words) name,
  MICRODOT_PATTERN_ERRORS(MICRODOT_X)
#undef MICRODOT_X
};

/// The error in words; null for `none`.
constexpr const char* pattern_error_text(PatternError error) noexcept {
  switch (error) {
    case PatternError::none: break;
#define MICRODOT_X(name, words) \
  case PatternError::name: return words;
      MICRODOT_PATTERN_ERRORS(MICRODOT_X)
#undef MICRODOT_X
  }
  return nullptr;
}

/// Never defined: compilers name the one that a wrong pattern calls at compile time.
template <PatternError kError>
void route_error();

/// One segment of a pattern.
struct PatternSegment {
  std::string_view literal;  ///< Text of a literal segment; of a component what is between its brackets.
  std::string_view type;     ///< Of a component: "string" if it names none; with its regex for "re:…".
  std::string_view name;     ///< Of a component.
  bool component = false;
};

/// The regular expression of a component's type; empty if it has none.
constexpr std::string_view component_regex(std::string_view type) noexcept {
  return type.starts_with("re:") ? type.substr(3) : std::string_view{};
}

/// What a path argument's type takes: integers, text, or what `PathType<T>` of this name parses. Several may
/// be.
struct PathArgType {
  bool integer = false;
  bool text = false;
  std::string_view custom{};
};

namespace detail {

/// Takes the first segment from `pattern`, which begins with '/'. Checks the brackets and nothing else.
constexpr PatternError take_segment(std::string_view& pattern, PatternSegment& segment) noexcept {
  segment = {};
  if (!pattern.starts_with("/<")) {
    std::size_t end = 1;
    while (end < pattern.size() && pattern[end] != '/') {
      if (pattern[end] == '<') return PatternError::component_must_fill_its_whole_segment;
      if (pattern[end] == '>') return PatternError::pattern_has_a_closing_bracket_without_its_opening_one;
      ++end;
    }
    segment.literal = pattern.substr(1, end - 1);
    pattern.remove_prefix(end);
    return PatternError::none;
  }
  // A regular expression may hold slashes, and brackets of its own in pairs: (?P<x>…).
  const bool regex = pattern.starts_with("/<re:");
  std::size_t end = 2;
  for (int depth = 1;; ++end) {
    if (end == pattern.size() || (!regex && (pattern[end] == '/' || pattern[end] == '<'))) {
      return PatternError::pattern_has_an_opening_bracket_without_its_closing_one;
    }
    if (pattern[end] == '<') ++depth;
    if (pattern[end] == '>' && --depth == 0) break;
  }
  segment.component = true;
  segment.literal = pattern.substr(2, end - 2);
  pattern.remove_prefix(end + 1);
  const std::size_t colon = segment.literal.rfind(':');
  segment.name = segment.literal.substr(colon + 1);  // npos + 1 is 0
  segment.type = colon == std::string_view::npos ? "string" : segment.literal.substr(0, colon);
  if (pattern.empty() || pattern.front() == '/') return PatternError::none;
  return pattern.front() == '>' ? PatternError::pattern_has_a_closing_bracket_without_its_opening_one
                                : PatternError::component_must_fill_its_whole_segment;
}

constexpr PatternError check_literal(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '?' || c == '#') return PatternError::pattern_must_not_have_a_query_or_fragment;
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f)
      return PatternError::pattern_must_not_have_spaces_or_control_characters;
    if (c == '%' && (text.size() - i < 3 || hex_value(text[i + 1]) < 0 || hex_value(text[i + 2]) < 0)) {
      return PatternError::pattern_has_a_percent_sign_without_two_hexadecimal_digits;
    }
  }
  return PatternError::none;
}

constexpr PatternError check_name(std::string_view name) noexcept {
  if (name.empty()) return PatternError::component_has_no_name;
  for (const char c : name) {
    const char lower = to_lower(c);
    if ((lower < 'a' || lower > 'z') && !is_char(c, kCharDigit) && c != '_') {
      return PatternError::component_name_must_be_letters_digits_and_underscores;
    }
  }
  return PatternError::none;
}

/// Whether a component of this type and the argument in its place fit; `types` are those of all arguments.
constexpr PatternError check_type(std::string_view type, std::size_t place, const PathArgType* types,
                                  std::size_t count) noexcept {
  if (type.empty()) return PatternError::component_has_no_type_before_its_colon;
  if (type == "re" || type == "re:") return PatternError::component_of_type_re_needs_a_regular_expression;
  const bool builtin = type == "string" || type == "int" || type == "path" || type.starts_with("re:");
  bool known = builtin;
  for (std::size_t i = 0; i < count; ++i) known = known || types[i].custom == type;
  if (!known) return PatternError::component_has_an_unknown_type;
  if (place >= count) return PatternError::handler_takes_fewer_arguments_than_the_pattern_has_components;
  if (!builtin) {
    return types[place].custom == type
               ? PatternError::none
               : PatternError::component_of_a_custom_type_needs_an_argument_of_that_type;
  }
  if (type == "int") {
    return types[place].integer ? PatternError::none
                                : PatternError::component_of_type_int_needs_an_integer_argument;
  }
  return types[place].text ? PatternError::none
                           : PatternError::component_of_text_needs_a_string_view_or_string_argument;
}

}  // namespace detail

/// Checks a pattern against the types of the handler's `count` path arguments.
constexpr PatternError check_pattern(std::string_view pattern, const PathArgType* types,
                                     std::size_t count) noexcept {
  if (!pattern.starts_with('/')) return PatternError::pattern_must_begin_with_a_slash;
  std::string_view names[kMaxPathArgs];
  std::size_t components = 0;
  bool path_seen = false;
  for (std::string_view rest = pattern; !rest.empty();) {
    PatternSegment segment;
    if (const PatternError error = detail::take_segment(rest, segment); error != PatternError::none)
      return error;
    if (path_seen) return PatternError::component_of_type_path_must_be_last;
    if (!segment.component) {
      if (const PatternError error = detail::check_literal(segment.literal); error != PatternError::none)
        return error;
      continue;
    }
    if (const PatternError error = detail::check_name(segment.name); error != PatternError::none)
      return error;
    for (std::size_t i = 0; i < components; ++i) {
      if (names[i] == segment.name) return PatternError::component_name_is_used_twice;
    }
    if (components == kMaxPathArgs) return PatternError::pattern_has_too_many_components;
    if (const PatternError error = detail::check_type(segment.type, components, types, count);
        error != PatternError::none) {
      return error;
    }
    path_seen = segment.type == "path";
    names[components++] = segment.name;
  }
  return components < count ? PatternError::handler_takes_more_arguments_than_the_pattern_has_components
                            : PatternError::none;
}

/// Checks what a router is mounted at: "" or literal segments without a '/' at the end.
constexpr PatternError check_prefix(std::string_view prefix) noexcept {
  if (prefix.empty()) return PatternError::none;
  if (prefix.find('<') != std::string_view::npos) return PatternError::prefix_must_not_have_components;
  if (prefix.ends_with('/')) return PatternError::prefix_must_not_end_with_a_slash;
  return check_pattern(prefix, nullptr, 0);
}

/// A pattern that is known only at run time; see `runtime`.
struct RuntimePattern {
  std::string_view text;
};

/// Takes a pattern or prefix that is known only at run time. It is copied and checked when it is registered,
/// and the App says at start what is wrong.
constexpr RuntimePattern runtime(std::string_view text) noexcept { return {text}; }

namespace detail {
/// Stops a compilation with the error's name. The call itself is in no macro: GCC would explain each step of
/// it.
consteval void refuse(PatternError error) {
#define MICRODOT_X(name, words) route_error<PatternError::name>,
  constexpr void (*kErrors[])() = {nullptr, MICRODOT_PATTERN_ERRORS(MICRODOT_X)};
#undef MICRODOT_X
  if (error != PatternError::none) kErrors[static_cast<std::size_t>(error)]();
}
}  // namespace detail
#undef MICRODOT_PATTERN_ERRORS

}  // namespace microdot::inline MICRODOT_ABI
