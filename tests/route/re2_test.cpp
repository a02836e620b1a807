#if defined(MICRODOT_TEST_RE2)  // where microdot::re2 is built
#include <microdot/ext/re2.hpp>

#include <cstdlib>
#include <new>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

using namespace microdot;

static std::size_t allocations = 0;

// Not inlined: GCC takes an inlined pair for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

/// Takes RE2 away for a scope, as in a program that does not link it.
struct WithoutEngine {
  WithoutEngine() { set_regex_engine(nullptr); }
  ~WithoutEngine() { set_regex_engine(&re2_engine()); }
};

bool matches(std::string_view pattern, std::string_view path) {
  RouteRegex regex;
  EXPECT_STREQ(regex.compile(pattern), nullptr) << pattern;
  PathArgs args;
  return match_path(pattern, path, args) && regex.matches(args);
}

}  // namespace

TEST(Regex, MatchesTheWholeOfOneSegment) {
  const char* pattern = "/users/<re:[a-c]+:id>";
  EXPECT_TRUE(matches(pattern, "/users/ab"));
  EXPECT_TRUE(matches(pattern, "/users/bca"));
  for (const char* path : {"/users", "/users/", "/users/abcd", "/users/abcdx", "/users/dab", "/users/a/b"}) {
    EXPECT_FALSE(matches(pattern, path)) << path;
  }
  EXPECT_FALSE(matches("/<re:.*:all>", "/a/b"));
  EXPECT_TRUE(matches("/<re:a|bc:x>", "/bc"));
  EXPECT_FALSE(matches("/<re:a|bc:x>", "/ac"));  // the alternatives stay inside
  EXPECT_FALSE(matches("/<re:a:x>", "/a\n"));
}

TEST(Regex, EachComponentHasItsOwn) {
  const char* pattern = "/<name>/<re:[0-9]{2}:a>/<int:n>/<re:(?P<word>[x-z]+):b>/end";
  EXPECT_TRUE(matches(pattern, "/any/12/7/xyz/end"));
  EXPECT_FALSE(matches(pattern, "/any/xyz/7/12/end"));
  EXPECT_FALSE(matches(pattern, "/any/12/7/abc/end"));
  EXPECT_FALSE(matches(pattern, "/any/123/7/xyz/end"));
}

TEST(Regex, TimeIsLinearInThePath) {
  // A backtracking engine needs 2^50 steps for this one.
  EXPECT_FALSE(matches("/<re:(a+)+b:x>", "/" + std::string(50000, 'a')));
}

TEST(Regex, OnePassExpressionsMatchWithoutTheHeap) {
  for (const char* pattern :
       {"/<re:[a-c]+:x>", "/<re:[0-9]{4}-[0-9]{2}:x>", "/<re:v[0-9]+(beta)?:x>", "/<re:a|bc:x>"}) {
    RouteRegex regex;
    ASSERT_EQ(regex.compile(pattern), nullptr) << pattern;
    for (const char* path :
         {"/abcabcabcabcabcabcabc", "/2026-11", "/v12beta", "/bc", "/nothing that matches"}) {
      PathArgs args;
      ASSERT_TRUE(match_path(pattern, path, args));
      const std::size_t before = allocations;
      static_cast<void>(regex.matches(args));
      EXPECT_EQ(allocations, before) << pattern << " " << path;
    }
  }
  EXPECT_GT(allocations, 0U);
}

TEST(Regex, BytesThatAreNoTextMatchNothing) {
  EXPECT_FALSE(matches("/<re:.+:x>", "/\xff\xfe"));
  EXPECT_TRUE(matches("/<re:.+:x>", "/caf\xc3\xa9"));
}

TEST(Regex, BadExpressionsSaySo) {
  for (const char* pattern : {"/<re:[a-:id>", "/<re:a(b:id>", "/<re:a)(b:id>", "/<re:*a:id>",
                              "/<re:(a)\\1:id>", "/<ok>/<re:[z-a]:id>", "/<re:((a{1000}){1000}){1000}:id>"}) {
    RouteRegex regex;
    const char* reason = regex.compile(pattern);
    ASSERT_NE(reason, nullptr) << pattern;
    EXPECT_TRUE(std::string_view(reason).starts_with("bad regular expression: ")) << reason;
    EXPECT_GT(std::string_view(reason).size(), std::string_view("bad regular expression: ").size())
        << pattern;
  }
}

TEST(Regex, ExpressionsTooLargeForTheirBudgetAreRefused) {
  RouteRegex regex;
  const char* reason = regex.compile("/<re:\\pL{100}:id>");
  ASSERT_NE(reason, nullptr);
  EXPECT_NE(std::string_view(reason).find("too large"), std::string_view::npos) << reason;
}

TEST(Regex, WithoutAnEngineTheRouteSaysWhatItNeeds) {
  const WithoutEngine without;
  RouteRegex regex;
  const char* reason = regex.compile("/users/<re:[a-c]+:id>");
  ASSERT_NE(reason, nullptr);
  EXPECT_NE(std::string_view(reason).find("microdot::re2"), std::string_view::npos) << reason;
  EXPECT_EQ(RouteRegex().compile("/users/<id>"), nullptr);
}

TEST(Regex, OnlyPatternsWithAnExpressionNeedOne) {
  EXPECT_TRUE(pattern_needs_regex("/a/<re:[a-c]+:id>"));
  EXPECT_TRUE(pattern_needs_regex("/<int:n>/<re:x:id>/b"));
  EXPECT_FALSE(pattern_needs_regex("/"));
  EXPECT_FALSE(pattern_needs_regex("/re:x:id/<re>/<int:n>/<path:p>"));
}

TEST(Regex, MovesWithItsRoute) {
  RouteRegex first;
  ASSERT_EQ(first.compile("/<re:[a-c]+:id>"), nullptr);
  RouteRegex second(std::move(first));
  RouteRegex third;
  third = std::move(second);
  PathArgs args;
  ASSERT_TRUE(match_path("/<re:[a-c]+:id>", "/xyz", args));
  EXPECT_FALSE(third.matches(args));
  EXPECT_TRUE(RouteRegex().matches(args));
}
#endif
