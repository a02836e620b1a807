#include <microdot/base/text.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace {

using namespace microdot;

TEST(FixedText, BuildsALine) {
  FixedText<40> line;
  line.append("port ").append(5000).append(',').append(' ').append(-1).append(std::uint8_t{7});
  EXPECT_EQ(line.view(), "port 5000, -17");
  line.clear();
  EXPECT_EQ(line.view(), "");
}

TEST(FixedText, CutsTextAndLeavesOutNumbersThatDoNotFit) {
  FixedText<8> line;
  line.append("abcdef").append(12345);
  EXPECT_EQ(line.view(), "abcdef");
  line.append("ghijk").append("more").append('x').append(1);
  EXPECT_EQ(line.view(), "abcdefgh");
}

TEST(SameBytes, SeesADifferenceAtAnyPlaceOfAnyLength) {
  const std::string text = "0123456789abcdefghijklmnop";
  for (std::size_t size = 0; size <= text.size(); ++size) {
    std::string other = text.substr(0, size) + "behind";
    EXPECT_TRUE(same_bytes(text.data(), other.data(), size)) << size;
    for (std::size_t at = 0; at < size; ++at) {
      other[at] ^= 1;
      EXPECT_FALSE(same_bytes(text.data(), other.data(), size)) << size << ", " << at;
      other[at] ^= 1;
    }
  }
}

}  // namespace
