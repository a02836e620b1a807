#include <microdot/route.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>

#include <gtest/gtest.h>

#include <microdot/http/url.hpp>

using namespace microdot;

struct Hex {
  unsigned value = 0;
};
template <>
struct microdot::PathType<Hex> {
  static constexpr std::string_view name = "hex";
  static bool parse(std::string_view text, Hex& hex) {
    for (const char c : text) {
      if (hex_value(c) < 0) return false;
      hex.value = hex.value * 16 + static_cast<unsigned>(hex_value(c));
    }
    return true;
  }
};

enum class Color : std::uint8_t { red, green };
template <>
struct microdot::PathType<Color> {
  static constexpr std::string_view name = "color";
  static bool parse(std::string_view text, Color& color) {
#if MICRODOT_EXCEPTIONS
    if (text == "throw") throw std::runtime_error("no such color");
#endif
    color = text == "red" ? Color::red : Color::green;
    return text == "red" || text == "green";
  }
};

// An integer may have a second meaning beside "int".
template <>
struct microdot::PathType<std::uint16_t> {
  static constexpr std::string_view name = "port";
  static bool parse(std::string_view text, std::uint16_t& port) {
    port = 80;
    return text == "http";
  }
};

namespace {

alignas(std::max_align_t) std::byte request_memory[sizeof(std::max_align_t)];
Request& request = reinterpret_cast<Request&>(request_memory);  // handlers below never look at it

template <typename... Args>
using Found = std::optional<std::tuple<Args...>>;

template <typename... Args>
struct Collect {
  Found<Args...> found;
  void operator()(Request&, Args... args) { found.emplace(std::move(args)...); }
};

// What a handler of (Request&, Args...) at `pattern` gets for `path`, in the App's order: match, decode,
// accept, call. Nothing if the route does not match.
template <typename... Args>
Found<Args...> match(std::string_view pattern, std::string_view path) {
  using Handler = Collect<Args...>;
  const RoutePattern<Handler> checked(runtime(pattern));
  EXPECT_STREQ(checked.error(), nullptr) << pattern;
  PathArgs args;
  if (!match_path(checked.text(), path, args)) return {};
  std::string decoded[kMaxPathArgs];
  for (std::size_t i = 0; i < args.count; ++i) {
    decoded[i] = args.values[i];
    const auto text = percent_decode(args.values[i], decoded[i]);
    EXPECT_TRUE(text.has_value());
    args.values[i] = *text;
  }
  if (!accepts<Handler>(checked.text(), args)) return {};
  Handler handler;
  call_with(handler, request, checked.text(), args);
  return handler.found;
}

template <typename... Args>
std::tuple<Args...> got(Args... args) {
  return {args...};
}

using S = std::string;

}  // namespace

// ---- What Microdot's own tests ask of URL patterns -----------------------------------------------------

TEST(Match, Literals) {
  EXPECT_TRUE(match<>("/", "/"));
  for (const char* path : {"/foo", "foo", "", "//"}) EXPECT_FALSE(match<>("/", path)) << path;

  EXPECT_TRUE(match<>("/foo/bar", "/foo/bar"));
  for (const char* path :
       {"/foo", "/foo/bar/", "/foo/bar/baz", "/foo/ba", "/foo/barb", "/Foo/bar", "/foo//bar"}) {
    EXPECT_FALSE(match<>("/foo/bar", path)) << path;
  }
  EXPECT_TRUE(match<>("/foo//bar/baz/", "/foo//bar/baz/"));
  for (const char* path : {"/foo/bar/baz/", "/foo", "/foo/bar/baz", "/foo//bar/baz"}) {
    EXPECT_FALSE(match<>("/foo//bar/baz/", path)) << path;
  }
}

TEST(Match, Strings) {
  for (const char* pattern : {"/<arg>", "/<string:arg>"}) {
    EXPECT_EQ(match<S>(pattern, "/foo"), got<S>("foo"));
    for (const char* path :
         {"/", "//", "", "foo/", "/foo/", "//foo/", "/foo//", "/foo/bar", "/foo//bar", "//foo"}) {
      EXPECT_FALSE(match<S>(pattern, path)) << path;
    }
  }
  for (const char* pattern : {"/<arg>/", "/<string:arg>/"}) {
    EXPECT_EQ(match<S>(pattern, "/foo/"), got<S>("foo"));
    for (const char* path : {"/", "/foo", "/foo/bar", "/foo/bar/", "//"})
      EXPECT_FALSE(match<S>(pattern, path)) << path;
  }
  const char* two = "/foo/<arg1>/bar/<arg2>";
  EXPECT_EQ((match<S, S>(two, "/foo/one/bar/two")), (got<S, S>("one", "two")));
  for (const char* path :
       {"/", "/foo/", "/foo/bar", "/foo//bar/", "/foo//bar//", "/foo/one/bar/", "/foo//bar/two"}) {
    EXPECT_FALSE((match<S, S>(two, path))) << path;
  }
}

TEST(Match, Integers) {
  EXPECT_EQ(match<int>("/users/<int:id>", "/users/123"), got(123));
  EXPECT_EQ(match<int>("/users/<int:id>", "/users/-123"), got(-123));
  EXPECT_EQ(match<int>("/users/<int:id>", "/users/0"), got(0));
  for (const char* path :
       {"/users/", "/users/abc", "/users/123abc", "/users/123/abc", "/users/-", "/users/--1", "/users/+1",
        "/users/%201", "/users/1%20", "/users/0x10", "/users/1.0", "/users/1%00"}) {
    EXPECT_FALSE(match<int>("/users/<int:id>", path)) << path;
  }
  const char* two = "/users/<int:id>/<int:id2>/";
  EXPECT_EQ((match<int, int>(two, "/users/123/456/")), got(123, 456));
  EXPECT_EQ((match<int, int>(two, "/users/123/-456/")), got(123, -456));
  for (const char* path :
       {"/users/", "/users/123/-456", "/users/123/abc/", "/users/123/-456/abc", "/users/--123/456/"}) {
    EXPECT_FALSE((match<int, int>(two, path))) << path;
  }
}

TEST(Match, Paths) {
  EXPECT_EQ(match<S>("/users/<path:path>", "/users/123"), got<S>("123"));
  EXPECT_EQ(match<S>("/users/<path:path>", "/users/123/"), got<S>("123/"));
  EXPECT_EQ(match<S>("/users/<path:path>", "/users/abc/def"), got<S>("abc/def"));
  EXPECT_EQ(match<S>("/users/<path:path>", "/users//abc"), got<S>("/abc"));
  EXPECT_FALSE(match<S>("/users/<path:path>", "/users/"));
  EXPECT_FALSE(match<S>("/users/<path:path>", "/users"));
  EXPECT_EQ((match<int, S>("/<int:id>/<path:p>", "/7/a/b")), (got<int, S>(7, "a/b")));
}

TEST(Match, TypesOfYourOwn) {
  const auto hex = match<Hex>("/users/<hex:id>", "/users/a1");
  ASSERT_TRUE(hex);
  EXPECT_EQ(std::get<0>(*hex).value, 161U);
  EXPECT_FALSE(match<Hex>("/users/<hex:id>", "/users/ab12z"));
  EXPECT_FALSE(match<Hex>("/users/<hex:id>", "/users/"));
  EXPECT_FALSE(match<Hex>("/users/<hex:id>", "/users/a/1"));

  EXPECT_EQ(match<Color>("/<color:c>", "/gre%65n"), got(Color::green));
  EXPECT_FALSE(match<Color>("/<color:c>", "/blue"));
  EXPECT_FALSE(match<Color>("/<color:c>", "/throw"));  // where there are exceptions it throws
}

TEST(Match, AnIntegerWithATypeOfItsOwnIsStillAnInt) {
  EXPECT_EQ((match<std::uint16_t, std::uint16_t>("/<int:a>/<port:b>", "/443/http")),
            (got<std::uint16_t, std::uint16_t>(443, 80)));
  EXPECT_FALSE((match<std::uint16_t, std::uint16_t>("/<int:a>/<port:b>", "/http/443")));
}

// ---- RFC 3986: what percent-encoding means --------------------------------------------------------------

TEST(Match, LiteralsByWhatTheirEncodingMeans) {
  for (const char* pattern : {"/caf\xc3\xa9", "/caf%C3%A9", "/caf%c3%a9", "/%63af\xc3\xa9"}) {
    for (const char* path : {"/caf%C3%A9", "/caf%c3%a9", "/%63%61%66%c3%a9"}) {
      EXPECT_TRUE(match<>(pattern, path)) << pattern << " " << path;
    }
    for (const char* path : {"/cafe", "/caf%C3", "/caf", "/caf%25C3%25A9"})
      EXPECT_FALSE(match<>(pattern, path)) << path;
  }
  EXPECT_TRUE(match<>("/a%20b", "/a%20b"));
  EXPECT_FALSE(match<>("/a%20b", "/a+b"));  // '+' is a space in forms only
}

TEST(Match, AnEncodedSlashIsPartOfItsSegment) {
  EXPECT_EQ(match<S>("/<name>", "/a%2Fb"), got<S>("a/b"));
  EXPECT_EQ(match<S>("/<name>", "/%2f"), got<S>("/"));
  EXPECT_EQ((match<S, S>("/<a>/<b>", "/x%2Fy/z")), (got<S, S>("x/y", "z")));
  EXPECT_FALSE((match<S, S>("/<a>/<b>", "/x%2Fy")));
  EXPECT_FALSE(match<>("/a/b", "/a%2Fb"));
  EXPECT_TRUE(match<>("/a%2fb", "/a%2Fb"));
  EXPECT_FALSE(match<>("/a%2Fb", "/a/b"));
  EXPECT_EQ(match<S>("/<path:p>", "/a%2Fb/c"), got<S>("a/b/c"));
}

TEST(Match, ArgumentsAreDecoded) {
  EXPECT_EQ(match<S>("/<name>", "/J%C3%BCrgen%20M"), got<S>("J\xc3\xbcrgen M"));
  EXPECT_EQ(match<S>("/<name>", "/a+b"), got<S>("a+b"));
  EXPECT_EQ(match<S>("/<name>", "/%2541"), got<S>("%41"));  // once, not twice
  EXPECT_EQ(match<int>("/<int:id>", "/%2D%31%32"), got(-12));
}

TEST(Match, BadEncodingEqualsNoLiteral) {
  PathArgs args;
  for (const char* path : {"/a%", "/a%2", "/a%zz", "/%", "/a%%20"}) {
    EXPECT_FALSE(match_path("/a%25", path, args)) << path;
    EXPECT_FALSE(match_path("/a", path, args)) << path;
  }
}

// ---- Numbers at their limits ------------------------------------------------------------------------------

TEST(Match, NumbersOutOfRangeDoNotMatch) {
  EXPECT_EQ(match<std::int8_t>("/<int:n>", "/127"), got<std::int8_t>(127));
  EXPECT_EQ(match<std::int8_t>("/<int:n>", "/-128"), got<std::int8_t>(-128));
  EXPECT_FALSE(match<std::int8_t>("/<int:n>", "/128"));
  EXPECT_FALSE(match<std::int8_t>("/<int:n>", "/-129"));
  EXPECT_EQ(match<std::uint8_t>("/<int:n>", "/255"), got<std::uint8_t>(255));
  EXPECT_FALSE(match<std::uint8_t>("/<int:n>", "/256"));
  EXPECT_FALSE(match<unsigned>("/<int:n>", "/-1"));
  EXPECT_EQ(match<unsigned>("/<int:n>", "/-0"), got(0U));
  EXPECT_EQ(match<int>("/<int:n>", "/2147483647"), got(INT32_MAX));
  EXPECT_EQ(match<int>("/<int:n>", "/-2147483648"), got(INT32_MIN));
  EXPECT_FALSE(match<int>("/<int:n>", "/2147483648"));
  EXPECT_FALSE(match<int>("/<int:n>", "/-2147483649"));
  EXPECT_EQ(match<std::int64_t>("/<int:n>", "/9223372036854775807"), got<std::int64_t>(INT64_MAX));
  EXPECT_EQ(match<std::int64_t>("/<int:n>", "/-9223372036854775808"), got<std::int64_t>(INT64_MIN));
  EXPECT_FALSE(match<std::int64_t>("/<int:n>", "/9223372036854775808"));
  EXPECT_FALSE(match<std::int64_t>("/<int:n>", "/-9223372036854775809"));
  EXPECT_EQ(match<std::uint64_t>("/<int:n>", "/18446744073709551615"), got<std::uint64_t>(UINT64_MAX));
  EXPECT_FALSE(match<std::uint64_t>("/<int:n>", "/18446744073709551616"));
  EXPECT_FALSE(match<std::uint64_t>("/<int:n>", "/99999999999999999999999999999999999999"));
  EXPECT_EQ(match<int>("/<int:n>", "/00000000000000000000000000000000000000042"), got(42));
}

// ---- How handlers are called --------------------------------------------------------------------------

TEST(Call, ValuesReachEveryKindOfParameter) {
  PathArgs args;
  ASSERT_TRUE(match_path("/<a>/<b>/<c>/<int:d>", "/one/two/three/4", args));
  auto handler = [](const Request&, std::string_view a, std::string b, const std::string& c, const long& d) {
    return std::string(a) + b + c + std::to_string(d);
  };
  EXPECT_EQ(call_with(handler, request, "/<a>/<b>/<c>/<int:d>", args), "onetwothree4");
}

TEST(Call, FunctionsFunctorsAndStatefulLambdas) {
  PathArgs args;
  ASSERT_TRUE(match_path("/<int:n>", "/20", args));
  int (*function)(Request&, int) noexcept = [](Request&, int n) noexcept { return n + 1; };
  EXPECT_EQ(call_with(function, request, "/<int:n>", args), 21);
  auto counter = [sum = 0](Request&, int n) mutable { return sum += n; };
  EXPECT_EQ(call_with(counter, request, "/<int:n>", args), 20);
  EXPECT_EQ(call_with(counter, request, "/<int:n>", args), 40);
  int value = 5;
  auto by_reference = [&](Request&, int) -> int& { return value; };
  EXPECT_EQ(&call_with(by_reference, request, "/<int:n>", args), &value);
}

TEST(Call, TextIsAViewOfThePathAndNotACopy) {
  const std::string_view path = "/files/a.txt";
  PathArgs args;
  ASSERT_TRUE(match_path("/files/<path:p>", path, args));
  auto handler = [](Request&, std::string_view p) { return p; };
  EXPECT_EQ(call_with(handler, request, "/files/<path:p>", args).data(), path.data() + 7);
}

TEST(Match, AsManyComponentsAsThereMayBe) {
  const auto found =
      match<S, int, S, S, S, S, S, S>("/<a>/<int:b>/<c>/<d>/<e>/<f>/<g>/<path:h>", "/1/2/3/4/5/6/7/8/9");
  ASSERT_TRUE(found);
  EXPECT_EQ(std::get<7>(*found), "8/9");
}

// ---- Prefixes -----------------------------------------------------------------------------------------

TEST(Prefix, LeavesWhatFollowsIt) {
  std::string_view rest;
  ASSERT_TRUE(match_prefix("/api", "/api/users", rest));
  EXPECT_EQ(rest, "/users");
  ASSERT_TRUE(match_prefix("/api", "/api/", rest));
  EXPECT_EQ(rest, "/");
  ASSERT_TRUE(match_prefix("/api/v1", "/%61pi/v1//x", rest));
  EXPECT_EQ(rest, "//x");
  ASSERT_TRUE(match_prefix("", "/users", rest));
  EXPECT_EQ(rest, "/users");
}

TEST(Prefix, CoversWholeSegmentsOnly) {
  std::string_view rest;
  for (const char* path :
       {"/api", "/apis/users", "/ap/i", "/", "", "/x/api/users", "api/users", "/api%2Fusers"}) {
    EXPECT_FALSE(match_prefix("/api", path, rest)) << path;
  }
  EXPECT_FALSE(match_prefix("", "", rest));
  EXPECT_FALSE(match_prefix("", "*", rest));  // OPTIONS * (RFC 9112 3.2.4) lies below nothing
}

TEST(Prefix, IsChecked) {
  EXPECT_EQ(RoutePrefix(runtime("/api/v1")).error(), nullptr);
  EXPECT_EQ(RoutePrefix(runtime("")).error(), nullptr);
  EXPECT_STREQ(RoutePrefix(runtime("/api/")).error(), "a prefix must not end with '/'");
  EXPECT_STREQ(RoutePrefix(runtime("/")).error(), "a prefix must not end with '/'");
  EXPECT_STREQ(RoutePrefix(runtime("/<id>")).error(), "a prefix must not have components");
  EXPECT_STREQ(RoutePrefix(runtime("api")).error(), "the pattern must begin with '/'");
}

// ---- Patterns known at run time get the same check as others at compile time ---------------------------

namespace {

template <typename... Args>
PatternError check(std::string_view pattern) {
  using Traits = HandlerTraits<void (*)(Request&, Args...)>;
  const RoutePattern<void (*)(Request&, Args...)> checked(runtime(pattern));
  const PatternError error = check_pattern(pattern, Traits::kArgTypes, Traits::kArgs);
  EXPECT_EQ(checked.error() == nullptr, error == PatternError::none);
  EXPECT_EQ(checked.text(), pattern);
  EXPECT_TRUE(checked.is_runtime());
  return error;
}

}  // namespace

TEST(Check, TellsEveryMistakeByItsName) {
  using enum PatternError;
  EXPECT_EQ(check<>(""), pattern_must_begin_with_a_slash);
  EXPECT_EQ(check<S>("<id>"), pattern_must_begin_with_a_slash);
  EXPECT_EQ(check<S>("/users/<foo/bar"), pattern_has_an_opening_bracket_without_its_closing_one);
  EXPECT_EQ(check<S>("/<"), pattern_has_an_opening_bracket_without_its_closing_one);
  EXPECT_EQ(check<S>("/<<id>>"), pattern_has_an_opening_bracket_without_its_closing_one);
  EXPECT_EQ(check<S>("/<re:a<b:id>"), pattern_has_an_opening_bracket_without_its_closing_one);
  EXPECT_EQ(check<S>("/id>"), pattern_has_a_closing_bracket_without_its_opening_one);
  EXPECT_EQ(check<S>("/<id>>"), pattern_has_a_closing_bracket_without_its_opening_one);
  EXPECT_EQ(check<S>("/u<id>"), component_must_fill_its_whole_segment);
  EXPECT_EQ(check<S>("/<id>.html"), component_must_fill_its_whole_segment);
  EXPECT_EQ((check<S, S>("/<a><b>")), component_must_fill_its_whole_segment);
  EXPECT_EQ(check<S>("/<>"), component_has_no_name);
  EXPECT_EQ(check<S>("/<string:>"), component_has_no_name);
  EXPECT_EQ(check<S>("/<user-id>"), component_name_must_be_letters_digits_and_underscores);
  EXPECT_EQ((check<S, S>("/<a>/<a>")), component_name_is_used_twice);
  EXPECT_EQ(check<S>("/<:id>"), component_has_no_type_before_its_colon);
  EXPECT_EQ(check<S>("/users/<badtype:id>"), component_has_an_unknown_type);
  EXPECT_EQ(check<S>("/<hex:id>"), component_has_an_unknown_type);
  EXPECT_EQ(check<S>("/<Int:id>"), component_has_an_unknown_type);
  EXPECT_EQ(check<S>("/<re:id>"), component_of_type_re_needs_a_regular_expression);
  EXPECT_EQ(check<S>("/<re::id>"), component_of_type_re_needs_a_regular_expression);
  EXPECT_EQ(check<S>("/<path:p>/foo"), component_of_type_path_must_be_last);
  EXPECT_EQ(check<S>("/<path:p>/"), component_of_type_path_must_be_last);
  EXPECT_EQ((check<S, S, S, S, S, S, S, S>("/<a>/<b>/<c>/<d>/<e>/<f>/<g>/<h>/<i>")),
            pattern_has_too_many_components);
  EXPECT_EQ(check<>("/<a>"), handler_takes_fewer_arguments_than_the_pattern_has_components);
  EXPECT_EQ(check<S>("/a"), handler_takes_more_arguments_than_the_pattern_has_components);
  EXPECT_EQ(check<S>("/<int:id>"), component_of_type_int_needs_an_integer_argument);
  EXPECT_EQ(check<Hex>("/<int:id>"), component_of_type_int_needs_an_integer_argument);
  for (const char* pattern : {"/<id>", "/<string:id>", "/<path:id>", "/<re:[0-9]+:id>"}) {
    EXPECT_EQ(check<int>(pattern), component_of_text_needs_a_string_view_or_string_argument) << pattern;
  }
  EXPECT_EQ((check<int, Hex>("/<hex:a>/<int:b>")), component_of_a_custom_type_needs_an_argument_of_that_type);
  EXPECT_EQ(check<>("/a?b"), pattern_must_not_have_a_query_or_fragment);
  EXPECT_EQ(check<>("/a#b"), pattern_must_not_have_a_query_or_fragment);
  EXPECT_EQ(check<>("/a b"), pattern_must_not_have_spaces_or_control_characters);
  EXPECT_EQ(check<>("/a\n"), pattern_must_not_have_spaces_or_control_characters);
  EXPECT_EQ(check<>(std::string_view("/a\0", 3)), pattern_must_not_have_spaces_or_control_characters);
  EXPECT_EQ(check<>("/a%"), pattern_has_a_percent_sign_without_two_hexadecimal_digits);
  EXPECT_EQ(check<>("/a%4"), pattern_has_a_percent_sign_without_two_hexadecimal_digits);
  EXPECT_EQ(check<>("/a%4x"), pattern_has_a_percent_sign_without_two_hexadecimal_digits);
}

TEST(Check, WhatIsRight) {
  using enum PatternError;
  EXPECT_EQ(check<>("/"), none);
  EXPECT_EQ(check<>("//"), none);
  EXPECT_EQ(check<>("/~user/@me/a:b;c=d,e!$&'()*+"), none);
  EXPECT_EQ(check<S>("/<_a1>/"), none);
  EXPECT_EQ((check<int, Hex>("/<int:a>/<hex:b>")), none);
  EXPECT_EQ(check<S>("/<re:(?P<word>[a-z /?#%]+|x:y):id>/x"), none);
}

TEST(Check, EveryErrorHasWords) {
  EXPECT_EQ(pattern_error_text(PatternError::none), nullptr);
  const auto last = static_cast<int>(PatternError::prefix_must_not_end_with_a_slash);
  for (int error = 1; error <= last; ++error) {
    EXPECT_NE(pattern_error_text(static_cast<PatternError>(error)), nullptr) << error;
  }
}

TEST(Check, ConstantsAreCheckedByTheCompiler) {
  constexpr std::string_view text = "/users/<int:id>";
  constexpr RoutePattern<void (*)(Request&, int)> pattern(text);
  static_assert(pattern.text() == text && pattern.error() == nullptr && !pattern.is_runtime());
}
