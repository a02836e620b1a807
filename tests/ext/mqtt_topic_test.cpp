// Topics and filters: MQTT 3.1.1 section 4.7, its examples and the rest.

#include <microdot/ext/mqtt_topic.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace microdot_test {
namespace {

using namespace microdot;
using namespace std::string_view_literals;

TEST(MqttTopic, FiltersTakeInWhatTheStandardSays) {
  struct Case {
    std::string_view filter;
    std::string_view topic;
    bool matches;
  };
  constexpr Case kCases[] = {
      // 4.7.1.2
      {"sport/tennis/player1/#", "sport/tennis/player1", true},
      {"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
      {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
      {"sport/#", "sport", true},
      {"#", "sport/tennis", true},
      {"sport/#", "sports", false},
      {"sport/tennis/#", "sport", false},
      // 4.7.1.3
      {"sport/tennis/+", "sport/tennis/player1", true},
      {"sport/tennis/+", "sport/tennis/player2", true},
      {"sport/tennis/+", "sport/tennis/player1/ranking", false},
      {"sport/+", "sport", false},
      {"sport/+", "sport/", true},
      {"+/tennis/#", "sport/tennis", true},
      {"+/tennis/#", "sport/tennis/a/b", true},
      {"sport/+/player1", "sport/tennis/player1", true},
      {"sport/+/player1", "sport/player1", false},
      {"/finance", "/finance", true},
      {"+/+", "/finance", true},
      {"/+", "/finance", true},
      {"+", "/finance", false},
      // 4.7.2
      {"#", "$SYS/broker", false},
      {"+/monitor/Clients", "$SYS/monitor/Clients", false},
      {"$SYS/#", "$SYS/monitor", true},
      {"$SYS/#", "$SYS", true},
      {"$SYS/monitor/+", "$SYS/monitor/Clients", true},
      {"a/#", "a/$SYS", true},
      // 4.7.3
      {"accounts", "Accounts", false},
      {"Accounts payable", "Accounts payable", true},
      {"a", "a/", false},
      {"a/", "a", false},
      {"/", "/", true},
      {"+/+", "/", true},
      {"/#", "/", true},
      {"/#", "a", false},
      {"a//b", "a//b", true},
      {"a/+/b", "a//b", true},
      {"a/b", "a/b/c", false},
      {"a/b/c", "a/b", false},
      {"a/b/#", "a/bc", false},
  };
  for (const Case& test : kCases) {
    EXPECT_TRUE(is_mqtt_filter(test.filter)) << test.filter;
    EXPECT_TRUE(is_mqtt_topic(test.topic)) << test.topic;
    EXPECT_EQ(matches_mqtt_filter(test.filter, test.topic), test.matches) << test.filter << " " << test.topic;
  }
}

TEST(MqttTopic, WhatCannotBeIsRefused) {
  for (const std::string_view filter :
       {"", "a#", "#a", "a/#/b", "#/", "a+", "+a", "a/b+/c", "##", "++", "a/+#"}) {
    EXPECT_FALSE(is_mqtt_filter(filter)) << filter;
  }
  for (const std::string_view topic : {"", "a/+", "+", "#", "a/#", "a#"})
    EXPECT_FALSE(is_mqtt_topic(topic)) << topic;
  for (const std::string_view text : {"a\0b"sv, "\xff"sv, "\xc0\xaf"sv, "\xed\xa0\x80"sv, "\xe2\x82"sv}) {
    EXPECT_FALSE(is_mqtt_topic(text));
    EXPECT_FALSE(is_mqtt_filter(text));
  }
  EXPECT_TRUE(is_mqtt_topic("caf\xc3\xa9/\xe2\x82\xac"));
  EXPECT_TRUE(is_mqtt_topic(std::string(65535, 'a')));
  EXPECT_FALSE(is_mqtt_topic(std::string(65536, 'a')));
  EXPECT_FALSE(is_mqtt_filter(std::string(65536, 'a')));
}

}  // namespace
}  // namespace microdot_test
