#include <gtest/gtest.h>

#include <array>
#include <string>

#include <microdot/http/range.hpp>

namespace microdot {
namespace {

std::string ranges(std::string_view field, std::uint64_t size, std::size_t room = 4) {
  std::array<ByteRange, 4> out;
  const RangeResult r = parse_range(field, size, std::span(out).first(room));
  if (r.outcome == RangeOutcome::whole) return "whole";
  if (r.outcome == RangeOutcome::unsatisfiable) return "416";
  std::string text;
  for (std::size_t i = 0; i < r.count; ++i) {
    text += std::to_string(out[i].first) + "-" + std::to_string(out[i].last) + " ";
  }
  return text;
}

TEST(Range, Reads) {  // RFC 9110 14.1.2
  EXPECT_EQ(ranges("bytes=0-499", 10000), "0-499 ");
  EXPECT_EQ(ranges("bytes=-500", 10000), "9500-9999 ");
  EXPECT_EQ(ranges("bytes=9500-", 10000), "9500-9999 ");
  EXPECT_EQ(ranges("bytes=0-0,-1", 10000), "0-0 9999-9999 ");
  EXPECT_EQ(ranges("bytes= 500-600 , 601-999 ,", 10000), "500-600 601-999 ");
  EXPECT_EQ(ranges("Bytes=5-5", 10), "5-5 ");
  EXPECT_EQ(ranges("bytes=5-2000", 10), "5-9 ");
  EXPECT_EQ(ranges("bytes=-2000", 10), "0-9 ");
  EXPECT_EQ(ranges("bytes=9-", 10), "9-9 ");
  EXPECT_EQ(ranges("bytes=5-6,1-2", 10), "5-6 1-2 ");
  EXPECT_EQ(ranges("bytes=0-99999999999999999999999", 10), "0-9 ");
}

TEST(Range, WhatLiesBeyondTheEnd) {
  EXPECT_EQ(ranges("bytes=10-", 10), "416");
  EXPECT_EQ(ranges("bytes=10-20,30-40", 10), "416");
  EXPECT_EQ(ranges("bytes=-0", 10), "416");
  EXPECT_EQ(ranges("bytes=99999999999999999999999-", 10), "416");
  EXPECT_EQ(ranges("bytes=5-6,20-30", 10), "5-6 ");
  EXPECT_EQ(ranges("bytes=0-", 0), "416");
  EXPECT_EQ(ranges("bytes=-5", 0), "whole");
}

TEST(Range, IgnoresWhatIsNoRange) {
  for (const char* bad : {"", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=5", "bytes=5-4", "bytes=a-b",
                          "bytes=1-2x", "bytes=1--2", "bytes=+1-2", "bytes 1-2", "items=1-2", "bytes=1-2,x",
                          "bytes=0x1-2", "bytes=1-2-3", "bytes=1- 2", "bytes=1-2;3-4", "bytes = 1-2"}) {
    EXPECT_EQ(ranges(bad, 100), "whole") << bad;
  }
}

TEST(Range, IgnoresAttacks) {  // RFC 9110 17.15
  EXPECT_EQ(ranges("bytes=0-5,5-9", 100), "whole") << "overlap";
  EXPECT_EQ(ranges("bytes=0-,0-,0-", 100), "whole");
  EXPECT_EQ(ranges("bytes=0-0,2-2,4-4,6-6", 100), "0-0 2-2 4-4 6-6 ");
  EXPECT_EQ(ranges("bytes=0-0,2-2,4-4,6-6,8-8", 100), "whole") << "too many";
  EXPECT_EQ(ranges("bytes=0-0", 100, 0), "whole");
}

TEST(ContentRange, Writes) {
  std::array<char, kMaxContentRange> out;
  EXPECT_EQ(write_content_range({0, 499}, 1234, out), "bytes 0-499/1234");
  EXPECT_EQ(write_unsatisfied_range(1234, out), "bytes */1234");
  EXPECT_EQ(write_content_range({UINT64_MAX - 1, UINT64_MAX - 1}, UINT64_MAX, out),
            "bytes 18446744073709551614-18446744073709551614/18446744073709551615");
  EXPECT_EQ((ByteRange{5, 9}.size()), 5U);
}

}  // namespace
}  // namespace microdot
