#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include <microdot/http/multi_dict.hpp>

namespace microdot {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs copy(std::span<const NameValue> pairs) { return {pairs.begin(), pairs.end()}; }

// What both parsers find, which has to be the same.
Pairs form(const std::string& text) {
  std::vector<NameValue> out(count_form_pairs(text));
  std::string memory(text.size(), '\0');
  const auto parsed = parse_form(text, out, memory);
  if (!parsed) return {{"error", std::string(to_string(parsed.error()))}};
  EXPECT_EQ(parsed->size(), out.size()) << "count_form_pairs";
  Pairs pairs = copy(*parsed);
  std::string mutable_text = text;
  EXPECT_EQ(copy(parse_form_in_place(mutable_text, out).value()), pairs);
  return pairs;
}

TEST(Form, ParsesAsTheUrlStandardSays) {
  EXPECT_EQ(form(""), Pairs{});
  EXPECT_EQ(form("a=1&b=2"), (Pairs{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(form("a=1&a=2"), (Pairs{{"a", "1"}, {"a", "2"}}));
  EXPECT_EQ(form("a"), (Pairs{{"a", ""}}));
  EXPECT_EQ(form("a="), (Pairs{{"a", ""}}));
  EXPECT_EQ(form("=b"), (Pairs{{"", "b"}}));
  EXPECT_EQ(form("="), (Pairs{{"", ""}}));
  EXPECT_EQ(form("a=b=c"), (Pairs{{"a", "b=c"}}));
  EXPECT_EQ(form("&&a=1&&b&"), (Pairs{{"a", "1"}, {"b", ""}}));
  EXPECT_EQ(form("first+name=J%C3%BCrgen+M&%26=%3D"), (Pairs{{"first name", "J\xc3\xbcrgen M"}, {"&", "="}}));
  EXPECT_EQ(form("a=%2B+%2b"), (Pairs{{"a", "+ +"}}));
  EXPECT_EQ(form("a=100%&b=%zz&c=%4&d=%%41"), (Pairs{{"a", "100%"}, {"b", "%zz"}, {"c", "%4"}, {"d", "%A"}}));
  EXPECT_EQ(form("a=%00"), (Pairs{{"a", std::string(1, '\0')}}));
  EXPECT_EQ(form("a;b=c"), (Pairs{{"a;b", "c"}}));
}

TEST(Form, PlainTextIsNotCopied) {
  const std::string text = "a=1&b=x%41";
  std::array<NameValue, 2> out;
  std::array<char, 4> memory;
  const auto parsed = parse_form(text, out, memory);
  ASSERT_TRUE(parsed);
  EXPECT_EQ((*parsed)[0].second.data(), text.data() + 2);
  EXPECT_EQ((*parsed)[1].second.data(), memory.data());
}

TEST(Form, KeepsToItsRoom) {
  std::array<NameValue, 1> one;
  std::array<char, 3> memory;
  EXPECT_EQ(parse_form("a=1&b=2", one, memory).error(), Error::too_large);
  EXPECT_EQ(parse_form("a=%41%41", one, memory).error(), Error::too_large);
  EXPECT_EQ(parse_form("a=%41", one, memory).value()[0].second, "A");
  EXPECT_EQ(parse_form("a=1&&", one, memory).value().size(), 1U);
}

TEST(MultiDict, LooksUp) {
  const std::array<NameValue, 7> pairs{
      {{"a", "1"}, {"b", "x"}, {"a", "2"}, {"on", "Yes"}, {"f", "-2.5e1"}, {"big", "4294967296"}, {"", "e"}}};
  const MultiDict dict(pairs);
  EXPECT_EQ(dict["a"], "1");
  EXPECT_EQ(dict["c"], "");
  EXPECT_EQ(dict["A"], "") << "names have case";
  EXPECT_EQ(dict[""], "e");
  EXPECT_EQ(dict.get("b"), "x");
  EXPECT_EQ(dict.get("c", "d"), "d");
  EXPECT_TRUE(dict.contains("a"));
  EXPECT_FALSE(dict.contains("c"));
  EXPECT_EQ(dict.size(), 7U);
  EXPECT_EQ(dict.get<int>("a", 9), 1);
  EXPECT_EQ(dict.get<int>("b", 9), 9);
  EXPECT_EQ(dict.get<int>("c", 9), 9);
  EXPECT_EQ(dict.get<int>("c"), 0);
  EXPECT_EQ(dict.get<int>("big", 9), 9) << "out of range";
  EXPECT_EQ(dict.get<long long>("big", 9), 4294967296);
  EXPECT_EQ(dict.get<double>("f", 0), -25.0);
  EXPECT_EQ(dict.get<unsigned>("f", 3), 3U);
  EXPECT_TRUE(dict.get<bool>("on"));
  EXPECT_TRUE(dict.get<bool>("a", false));
  EXPECT_TRUE(dict.get<bool>("b", true));
  std::vector<std::string_view> values;
  for (const std::string_view value : dict.getlist("a")) values.push_back(value);
  EXPECT_EQ(values, (std::vector<std::string_view>{"1", "2"}));
  EXPECT_EQ(dict.getlist("a").size(), 2U);
  EXPECT_TRUE(dict.getlist("c").empty());
  std::string names;
  for (auto [name, value] : dict) names += name;
  EXPECT_EQ(names, "abaonfbig");
  EXPECT_TRUE(MultiDict().empty());
  EXPECT_EQ(MultiDict()["a"], "");
}

TEST(ParseValue, TakesAllOrNothing) {
  int i = 7;
  for (const char* bad : {"", " 1", "1 ", "+1", "1x", "0x1", "2147483648", "-", "1.0"}) {
    EXPECT_FALSE(parse_value(bad, i)) << bad;
    EXPECT_EQ(i, 7);
  }
  EXPECT_TRUE(parse_value("-2147483648", i));
  EXPECT_EQ(i, INT32_MIN);
  bool b = true;
  EXPECT_TRUE(parse_value("OFF", b));
  EXPECT_FALSE(b);
  EXPECT_FALSE(parse_value("2", b));
}

}  // namespace
}  // namespace microdot
