#include <gtest/gtest.h>

#include <array>
#include <string>

#include <microdot/http/cookie.hpp>

namespace microdot {
namespace {

std::string all(std::string_view field) {
  std::string text;
  for (const auto& [name, value] : Cookies(field)) text.append(name).append("=").append(value).append("|");
  return text;
}

TEST(Cookies, Parses) {  // RFC 6265 4.2, 5.4
  EXPECT_EQ(all(""), "");
  EXPECT_EQ(all("a=1"), "a=1|");
  EXPECT_EQ(all("a=1; b=2;c=3 ;  d = 4"), "a=1|b=2|c=3|d=4|");
  EXPECT_EQ(all("a=\"x y\"; b=\"; c=\"\""), "a=x y|b=\"|c=|");
  EXPECT_EQ(all("a=b=c; d=; =e; f; ;;"), "a=b=c|d=|");
  const Cookies cookies("sid=long; SID=other; sid=short");
  EXPECT_EQ(cookies["sid"], "long");
  EXPECT_EQ(cookies["SID"], "other");
  EXPECT_EQ(cookies["id"], "");
  EXPECT_EQ(cookies.get("id", "none"), "none");
  EXPECT_TRUE(cookies.contains("SID"));
  EXPECT_FALSE(cookies.contains(""));
  EXPECT_EQ(Cookies()["a"], "");
}

std::string set_cookie(std::string_view name, std::string_view value, const CookieOptions& options = {}) {
  std::array<char, 300> out;
  const auto r = write_set_cookie(name, value, options, out);
  return r ? std::string(*r) : "error: " + std::string(to_string(r.error()));
}

TEST(SetCookie, WritesAttributes) {  // RFC 6265 4.1
  EXPECT_EQ(set_cookie("a", "b"), "a=b");
  EXPECT_EQ(set_cookie("a", ""), "a=");
  EXPECT_EQ(
      set_cookie("a", "b",
                 {.path = "/p",
                  .domain = "x.org",
                  .expires = 784111777,
                  .max_age = 60,
                  .secure = true,
                  .http_only = true,
                  .partitioned = true,
                  .same_site = SameSite::none}),
      "a=b; Path=/p; Domain=x.org; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=60; Secure; HttpOnly; "
      "SameSite=None; Partitioned");
  EXPECT_EQ(set_cookie("a", "b", {.expires = "Wed, 21 Oct 2026 07:28:00 GMT"}),
            "a=b; Expires=Wed, 21 Oct 2026 07:28:00 GMT");
  EXPECT_EQ(set_cookie("a", "b", {.max_age = -5, .same_site = SameSite::lax}),
            "a=b; Max-Age=0; SameSite=Lax");
  EXPECT_EQ(set_cookie("a", "b", {.same_site = SameSite::strict}), "a=b; SameSite=Strict");
  EXPECT_EQ(set_cookie("a", "", delete_cookie_options({.path = "/"})),
            "a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0");
}

TEST(SetCookie, RefusesInjection) {
  const std::string invalid = "error: " + std::string(to_string(Error::invalid));
  for (const char* bad : {"a;b", "a\r\nX: y", "a\n", "a\r", "a\x01", "a\x7f", "a\tb"}) {
    EXPECT_EQ(set_cookie(bad, "v"), invalid);
    EXPECT_EQ(set_cookie("n", bad), invalid);
    EXPECT_EQ(set_cookie("n", "v", {.path = bad}), invalid);
    EXPECT_EQ(set_cookie("n", "v", {.domain = bad}), invalid);
    EXPECT_EQ(set_cookie("n", "v", {.expires = bad}), invalid);
  }
  EXPECT_EQ(set_cookie("n", std::string_view("a\0b", 3)), invalid);
  EXPECT_EQ(set_cookie("", "v"), invalid);
  EXPECT_EQ(set_cookie("a=b", "v"), invalid);
  EXPECT_EQ(set_cookie("a b", "v"), invalid);
}

TEST(SetCookie, KeepsToItsRoom) {
  std::array<char, 10> out;
  EXPECT_EQ(write_set_cookie("a", "12345678", {}, out).value(), "a=12345678");
  EXPECT_EQ(write_set_cookie("a", "123456789", {}, out).error(), Error::too_large);
  EXPECT_EQ(write_set_cookie("a", "1", {.path = "/long", .secure = true}, out).error(), Error::too_large);
}

}  // namespace
}  // namespace microdot
