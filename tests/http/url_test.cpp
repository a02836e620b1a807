#include <gtest/gtest.h>

#include <array>
#include <string>

#include <microdot/http/url.hpp>

namespace microdot {
namespace {

std::string decoded(std::string_view text, bool plus = false) {
  std::string out(text.size(), '\0');
  const auto r = percent_decode(text, out, plus);
  return r ? std::string(*r) : "error: " + std::string(to_string(r.error()));
}

TEST(PercentDecode, DecodesStrictly) {  // RFC 3986 2.1
  EXPECT_EQ(decoded("a%20b%2Fc%2f"), "a b/c/");
  EXPECT_EQ(decoded("%41%c3%A4"), "A\xc3\xa4");
  EXPECT_EQ(decoded("%00"), std::string(1, '\0'));
  EXPECT_EQ(decoded("a+b"), "a+b");
  EXPECT_EQ(decoded("a+b%2B", true), "a b+");
  EXPECT_EQ(decoded("%2541"), "%41") << "once only";
  EXPECT_EQ(decoded(""), "");
  for (const char* bad : {"%", "%4", "%4g", "%g4", "a%", "%%41", "% 41", "%-1", "%0x"}) {
    EXPECT_EQ(decoded(bad), "error: " + std::string(to_string(Error::invalid))) << bad;
  }
}

TEST(PercentDecode, WorksInPlaceAndNeverPastItsRoom) {
  std::string text = "%41b%43d";
  const auto r = percent_decode(text, text);
  ASSERT_TRUE(r);
  EXPECT_EQ(*r, "AbCd");
  EXPECT_EQ(r->data(), text.data());
  std::array<char, 2> two{};
  EXPECT_EQ(percent_decode("%41%42", two).value(), "AB");
  EXPECT_EQ(percent_decode("ABC", two).error(), Error::too_large);
}

TEST(PercentEncode, KeepsUnreservedOnly) {  // RFC 3986 2.3
  std::array<char, 100> out{};
  EXPECT_EQ(*percent_encode("azAZ09-._~", out), "azAZ09-._~");
  EXPECT_EQ(*percent_encode("a b/\xc3\xa4?&=+%", out), "a%20b%2F%C3%A4%3F%26%3D%2B%25");
  EXPECT_EQ(*percent_encode("a/b c", out, "/"), "a/b%20c");
  EXPECT_EQ(percent_encode("ab ", std::span(out).first(4)).error(), Error::too_large);
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  std::string encoded(3 * all.size(), '\0');
  EXPECT_EQ(decoded(*percent_encode(all, encoded)), all);
}

TEST(DecodedEquals, ComparesWithoutACopy) {
  EXPECT_TRUE(decoded_equals("", ""));
  EXPECT_TRUE(decoded_equals("abc", "abc"));
  EXPECT_TRUE(decoded_equals("%61b%63", "abc"));
  EXPECT_TRUE(decoded_equals("%C3%a4", "\xc3\xa4"));
  EXPECT_TRUE(decoded_equals("\xc3\xa4", "\xc3\xa4"));
  EXPECT_FALSE(decoded_equals("ab", "abc"));
  EXPECT_FALSE(decoded_equals("abcd", "abc"));
  EXPECT_FALSE(decoded_equals("Abc", "abc"));
  EXPECT_FALSE(decoded_equals("a%", "a%"));
  EXPECT_FALSE(decoded_equals("%zz", "%zz"));
  EXPECT_FALSE(decoded_equals("%6", "a"));
}

TEST(LocalPath, StaysBelowItsDirectory) {
  for (const char* good : {"a", "a/b.txt", ".well-known/x", "a/./b", "...", "a..b", "..a", "a..", "a../b",
                           "a/...", ".../a", "a//b", "\xc3\xa4", "a b"}) {
    EXPECT_TRUE(is_local_path(good)) << good;
  }
  for (const char* bad : {"", "/", "/etc/passwd", "..", "../a", "a/..", "a/../b", "a/b/../../..", "a//..",
                          "./..", "a\\b", "..\\a", "C:x", "a:stream", "a\x01", "a\x7f"}) {
    EXPECT_FALSE(is_local_path(bad)) << bad;
  }
  EXPECT_FALSE(is_local_path(std::string_view("a\0b", 3)));
}

TEST(Paths, FilenameAndExtension) {
  EXPECT_EQ(path_filename("a/b/c.txt"), "c.txt");
  EXPECT_EQ(path_filename("c"), "c");
  EXPECT_EQ(path_filename("a/"), "");
  EXPECT_EQ(path_extension("a.b/c.tar.gz"), "gz");
  EXPECT_EQ(path_extension("a.b/c"), "");
  EXPECT_EQ(path_extension("a/.profile"), "");
  EXPECT_EQ(path_extension("a."), "");
  EXPECT_EQ(path_extension("a/b.c/"), "");
  EXPECT_EQ(path_extension("..a"), "a");
  EXPECT_EQ(path_extension("a/.b.c"), "c");
  EXPECT_EQ(path_extension("a/."), "");
  EXPECT_EQ(path_extension("."), "");
  EXPECT_EQ(path_extension(""), "");
}

}  // namespace
}  // namespace microdot
