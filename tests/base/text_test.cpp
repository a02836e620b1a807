#include <microdot/base/text.hpp>

#include <gtest/gtest.h>

#include <cstdint>

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

}  // namespace
