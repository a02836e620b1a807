#include <gtest/gtest.h>

#include <array>
#include <string>

#include <microdot/http/date.hpp>

namespace microdot {
namespace {

std::string text_of(std::int64_t seconds) {
  std::array<char, kHttpDateSize> out;
  return std::string(write_http_date(seconds, out));
}

TEST(HttpDate, Writes) {  // RFC 9110 5.6.7; times from `date -u -d`
  EXPECT_EQ(text_of(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(text_of(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(text_of(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
  EXPECT_EQ(text_of(4107542399), "Sun, 28 Feb 2100 23:59:59 GMT");
  EXPECT_EQ(text_of(4107542400), "Mon, 01 Mar 2100 00:00:00 GMT");
  EXPECT_EQ(text_of(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
  EXPECT_EQ(text_of(INT64_MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
  EXPECT_EQ(text_of(INT64_MIN), "Sat, 01 Jan 0000 00:00:00 GMT");
}

TEST(HttpDate, WritesTheDaysThatItReads) {
  const char* const names[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
  constexpr std::int64_t kDay = 86400;
  const std::int64_t first = *parse_http_date("Sat, 01 Jan 0000 00:00:00 GMT") / kDay;
  const std::int64_t last = *parse_http_date("Fri, 31 Dec 9999 00:00:00 GMT") / kDay;
  ASSERT_EQ(last - first, 3652424);
  for (std::int64_t day = first; day <= last; ++day) {
    if (day < -146097 && day > first + 800)
      day = -146097;  // 400 years before 1970 to 400 after, and the ends
    if (day > 146097 && day < last - 800) day = last - 800;
    const std::string text = text_of(day * kDay + day % 100 + 100);
    ASSERT_EQ(text.substr(0, 3), names[((day % 7) + 7) % 7]) << text;
    ASSERT_EQ(parse_http_date(text), day * kDay + day % 100 + 100) << text;
  }
}

TEST(HttpDate, ReadsTheThreeForms) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
  EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994"), 784111777);
  EXPECT_EQ(parse_http_date("Wed Nov 16 08:49:37 1994"), 784111777 + 10 * 86400);
  EXPECT_EQ(parse_http_date("Tue, 29 Feb 2000 00:00:00 GMT"), 951782400);
  EXPECT_EQ(parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT"), 1483228800) << "leap second";
}

TEST(HttpDate, TwoDigitYearsAreNotFarInTheFuture) {
  const std::int64_t now = *parse_http_date("Mon, 23 Nov 2026 00:00:00 GMT");
  EXPECT_EQ(parse_http_date("Monday, 23-Nov-76 00:00:00 GMT", now),
            parse_http_date("Mon, 23 Nov 2076 00:00:00 GMT"));
  EXPECT_EQ(parse_http_date("Tuesday, 24-Nov-76 00:00:00 GMT", now),
            parse_http_date("Wed, 24 Nov 1976 00:00:00 GMT"));
  EXPECT_EQ(parse_http_date("Friday, 01-Jan-99 00:00:00 GMT", now),
            parse_http_date("Fri, 01 Jan 1999 00:00:00 GMT"));
  EXPECT_EQ(parse_http_date("Saturday, 01-Jan-00 00:00:00 GMT", now), 946684800);
}

TEST(HttpDate, RefusesEverythingElse) {
  for (const char* bad : {"",
                          "0",
                          "now",
                          "Sun, 06 Nov 1994 08:49:37",
                          "Sun, 06 Nov 1994 08:49:37 UTC",
                          "Sun, 6 Nov 1994 08:49:37 GMT",
                          "Son, 06 Nov 1994 08:49:37 GMT",
                          "Sun, 06 nov 1994 08:49:37 GMT",
                          "Sun, 31 Nov 1994 08:49:37 GMT",
                          "Sun, 29 Feb 1900 08:49:37 GMT",
                          "Sun, 00 Nov 1994 08:49:37 GMT",
                          "Sun, 06 Nov 1994 24:00:00 GMT",
                          "Sun, 06 Nov 1994 08:60:37 GMT",
                          "Sun, 06 Nov 1994 08:49:61 GMT",
                          "Sun,  06 Nov 1994 08:49:37 GMT",
                          "Sun, 06 Nov 1994 08:49:37 GMTx",
                          "Sun, 06 Nov 94 08:49:37 GMT",
                          "Sun, 06-Nov-94 08:49:37 GMT",
                          "Sunday, 06-Nov-1994 08:49:37 GMT",
                          "Sun Nov 6 08:49:37 1994",
                          "Sun Nov  6 08:49:37 94",
                          "Sun",
                          "Sun,",
                          "Sun Nov  6 08:49:37 1994 GMT",
                          "Sun, 06 Nov 19x4 08:49:37 GMT",
                          "Sun, -6 Nov 1994 08:49:37 GMT"}) {
    EXPECT_EQ(parse_http_date(bad), std::nullopt) << bad;
  }
}

TEST(DateField, IsRefreshedWithTheSecond) {
  DateField date;
  EXPECT_EQ(date.at(784111777), "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  EXPECT_EQ(date.at(784111777), "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  EXPECT_EQ(date.at(784111778), "Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n");
}

}  // namespace
}  // namespace microdot
