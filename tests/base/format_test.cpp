#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <charconv>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <string>

#include <microdot/base/format.hpp>

namespace microdot {
namespace {

template <typename... Args>
std::string formatted(FormatString<Args...> format, const Args&... args) {
  std::string out(format_to({}, format, args...), '?');
  EXPECT_EQ(format_to(out, format, args...), out.size());
  return out;
}

template <typename... Args>
std::string printed(const char* format, Args... args) {
  char buffer[600];
  const int size = std::snprintf(buffer, sizeof buffer, format, args...);
  return {buffer, static_cast<std::size_t>(size)};
}

TEST(Format, TextAndBraces) {
  EXPECT_EQ(formatted(""), "");
  EXPECT_EQ(formatted("plain"), "plain");
  EXPECT_EQ(formatted("{{}}"), "{}");
  EXPECT_EQ(formatted("{{{}}}", 1), "{1}");
  EXPECT_EQ(formatted("}}{}{{", 1), "}1{");
  EXPECT_EQ(formatted("a{}b{}c", 1, 2), "a1b2c");
  EXPECT_EQ(formatted("{:}{}", 1, 2), "12");
  EXPECT_EQ(formatted(R"({{"t": {}, "on": {}}})", 21, true), R"({"t": 21, "on": true})");
  EXPECT_EQ(formatted("{} °C", 20), "20 °C");
}

TEST(Format, IntegersOfEveryType) {
  EXPECT_EQ(formatted("{}", INT64_MIN), "-9223372036854775808");
  EXPECT_EQ(formatted("{}", INT64_MAX), "9223372036854775807");
  EXPECT_EQ(formatted("{}", UINT64_MAX), "18446744073709551615");
  EXPECT_EQ(formatted("{} {}", std::int8_t{-128}, std::uint8_t{255}), "-128 255")
      << "numbers, not characters";
  EXPECT_EQ(formatted("{} {}", std::int16_t{-32768}, std::uint16_t{65535}), "-32768 65535");
  EXPECT_EQ(formatted("{} {}", INT_MIN, UINT_MAX), "-2147483648 4294967295");
  EXPECT_EQ(formatted("{} {} {} {}", -1L, 1UL, -1LL, 1ULL), "-1 1 -1 1");
  EXPECT_EQ(formatted("{}", sizeof(int)), "4");
  EXPECT_EQ(formatted("{:d}", 0), "0");
}

TEST(Format, IntegersInOtherBases) {
  EXPECT_EQ(formatted("{:x} {:X} {:o} {:b} {:d}", 48879, 48879, 8, 10, 7), "beef BEEF 10 1010 7");
  EXPECT_EQ(formatted("{:x} {:b}", -255, -5), "-ff -101") << "a sign, not the two's complement";
  EXPECT_EQ(formatted("{:x} {:o} {:b}", 0, 0, 0u), "0 0 0");
  EXPECT_EQ(formatted("{:b}", UINT64_MAX), std::string(64, '1'));
  EXPECT_EQ(formatted("{:b}", INT64_MIN), "-1" + std::string(63, '0'));
  EXPECT_EQ(formatted("{:x}", std::int8_t{-128}), "-80");
  for (const std::uint64_t value : {1ull, 7ull, 8ull, 1000000007ull, 0xfedcba9876543210ull}) {
    EXPECT_EQ(formatted("{:x}", value), printed("%llx", static_cast<unsigned long long>(value)));
    EXPECT_EQ(formatted("{:X}", value), printed("%llX", static_cast<unsigned long long>(value)));
    EXPECT_EQ(formatted("{:o}", value), printed("%llo", static_cast<unsigned long long>(value)));
  }
}

TEST(Format, WidthFillAndAlign) {
  EXPECT_EQ(formatted("{:5}|{:<5}|{:>5}|{:^5}", 42, 42, 42, 42), "   42|42   |   42| 42  ");
  EXPECT_EQ(formatted("{:5}|{:<5}|{:>5}|{:^6}", "ab", "ab", "ab", "ab"), "ab   |ab   |   ab|  ab  ");
  EXPECT_EQ(formatted("{:*^6}|{:0>2}|{:->4}", "c", 7, 1), "**c***|07|---1") << "the odd one goes right";
  EXPECT_EQ(formatted("{:02}:{:02}:{:02}", 7, 12, 123), "07:12:123");
  EXPECT_EQ(formatted("{:06}|{:06x}|{:04b}", -42, 255, 5), "-00042|0000ff|0101")
      << "zeros go behind the sign";
  EXPECT_EQ(formatted("{:<06}|{:>06}", -42, -42), "-42   |   -42") << "0 does nothing beside an align";
  EXPECT_EQ(formatted("{:1}{:0}", 1234, 5), "12345") << "width never cuts";
  EXPECT_EQ(formatted("{:<<3}{:>>3}{:^^3}", 1, 2, 3), "1<<>>2^3^");
  EXPECT_EQ(formatted("{: >3}{::>3}", 1, 2), "  1::2");
  EXPECT_EQ(formatted("{:1000}", 1), std::string(999, ' ') + "1");
  EXPECT_EQ(formatted("{:5}|{:5}|{:>6}", true, 'c', false), "true |c    | false");
}

TEST(Format, WidthCountsCodePoints) {
  EXPECT_EQ(formatted("{:>5}|", "äöü"), "  äöü|");
  EXPECT_EQ(formatted("{:<4}|", "°C"), "°C  |");
  EXPECT_EQ(formatted("{:·>4}{:─^3}{:😀<2}", 1, 2, 3), "···1─2─3😀") << "so may the fill be one";
  EXPECT_EQ(formatted("{:.2}", "äöü"), "äö");
  EXPECT_EQ(formatted("{:4.1}|", "😀😀"), "😀   |");
  EXPECT_EQ(formatted("{}", std::string_view("a\0b\xff", 4)), std::string("a\0b\xff", 4))
      << "bytes are not judged";
}

TEST(Format, BoolAndChar) {
  EXPECT_EQ(formatted("{} {} {:s}", true, false, true), "true false true");
  EXPECT_EQ(formatted("{:d} {:x} {:03}", true, false, 1), "1 0 001");
  EXPECT_EQ(formatted("{:02d}", true), "01");
  EXPECT_EQ(formatted("{}{:c}", 'a', 'b'), "ab");
  EXPECT_EQ(formatted("{:d} {:x} {:04d}", 'a', 'a', 'a'), "97 61 0097");
}

struct Named {
  operator std::string_view() const { return "named"; }
};

TEST(Format, Text) {
  const std::string text = "string";
  char array[8] = "array";
  char* pointer = array;
  EXPECT_EQ(formatted("{} {} {} {} {}", text, std::string_view("view"), array, pointer, Named()),
            "string view array array named");
  EXPECT_EQ(formatted("{:s}|{:.3}|{:.0}|{:.9}|{:5.2s}|{:>5.2}", "abc", "abcdef", "abc", "abc", "abc", "abc"),
            "abc|abc||abc|ab   |   ab");
  EXPECT_EQ(formatted("{}", std::string_view()), "");
  EXPECT_EQ(formatted("{:3}|", std::string_view()), "   |");
  EXPECT_EQ(formatted("{}", static_cast<const char*>(nullptr)), "(null)");
  EXPECT_EQ(formatted("{}", "{}"), "{}") << "arguments are not formats";
}

TEST(Format, Pointers) {
  int object = 0;
  void* pointer = &object;
  const void* constant = &object;
  EXPECT_EQ(formatted("{}", pointer), printed("%p", pointer));
  EXPECT_EQ(formatted("{:p}", constant), printed("%p", pointer));
  EXPECT_EQ(formatted("{} {:5}", nullptr, nullptr), "0x0   0x0");
}

TEST(Format, FloatsShortest) {  // std::format: std::to_chars without a precision
  EXPECT_EQ(formatted("{} {} {} {}", 21.5, 1.0, -0.0, 0.0), "21.5 1 -0 0");
  EXPECT_EQ(formatted("{} {}", 0.1, 0.1f), "0.1 0.1") << "a float is not widened first";
  EXPECT_EQ(formatted("{} {}", 1e300, 1e-7), "1e+300 1e-07");
  EXPECT_EQ(formatted("{}", DBL_MAX), "1.7976931348623157e+308");
  EXPECT_EQ(formatted("{}", 5e-324), "5e-324");
  EXPECT_EQ(formatted("{}", -DBL_MIN), "-2.2250738585072014e-308");
  EXPECT_EQ(formatted("{:8}|{:<8}|{:08}", 1.5, 1.5, -1.5), "     1.5|1.5     |-00001.5");
}

TEST(Format, FloatsWithPrecision) {
  EXPECT_EQ(formatted("{:.2f} {:.0f} {:f}", 3.14159, 2.5, 1.0), "3.14 2 1.000000") << "ties go to even";
  EXPECT_EQ(formatted("{:.1f} {:.2f}", 0.25, 1.005), "0.2 1.00") << "by the exact value";
  EXPECT_EQ(formatted("{:.3} {:.3} {:.3}", 1234.5, 0.00012345, 2.0), "1.23e+03 0.000123 2");
  EXPECT_EQ(formatted("{:e} {:.0e} {:.2E}", 12345.678, 15.0, 0.00015), "1.234568e+04 2e+01 1.50E-04");
  EXPECT_EQ(formatted("{:g} {:g} {:G} {:.0g}", 1e6, 100000.0, 1e-10, 25.0), "1e+06 100000 1E-10 2e+01");
  EXPECT_EQ(formatted("{:.2f}", 9.999), "10.00");
  EXPECT_EQ(formatted("{:.2e} {:.2g}", 9.999, 9.999), "1.00e+01 10");
  EXPECT_EQ(formatted("{:8.2f}|{:<8.2f}|{:08.2f}|{:^8.1f}", 1.5, 1.5, -1.5, 1.5),
            "    1.50|1.50    |-0001.50|  1.5   ");
  EXPECT_EQ(formatted("{:.2f} {:.1f} {:.3f}", 0.1f, -0.04, -0.0), "0.10 -0.0 -0.000");
}

TEST(Format, InfinityAndNan) {
  const double inf = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(formatted("{} {} {} {}", inf, -inf, nan, std::copysign(nan, -1.0)), "inf -inf nan -nan");
  EXPECT_EQ(formatted("{:.2f} {:F} {:E} {:.1G}", inf, inf, -inf, nan), "inf INF -INF NAN");
  EXPECT_EQ(formatted("{:06}|{:06.1f}|{:<5}|{:*^7}", inf, -inf, nan, inf), "   inf|  -inf|nan  |**inf**")
      << "no zeros before them";
  EXPECT_EQ(formatted("{}", std::numeric_limits<float>::infinity()), "inf");
}

void compare_with_to_chars(double value) {
  char buffer[40];
  char* const end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  EXPECT_EQ(formatted("{}", value), std::string(&buffer[0], end)) << printed("%a", value);
}

TEST(Format, FloatsLikeToChars) {
  for (int exponent = -1074; exponent < 1024; ++exponent) {  // where the value below is half as far
    const double power = std::ldexp(1.0, exponent);
    compare_with_to_chars(power);
    compare_with_to_chars(std::nextafter(power, 0.0));
    compare_with_to_chars(-std::nextafter(power, 2 * power));
  }
  // The last two are written with digits that lie in the middle between two values.
  for (const double value :
       {1e5, 12345.0, 123456.0, 1e-3, 0.00012, 0.0012, 1e21, 1e22, 9007199254740993.0, 1e23, 7e22}) {
    compare_with_to_chars(value);
  }
}

void compare_with_printf(double value) {
  SCOPED_TRACE(printed("%a", value));
  EXPECT_EQ(formatted("{:f}", value), printed("%f", value));
  EXPECT_EQ(formatted("{:.0f}", value), printed("%.0f", value));
  EXPECT_EQ(formatted("{:.1f}", value), printed("%.1f", value));
  EXPECT_EQ(formatted("{:.99f}", value), printed("%.99f", value));
  EXPECT_EQ(formatted("{:e}", value), printed("%e", value));
  EXPECT_EQ(formatted("{:.0e}", value), printed("%.0e", value));
  EXPECT_EQ(formatted("{:.17e}", value), printed("%.17e", value));
  EXPECT_EQ(formatted("{:.99E}", value), printed("%.99E", value));
  EXPECT_EQ(formatted("{:g}", value), printed("%g", value));
  EXPECT_EQ(formatted("{:.0g}", value), printed("%.0g", value));
  EXPECT_EQ(formatted("{:.17}", value), printed("%.17g", value));
  EXPECT_EQ(formatted("{:.99G}", value), printed("%.99G", value));
}

TEST(Format, FloatsLikePrintf) {
  for (const double value : {0.0,
                             1.0,
                             0.5,
                             1.5,
                             2.5,
                             0.05,
                             0.15,
                             0.25,
                             9.5,
                             99.5,
                             0.95,
                             999999.5,
                             9999995.0,
                             1e-4,
                             9.9999995e-5,
                             1e-5,
                             123456.0,
                             1234567.0,
                             4503599627370496.5,
                             1e15,
                             1e16,
                             1e17,
                             1e22,
                             1e23,
                             999999999.0,
                             1e9,
                             1e18,
                             999999999.9999999,
                             5e-324,
                             DBL_MIN,
                             DBL_MAX,
                             DBL_EPSILON,
                             2.2250738585072009e-308,
                             1e-9,
                             1e-10,
                             1e100}) {
    compare_with_printf(value);
    compare_with_printf(-value);
  }
}

TEST(Format, FloatsLikePrintfAtRandom) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 3000; ++i) {
    double value;
    if (i % 2 == 0) {
      const std::uint64_t bits = random();  // any exponent
      std::memcpy(&value, &bits, sizeof value);
      if (!std::isfinite(value)) continue;
    } else {  // what sensors give, with many ties
      value = static_cast<double>(static_cast<std::int64_t>(random() % 2000000) - 1000000) / 64;
    }
    compare_with_printf(value);
    char buffer[40];
    char* const end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
    ASSERT_EQ(formatted("{}", value), std::string(&buffer[0], end));
    const auto word = static_cast<std::uint32_t>(random());
    float narrow;
    std::memcpy(&narrow, &word, sizeof narrow);
    if (!std::isfinite(narrow)) continue;
    char* const narrow_end = std::to_chars(buffer, buffer + sizeof buffer, narrow).ptr;
    ASSERT_EQ(formatted("{}", narrow), std::string(&buffer[0], narrow_end));
  }
}

TEST(Format, CutsAtEverySize) {
  const std::string whole = "[   ä|-00042|1.50|true|ff|text]";
  for (std::size_t size = 0; size <= whole.size() + 3; ++size) {
    std::string out(size + 8, '~');
    const std::size_t needed = format_to(std::span(out).first(size), "[{:>4}|{:06}|{:.2f}|{}|{:x}|{}]", "ä",
                                         -42, 1.5, true, 255, "text");
    ASSERT_EQ(needed, whole.size());
    const std::size_t kept = std::min(size, whole.size());
    ASSERT_EQ(out, whole.substr(0, kept) + std::string(out.size() - kept, '~')) << "no byte past the room";
  }
}

TEST(Format, TakesArraysAndMeasures) {
  char buffer[16];
  const std::size_t size = format_to(buffer, "{:02}:{:02}", 7, 5);
  EXPECT_EQ(std::string_view(buffer, size), "07:05");
  EXPECT_EQ(format_to({}, "{:60000}", 1), 60000u);
}

template <typename... Args>
std::string wrapped(FormatString<Args...> format, const Args&... args) {
  return std::string(format.get()) + "=" + formatted(format, args...);
}

TEST(Format, FunctionsPassFormatsOn) { EXPECT_EQ(wrapped("{}-{}", 1, "b"), "{}-{}=1-b"); }

TEST(Format, ManyArguments) {
  EXPECT_EQ(
      formatted("{}{}{}{}{}{}{}{}{}{}{}{}", 1, 'b', "c", 4u, 5L, true, 7.5, std::string("h"), 9, 10, 11, 12),
      "1bc45true7.5h9101112");
}

}  // namespace
}  // namespace microdot
