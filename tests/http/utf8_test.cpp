#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include <microdot/http/utf8.hpp>

namespace microdot {
namespace {

std::string encode(std::uint32_t c) {
  const auto tail = [c](int shift) { return static_cast<char>(0x80 | (c >> shift & 0x3f)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xc0 | c >> 6), tail(0)};
  if (c < 0x10000) return {static_cast<char>(0xe0 | c >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xf0 | c >> 18), tail(12), tail(6), tail(0)};
}

// The first byte that cannot be, as one piece; the same cut in two everywhere.
std::size_t first_bad(const std::string& text) {
  Utf8Validator whole;
  const std::size_t bad = whole.check(text);
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    Utf8Validator pieces;
    std::size_t at = pieces.check(std::string_view(text).substr(0, cut));
    if (at == cut) at += pieces.check(std::string_view(text).substr(cut));
    EXPECT_EQ(at, bad) << cut;
    if (bad == text.size()) {
      EXPECT_EQ(pieces.complete(), whole.complete());
    }
  }
  return bad;
}

TEST(Utf8Validator, EveryCodePointButSurrogates) {  // RFC 3629 3
  for (std::uint32_t c = 0; c < 0x120000; ++c) {
    const bool valid = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
    ASSERT_EQ(is_utf8(encode(c)), valid) << std::hex << c;
  }
}

TEST(Utf8Validator, StopsAtTheFirstByteThatCannotBe) {  // RFC 3629 4
  for (const auto& [text, bad] : {std::pair<std::string, std::size_t>{"\x80", 0},
                                  {"a\xbf", 1},
                                  {"\xc0\x80", 0},          // overlong
                                  {"\xc1\xbf", 0},          // overlong
                                  {"\xe0\x9f\xbf", 1},      // overlong
                                  {"\xf0\x8f\xbf\xbf", 1},  // overlong
                                  {"\xed\xa0\x80", 1},      // U+D800
                                  {"\xed\xbf\xbf", 1},      // U+DFFF
                                  {"\xf4\x90\x80\x80", 1},  // U+110000
                                  {"\xf5\x80\x80\x80", 0},
                                  {"\xfe", 0},
                                  {"\xff", 0},
                                  {"\xc3(", 1},
                                  {"\xe2\x82(", 2},
                                  {"\xf0\x9f\x98\xff", 3},
                                  {"\xc3\xc3\xa4", 1},
                                  {std::string(20, ' ') + "\x80" + std::string(20, ' '), 20},
                                  {std::string(40, 'a') + "\xc3\xa4" + std::string(9, 'b') + "\x80", 51}}) {
    EXPECT_EQ(first_bad(text), bad) << testing::PrintToString(text);
    EXPECT_FALSE(is_utf8(text));
  }
  const std::string good =
      std::string(17, 'a') + "κόσμε \xf0\x9f\x98\x80" + std::string(17, 'b') + "\xf4\x8f\xbf\xbf";
  EXPECT_EQ(first_bad(good), good.size());
  EXPECT_TRUE(is_utf8(good));
  EXPECT_TRUE(is_utf8(""));
}

TEST(Utf8Validator, IsIncompleteInsideACodePoint) {
  for (const char* text : {"\xc3", "\xe2", "\xe2\x82", "\xf0\x9f\x98", "abcdefghi\xf0"}) {
    EXPECT_EQ(first_bad(text), std::string(text).size());
    EXPECT_FALSE(is_utf8(text)) << text;
  }
  Utf8Validator validator;
  EXPECT_EQ(validator.check("\xe0"), 1U);
  validator.reset();
  EXPECT_EQ(validator.check("a"), 1U);
  EXPECT_TRUE(validator.complete());
}

}  // namespace
}  // namespace microdot
