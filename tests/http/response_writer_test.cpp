#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include <microdot/http/chars.hpp>
#include <microdot/http/response_writer.hpp>
#include <microdot/http/status.hpp>

namespace microdot {
namespace {

TEST(Status, Phrases) {  // RFC 9110 15
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(404), "Not Found");
  EXPECT_EQ(reason_phrase(413), "Content Too Large");
  EXPECT_EQ(reason_phrase(431), "Request Header Fields Too Large");
  EXPECT_EQ(reason_phrase(505), "HTTP Version Not Supported");
  EXPECT_EQ(reason_phrase(299), "Success");
  EXPECT_EQ(reason_phrase(499), "Client Error");
  EXPECT_EQ(reason_phrase(999), "Unknown");
  EXPECT_EQ(reason_phrase(-1), "Unknown");
  EXPECT_EQ(reason_phrase(100), "Continue");
  EXPECT_EQ(reason_phrase(511), "Network Authentication Required");
  EXPECT_TRUE(has_no_content(101) && has_no_content(204) && has_no_content(304));
  EXPECT_FALSE(has_no_content(200) || has_no_content(205) || has_no_content(404));
}

TEST(ResponseHead, Writes) {
  std::array<char, 300> out;
  ResponseHead head(out);
  head.status(200)
      .raw("Date: x\r\n")
      .content_type("text/plain")
      .content_length(0)
      .field("X-A", "b c")
      .field("X-N", 18446744073709551615U);
  head.connection_close();
  const auto r = head.finish();
  ASSERT_TRUE(r);
  EXPECT_EQ(*r,
            "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Type: text/plain\r\nContent-Length: 0\r\nX-A: b c\r\n"
            "X-N: 18446744073709551615\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(r->data(), out.data());
  EXPECT_EQ(head.size(), r->size());
}

TEST(ResponseHead, Statuses) {
  auto line = [](int code, std::string_view reason = {}) {
    std::array<char, 100> out;
    ResponseHead head(out);
    head.status(code, reason);
    return head.error() == Error::none ? std::string(out.data(), head.size()) : "error";
  };
  EXPECT_EQ(line(404), "HTTP/1.1 404 Not Found\r\n");
  EXPECT_EQ(line(404, "Gone fishing"), "HTTP/1.1 404 Gone fishing\r\n");
  EXPECT_EQ(line(299), "HTTP/1.1 299 Success\r\n");
  EXPECT_EQ(line(999), "HTTP/1.1 999 Unknown\r\n");
  EXPECT_EQ(line(99), "error");
  EXPECT_EQ(line(1000), "error");
  EXPECT_EQ(line(-200), "error");
  EXPECT_EQ(line(200, "a\r\nX: y"), "error");
}

TEST(ResponseHead, RefusesResponseSplitting) {
  auto error = [](std::string_view name, std::string_view value) {
    std::array<char, 100> out;
    ResponseHead head(out);
    return head.field(name, value).finish().error();
  };
  EXPECT_EQ(error("X", "a\tb \x80\xff"), Error::none);
  EXPECT_EQ(error("X", ""), Error::none);
  for (std::string value : {"a\r\nY: b", "a\n", "\r", "\x01", "\x7f"}) {
    EXPECT_EQ(error("X", value), Error::invalid) << value;
    std::array<char, 100> out;
    EXPECT_EQ(ResponseHead(out).content_type(value).error(), Error::invalid);
  }
  EXPECT_EQ(error("X", std::string_view("a\0", 2)), Error::invalid);
  for (const char* name : {"", "X:", "X Y", "X\r\n", "X\n", "(X)", "\xc3\xa4"}) {
    EXPECT_EQ(error(name, "v"), Error::invalid) << name;
  }
}

TEST(ResponseHead, NeverWritesPastItsRoom) {
  auto write = [](std::span<char> out) {
    ResponseHead head(out);
    head.status(200).status(299).content_type("text/plain").content_length(12345).field("X", "y").chunked();
    return head.finish();
  };
  std::vector<char> big(300);
  const std::size_t size = write(big).value().size();
  for (std::size_t room = 0; room <= size; ++room) {
    std::vector<char> exact(room);  // AddressSanitizer guards its end
    const auto r = write(exact);
    EXPECT_EQ(r.error(), room == size ? Error::none : Error::too_large) << room;
  }
}

TEST(ResponseHead, TheFirstProblemStays) {
  std::array<char, 30> out;
  ResponseHead head(out);
  head.status(200).field("X", std::string(100, 'a')).field("Y", "b").field("bad name", "c");
  EXPECT_EQ(head.error(), Error::too_large);
  EXPECT_EQ(head.size(), 17U);
  EXPECT_EQ(head.finish().error(), Error::too_large);
}

TEST(Decimal, WritesAndReads) {
  for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{9}, std::uint64_t{10},
                                    std::uint64_t{4294967295}, std::uint64_t{4294967296}, UINT64_MAX}) {
    char out[kMaxDecimal];
    const std::string_view text(out, write_decimal(out, value));
    EXPECT_EQ(text, std::to_string(value));
    std::uint64_t back = 1;
    EXPECT_EQ(parse_decimal(text, back), DecimalStatus::ok);
    EXPECT_EQ(back, value);
  }
  std::uint64_t value = 7;
  EXPECT_EQ(parse_decimal("18446744073709551616", value), DecimalStatus::overflow);
  EXPECT_EQ(parse_decimal("", value), DecimalStatus::invalid);
  EXPECT_EQ(parse_decimal("1 ", value), DecimalStatus::invalid);
  EXPECT_EQ(value, 7U);
}

}  // namespace
}  // namespace microdot
