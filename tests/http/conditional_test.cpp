#include <gtest/gtest.h>

#include <array>
#include <string>

#include <microdot/http/conditional.hpp>
#include <microdot/http/date.hpp>
#include <microdot/http/etag.hpp>
#include <microdot/http/request_parser.hpp>

namespace microdot {
namespace {

constexpr std::int64_t kChanged = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT
constexpr std::int64_t kNow = 1735689600;
const std::string kSame = "Sun, 06 Nov 1994 08:49:37 GMT";
const std::string kBefore = "Sun, 06 Nov 1994 08:49:36 GMT";
const std::string kAfter = "Sun, 06 Nov 1994 08:49:38 GMT";

// A request with these header lines.
struct Request {
  explicit Request(const std::string& lines)
      : text("GET / HTTP/1.1\r\nHost: x\r\n" + lines + "\r\n"), parser(fields) {
    EXPECT_EQ(parser.parse(text), ParseStatus::complete) << text;
  }
  std::string text;
  std::array<HeaderField, 16> fields;
  RequestParser parser;
};

const Validators kFile{.etag = "\"v1\"", .last_modified = kChanged};

Precondition evaluate(const std::string& lines, Method method = Method::get,
                      const Validators& validators = kFile) {
  return evaluate_preconditions(method, Request(lines).parser.headers(), validators, kNow);
}

TEST(Etag, FromAFile) {
  std::array<char, kMaxEtag> out;
  EXPECT_EQ(write_etag(0x1234abcd, 255, out), "\"1234abcd-ff\"");
  EXPECT_EQ(write_etag(-1, UINT64_MAX, out), "\"ffffffffffffffff-ffffffffffffffff\"");
  EXPECT_TRUE(is_valid_etag(write_etag(0, 0, out)));
}

TEST(Etag, Syntax) {  // RFC 9110 8.8.3
  for (const char* good : {"\"\"", "\"a\"", "W/\"a\"", "\"a,b\"", "\"\xc3\xa4\"", "\"\\\""}) {
    EXPECT_TRUE(is_valid_etag(good)) << good;
  }
  for (const char* bad : {"", "a", "\"", "\"a", "a\"", "w/\"a\"", "W/", "W/a", "W \"a\"", "\"a b\"", "\"a\"b",
                          "\"a\"\"", "*"}) {
    EXPECT_FALSE(is_valid_etag(bad)) << bad;
  }
}

TEST(Etag, Comparison) {  // the table of RFC 9110 8.8.3.2
  auto check = [](const char* a, const char* b, bool strong, bool weak) {
    EXPECT_EQ(etags_equal_strong(a, b), strong) << a << b;
    EXPECT_EQ(etags_equal_weak(a, b), weak) << a << b;
  };
  check("W/\"1\"", "W/\"1\"", false, true);
  check("W/\"1\"", "W/\"2\"", false, false);
  check("W/\"1\"", "\"1\"", false, true);
  check("\"1\"", "\"1\"", true, true);
  check("", "", false, false);
}

TEST(Etag, Lists) {
  auto has = [](const char* list) { return etag_in_list(list, "\"b\"", EtagComparison::weak); };
  EXPECT_TRUE(has("\"b\""));
  EXPECT_TRUE(has("\"a\", \"b\""));
  EXPECT_TRUE(has(" ,\"a\" ,, W/\"b\","));
  EXPECT_TRUE(has("\"a,\",\"b\""));
  EXPECT_FALSE(has("\"a, \"b\""));
  EXPECT_FALSE(has("\"a\" \"b\""));
  EXPECT_FALSE(has("b"));
  EXPECT_FALSE(has(""));
  EXPECT_FALSE(etag_in_list("W/\"b\"", "\"b\"", EtagComparison::strong));
  EXPECT_FALSE(etag_in_list("\"a\"", "", EtagComparison::weak));
}

TEST(Preconditions, None) { EXPECT_EQ(evaluate(""), Precondition::proceed); }

TEST(Preconditions, IfNoneMatch) {  // RFC 9110 13.1.2
  EXPECT_EQ(evaluate("If-None-Match: \"v1\"\r\n"), Precondition::not_modified);
  EXPECT_EQ(evaluate("If-None-Match: W/\"v1\"\r\n"), Precondition::not_modified);
  EXPECT_EQ(evaluate("If-None-Match: \"v0\", \"v1\"\r\n", Method::head), Precondition::not_modified);
  EXPECT_EQ(evaluate("If-None-Match: \"v0\"\r\nIf-None-Match: \"v1\"\r\n"), Precondition::not_modified);
  EXPECT_EQ(evaluate("If-None-Match: *\r\n"), Precondition::not_modified);
  EXPECT_EQ(evaluate("If-None-Match: \"v2\"\r\n"), Precondition::proceed);
  EXPECT_EQ(evaluate("If-None-Match: \"v1\"\r\n", Method::put), Precondition::failed);
  EXPECT_EQ(evaluate("If-None-Match: *\r\n", Method::put), Precondition::failed);
  EXPECT_EQ(evaluate("If-None-Match: *\r\n", Method::put, {.exists = false}), Precondition::proceed);
}

TEST(Preconditions, IfModifiedSince) {  // RFC 9110 13.1.3
  EXPECT_EQ(evaluate("If-Modified-Since: " + kSame + "\r\n"), Precondition::not_modified);
  EXPECT_EQ(evaluate("If-Modified-Since: " + kAfter + "\r\n"), Precondition::not_modified);
  EXPECT_EQ(evaluate("If-Modified-Since: " + kBefore + "\r\n"), Precondition::proceed);
  EXPECT_EQ(evaluate("If-Modified-Since: yesterday\r\n"), Precondition::proceed);
  EXPECT_EQ(evaluate("If-Modified-Since: " + kSame + "\r\n", Method::post), Precondition::proceed);
  EXPECT_EQ(evaluate("If-Modified-Since: " + kSame + "\r\n", Method::get, {.etag = "\"v1\""}),
            Precondition::proceed);
  EXPECT_EQ(evaluate("If-Modified-Since: " + kSame + "\r\nIf-None-Match: \"v2\"\r\n"), Precondition::proceed)
      << "ignored beside If-None-Match";
}

TEST(Preconditions, IfMatch) {  // RFC 9110 13.1.1
  EXPECT_EQ(evaluate("If-Match: \"v1\"\r\n", Method::put), Precondition::proceed);
  EXPECT_EQ(evaluate("If-Match: *\r\n", Method::put), Precondition::proceed);
  EXPECT_EQ(evaluate("If-Match: *\r\n", Method::put, {.exists = false}), Precondition::failed);
  EXPECT_EQ(evaluate("If-Match: W/\"v1\"\r\n", Method::put), Precondition::failed);
  EXPECT_EQ(evaluate("If-Match: \"v2\"\r\n"), Precondition::failed);
  EXPECT_EQ(evaluate("If-Match: \"v2\"\r\nIf-None-Match: \"v1\"\r\n"), Precondition::failed)
      << "If-Match first";
  EXPECT_EQ(evaluate("If-Match: \"v1\"\r\nIf-None-Match: \"v1\"\r\n"), Precondition::not_modified);
}

TEST(Preconditions, IfUnmodifiedSince) {  // RFC 9110 13.1.4
  EXPECT_EQ(evaluate("If-Unmodified-Since: " + kSame + "\r\n", Method::put), Precondition::proceed);
  EXPECT_EQ(evaluate("If-Unmodified-Since: " + kBefore + "\r\n", Method::put), Precondition::failed);
  EXPECT_EQ(evaluate("If-Unmodified-Since: never\r\n", Method::put), Precondition::proceed);
  EXPECT_EQ(evaluate("If-Match: \"v1\"\r\nIf-Unmodified-Since: " + kBefore + "\r\n", Method::put),
            Precondition::proceed)
      << "ignored beside If-Match";
}

TEST(IfRange, NeedsTheExactRepresentation) {  // RFC 9110 13.1.5
  auto range = [](const std::string& lines, Method method = Method::get) {
    const Request request(lines);
    return std::string(applicable_range(method, request.parser.headers(), kFile, kNow));
  };
  const std::string field = "Range: bytes=1-2\r\n";
  EXPECT_EQ(range(field), "bytes=1-2");
  EXPECT_EQ(range(""), "");
  EXPECT_EQ(range(field, Method::head), "");
  EXPECT_EQ(range(field + field), "");
  EXPECT_EQ(range(field + "If-Range: \"v1\"\r\n"), "bytes=1-2");
  EXPECT_EQ(range(field + "If-Range: \"v2\"\r\n"), "");
  EXPECT_EQ(range(field + "If-Range: W/\"v1\"\r\n"), "");
  EXPECT_EQ(range(field + "If-Range: " + kSame + "\r\n"), "bytes=1-2");
  EXPECT_EQ(range(field + "If-Range: " + kAfter + "\r\n"), "");
  EXPECT_EQ(range(field + "If-Range: " + kBefore + "\r\n"), "");
  EXPECT_EQ(range(field + "If-Range: x\r\n"), "");
}

}  // namespace
}  // namespace microdot
