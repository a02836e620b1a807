#include <gtest/gtest.h>

#include <array>
#include <cctype>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <microdot/http/request_parser.hpp>

namespace microdot {
namespace {

// What a parser said, in a form that can be compared. Views are copied.
struct Outcome {
  ParseStatus status = ParseStatus::need_more;
  int error = 0;
  std::string reason;
  std::size_t head_bytes = 0;
  std::string text;  // everything the accessors say

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome outcome_of(const RequestParser& parser, ParseStatus status) {
  Outcome out;
  out.status = status;
  if (status == ParseStatus::error) {
    out.error = parser.error_status();
    out.reason = parser.error_reason();
  }
  if (status != ParseStatus::complete) return out;
  out.head_bytes = parser.head_bytes();
  auto add = [&out](auto value) { out.text.append(value).append("|"); };
  add(parser.method_text());
  add(parser.target());
  add(parser.path());
  add(parser.query());
  add(parser.host());
  add(std::to_string(parser.version_minor()));
  add(std::to_string(static_cast<int>(parser.target_form())));
  add(parser.content_length() ? std::to_string(*parser.content_length()) : "-");
  add(std::to_string(parser.chunked()) + std::to_string(parser.keep_alive()) +
      std::to_string(parser.expect_100()) + std::to_string(parser.connection_upgrade()));
  for (auto [name, value] : parser.headers()) {
    add(name);
    add(value);
  }
  return out;
}

// Feeds the prefixes of `input` that end at `ends`, each in memory of exactly its size, so that reading past
// the end is seen by AddressSanitizer, and moved every time.
Outcome feed(const std::string& input, const std::vector<std::size_t>& ends, RequestParserLimits limits,
             std::size_t field_count) {
  std::vector<HeaderField> fields(field_count);
  RequestParser parser(fields, limits);
  Outcome out;
  for (const std::size_t end : ends) {
    auto buffer = std::make_unique<char[]>(end + 1);
    std::copy_n(input.data(), end, buffer.get() + 1);  // not aligned either
    out = outcome_of(parser, parser.parse({buffer.get() + 1, end}));
    if (out.status != ParseStatus::need_more) break;
  }
  return out;
}

// The outcome, after proving that it is the same in one piece, byte by byte and split in two anywhere.
Outcome parse(const std::string& input, RequestParserLimits limits = {}, std::size_t field_count = 64) {
  const Outcome whole = feed(input, {input.size()}, limits, field_count);
  std::vector<std::size_t> every;
  for (std::size_t i = 0; i <= input.size(); ++i) every.push_back(i);
  EXPECT_EQ(feed(input, every, limits, field_count), whole) << "byte by byte: " << input;
  for (std::size_t i = 0; i < input.size(); ++i) {
    EXPECT_EQ(feed(input, {i, input.size()}, limits, field_count), whole)
        << "split at " << i << ": " << input;
  }
  return whole;
}

int error_of(const std::string& input, RequestParserLimits limits = {}, std::size_t field_count = 64) {
  const Outcome out = parse(input, limits, field_count);
  EXPECT_EQ(out.reason.empty(), out.status != ParseStatus::error);
  return out.status == ParseStatus::complete ? 200 : out.error;
}

// A request with these header lines, each without CRLF, after a valid Host.
std::string with(const std::vector<std::string>& lines, const std::string& start = "POST / HTTP/1.1") {
  std::string text = start + "\r\nHost: x\r\n";
  for (const std::string& line : lines) text += line + "\r\n";
  return text + "\r\n";
}

// Parses once, for looking at the parser itself.
struct Parsed {
  explicit Parsed(std::string input) : text(std::move(input)), parser(fields) { status = parser.parse(text); }
  std::string text;
  std::array<HeaderField, 64> fields;
  RequestParser parser;
  ParseStatus status;
};

TEST(RequestParser, SimpleGet) {
  const std::string input = "GET /a/b?x=1&y=2 HTTP/1.1\r\nHost: example.com:8080\r\nAccept:  */* \t\r\n\r\n";
  Parsed p(input + "GET /next");
  ASSERT_EQ(p.status, ParseStatus::complete);
  EXPECT_EQ(p.parser.head_bytes(), input.size());
  EXPECT_EQ(p.parser.method(), Method::get);
  EXPECT_EQ(p.parser.method_text(), "GET");
  EXPECT_EQ(p.parser.target(), "/a/b?x=1&y=2");
  EXPECT_EQ(p.parser.target_form(), TargetForm::origin);
  EXPECT_EQ(p.parser.path(), "/a/b");
  EXPECT_EQ(p.parser.query(), "x=1&y=2");
  EXPECT_EQ(p.parser.version_minor(), 1);
  EXPECT_EQ(p.parser.host(), "example.com:8080");
  EXPECT_EQ(p.parser.headers().size(), 2U);
  EXPECT_EQ(p.parser.headers()["ACCEPT"], "*/*");
  EXPECT_EQ(p.parser.content_length(), std::nullopt);
  EXPECT_FALSE(p.parser.chunked());
  EXPECT_FALSE(p.parser.has_body());
  EXPECT_TRUE(p.parser.keep_alive());
  parse(input);
}

TEST(RequestParser, ResetForgetsThePreviousRequest) {
  std::array<HeaderField, 8> fields;
  RequestParser parser(fields);
  ASSERT_EQ(
      parser.parse("POST /?q HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n"),
      ParseStatus::complete);
  parser.reset();
  ASSERT_EQ(parser.parse("GET / HTTP/1.1\r\nHost: b\r\n\r\n"), ParseStatus::complete);
  EXPECT_EQ(parser.content_length(), std::nullopt);
  EXPECT_EQ(parser.query(), "");
  EXPECT_EQ(parser.host(), "b");
  EXPECT_EQ(parser.headers().size(), 1U);
  EXPECT_FALSE(parser.headers().contains("Connection"));
  parser.reset();
  ASSERT_EQ(parser.parse("x y z\n\n"), ParseStatus::error);
  EXPECT_EQ(parser.parse("x y z\n\n"), ParseStatus::error);
  parser.reset();
  ASSERT_EQ(parser.parse("GET / HTTP/1.1\r\nHost: b\r\n\r\n"), ParseStatus::complete);
}

TEST(RequestParser, ViewsFollowTheBytes) {
  Parsed p("GET /p?q HTTP/1.1\r\nHost: h\r\nX-Y: z\r\n\r\n");
  ASSERT_EQ(p.status, ParseStatus::complete);
  std::string copy = p.text;
  p.text.assign(p.text.size(), '#');
  p.parser.set_base(copy.data());
  EXPECT_EQ(p.parser.path(), "/p");
  EXPECT_EQ(p.parser.host(), "h");
  EXPECT_EQ(p.parser.headers()["x-y"], "z");
}

TEST(RequestParser, Methods) {
  for (const char* name : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}) {
    Parsed p(std::string(name) + " / HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_EQ(p.status, ParseStatus::complete);
    EXPECT_EQ(to_string(p.parser.method()), name);
  }
  Parsed other("M-SEARCH!#$ / HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_EQ(other.status, ParseStatus::complete);
  EXPECT_EQ(other.parser.method(), Method::other);
  EXPECT_EQ(other.parser.method_text(), "M-SEARCH!#$");
  Parsed lower("get / HTTP/1.1\r\nHost: x\r\n\r\n");  // RFC 9110 9.1: case-sensitive
  EXPECT_EQ(lower.parser.method(), Method::other);
}

TEST(RequestParser, BadRequestLines) {  // RFC 9112 3
  const std::string host = "\r\nHost: x\r\n\r\n";
  for (const char* line : {"GET  / HTTP/1.1",
                           "GET /  HTTP/1.1",
                           " GET / HTTP/1.1",
                           "GET / HTTP/1.1 ",
                           "GET\t/ HTTP/1.1",
                           "GET /",
                           "GET",
                           "GET  HTTP/1.1",
                           "G@T / HTTP/1.1",
                           "GET / HTTP/1.1 x",
                           "GET / http/1.1",
                           "GET / HTTP/1",
                           "GET / HTTP/1.",
                           "GET / HTTP/.1",
                           "GET / HTTP/11",
                           "GET / HTTP/1.1.1",
                           "GET / HTTP/1.11",
                           "GET / HTTP/01.1",
                           "GET / HTTP/+1.1",
                           "GET / HTTP/1,1",
                           "GET / HTTPS/1.1",
                           "GET / XTTP/1.1",
                           "GET / ",
                           "GET / HTTP/a.b",
                           "GET /\x01 HTTP/1.1",
                           "GET /\x7f HTTP/1.1",
                           "GET /\xc3\xa4 HTTP/1.1",
                           "GET /# HTTP/1.1",
                           "GET /\" HTTP/1.1",
                           "GET /<x> HTTP/1.1",
                           "GET /\\ HTTP/1.1",
                           "GET /a b HTTP/1.1",
                           "GET /% HTTP/1.1",
                           "GET /%4 HTTP/1.1",
                           "GET /%4g HTTP/1.1",
                           "GET /%G0 HTTP/1.1",
                           "GET /?% HTTP/1.1",
                           "GET /a%00b HTTP/1.1",
                           "GET /?a=%00 HTTP/1.1",
                           "GET /\r HTTP/1.1",
                           "GET \r/ HTTP/1.1",
                           "GET / HTTP/1.1\r",
                           "\x16\x03\x01",
                           ""}) {
    EXPECT_EQ(error_of(line + host), 400) << line;
  }
  EXPECT_EQ(error_of(std::string("GET /\0 HTTP/1.1", 15) + host), 400);
  EXPECT_EQ(error_of("GET / HTTP/1.1\nHost: x\r\n\r\n"), 400);
  EXPECT_EQ(error_of("GET /\nHost: x\r\n\r\n"), 400);
}

TEST(RequestParser, BytesThatBrowsersSendAreAccepted) {
  for (const char* target :
       {"/%01%fF", "/a|b^c{d}[e]`", "/?a\\b", "/?a=b?c=d", "/;a=1,b!$&'()*+", "//", "/?", "/~.-_:@"}) {
    EXPECT_EQ(error_of(std::string("GET ") + target + " HTTP/1.1\r\nHost: x\r\n\r\n"), 200) << target;
  }
}

TEST(RequestParser, TlsHandshakeIsRefusedAtOnce) {
  std::array<HeaderField, 8> fields;
  RequestParser parser(fields);
  EXPECT_EQ(parser.parse("\x16"), ParseStatus::error);
  EXPECT_EQ(parser.error_status(), 400);
}

TEST(RequestParser, Versions) {  // RFC 9110 2.5, 15.6.6
  const std::string rest = "\r\nHost: x\r\n\r\n";
  EXPECT_EQ(error_of("GET / HTTP/1.0" + rest), 200);
  EXPECT_EQ(error_of("GET / HTTP/1.1" + rest), 200);
  EXPECT_EQ(error_of("GET / HTTP/1.2" + rest), 200);
  EXPECT_EQ(error_of("GET / HTTP/1.9" + rest), 200);
  EXPECT_EQ(error_of("GET / HTTP/2.0" + rest), 505);
  EXPECT_EQ(error_of("GET / HTTP/0.9" + rest), 505);
  EXPECT_EQ(error_of("GET / HTTP/3.1" + rest), 505);
  EXPECT_EQ(error_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
  Parsed p("GET / HTTP/1.7" + rest);
  EXPECT_EQ(p.parser.version_minor(), 1);
}

TEST(RequestParser, TargetForms) {  // RFC 9112 3.2
  Parsed absolute("GET http://User.example:81/p/q?r HTTP/1.1\r\nHost: other\r\n\r\n");
  ASSERT_EQ(absolute.status, ParseStatus::complete);
  EXPECT_EQ(absolute.parser.target_form(), TargetForm::absolute);
  EXPECT_EQ(absolute.parser.host(), "User.example:81");  // 3.2.2: Host is ignored
  EXPECT_EQ(absolute.parser.path(), "/p/q");
  EXPECT_EQ(absolute.parser.query(), "r");
  Parsed no_path("GET HTTPS://h?r=/x HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_EQ(no_path.status, ParseStatus::complete);
  EXPECT_EQ(no_path.parser.path(), "/");
  EXPECT_EQ(no_path.parser.query(), "r=/x");
  EXPECT_EQ(no_path.parser.host(), "h");
  Parsed whole_server("OPTIONS http://h:8001 HTTP/1.1\r\nHost: h:8001\r\n\r\n");  // 3.2.4
  EXPECT_EQ(whole_server.parser.path(), "*");
  Parsed asterisk("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_EQ(asterisk.status, ParseStatus::complete);
  EXPECT_EQ(asterisk.parser.target_form(), TargetForm::asterisk);
  EXPECT_EQ(asterisk.parser.path(), "*");
  EXPECT_EQ(asterisk.parser.host(), "h");
  Parsed connect("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n");
  ASSERT_EQ(connect.status, ParseStatus::complete);
  EXPECT_EQ(connect.parser.target_form(), TargetForm::authority);
  EXPECT_EQ(connect.parser.host(), "h:443");
  EXPECT_EQ(connect.parser.path(), "");

  const std::string rest = " HTTP/1.1\r\nHost: x\r\n\r\n";
  for (const char* line : {"GET *",
                           "CONNECT /",
                           "CONNECT h",
                           "CONNECT h:",
                           "CONNECT :443",
                           "CONNECT h:443/x",
                           "CONNECT http://h:443",
                           "GET x",
                           "GET x:80",
                           "GET http:/x",
                           "GET http://",
                           "GET http:///p",
                           "GET http://u@h/",
                           "GET http://u:p@h/",
                           "GET http://h:x/",
                           "GET http://h:65536/",
                           "GET http://:80/",
                           "GET http://[::1/",
                           "GET ftp://h/",
                           "GET file:///etc/passwd",
                           "OPTIONS **",
                           "GET ?x"}) {
    EXPECT_EQ(error_of(line + rest), 400) << line;
  }
  for (const char* line : {"GET http://h", "GET http://h:/", "GET http://[::1]:80/x", "CONNECT [::1]:443"}) {
    EXPECT_EQ(error_of(line + rest), 200) << line;
  }
}

TEST(RequestParser, EmptyLinesBeforeTheRequest) {  // RFC 9112 2.2
  const std::string request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  EXPECT_EQ(error_of("\r\n" + request), 200);
  EXPECT_EQ(parse("\r\n\r\n" + request).head_bytes, request.size() + 4);
  EXPECT_EQ(error_of("\r\n\r\n\r\n\r\n" + request), 200);
  EXPECT_EQ(error_of("\r\n\r\n\r\n\r\n\r\n" + request), 400);
  EXPECT_EQ(error_of("\n" + request), 400);
  EXPECT_EQ(error_of("\r" + request), 400);
  EXPECT_EQ(error_of("\r\r\n" + request), 400);
}

TEST(RequestParser, BadFieldLines) {  // RFC 9112 5, RFC 9110 5.5
  for (const char* line : {"X : y",
                           "X\t: y",
                           ": y",
                           "X",
                           "X y",
                           " X: y",
                           "\tX: y",
                           "X: a\r\n b",
                           "X: a\r\n\tb",
                           "X: a\x01",
                           "X: \x7f",
                           "X: a\rb",
                           "X: a\nY: b",
                           "X\n: a",
                           "(X): y",
                           "X@: y",
                           "\xc3\xa4: y",
                           "X\x01: y",
                           "X: 0123456789abcdef\x08",
                           "X: 0123456789abcde\x1f",
                           "X: 01234567\x0b",
                           "\r"}) {
    EXPECT_EQ(error_of(with({line})), 400) << line;
  }
  EXPECT_EQ(error_of(with({std::string("X: a\0b", 6)})), 400);
  EXPECT_EQ(error_of(with({std::string("X\0: b", 5)})), 400);
  EXPECT_EQ(error_of("GET / HTTP/1.1\r\n Host: x\r\n\r\n"), 400);
  EXPECT_EQ(error_of("GET / HTTP/1.1\r\nHost: x\n\r\n"), 400);
  EXPECT_EQ(error_of("GET / HTTP/1.1\r\nHost: x\r\n\n"), 400);
  EXPECT_EQ(error_of("GET / HTTP/1.1\r\nHost: x\r\n\rX"), 0) << "no line end yet";
}

TEST(RequestParser, GoodFieldLines) {
  Parsed p(with({"X:", "Y: ", "Z:z", "!#$%&'*+-.^_`|~09: \xc3\xa4 \t \x80\xff\"(){}", "z: second"}));
  ASSERT_EQ(p.status, ParseStatus::complete);
  EXPECT_EQ(p.parser.headers()["x"], "");
  EXPECT_TRUE(p.parser.headers().contains("x"));
  EXPECT_EQ(p.parser.headers()["z"], "z");
  EXPECT_EQ(p.parser.headers().count("Z"), 2U);
  EXPECT_EQ(p.parser.headers()["!#$%&'*+-.^_`|~09"], "\xc3\xa4 \t \x80\xff\"(){}");
  for (std::size_t size = 0; size < 40; ++size) {  // every length around the widths that are read at once
    EXPECT_EQ(error_of(with({"X: " + std::string(size, '\t') + std::string(size, 'v')})), 200);
    EXPECT_EQ(error_of(with({"X: " + std::string(size, 'v') + '\x02'})), 400);
  }
}

// Names and values are looked at 16 bytes at a time where the processor can: the outcome is the same wherever
// in them a byte stands, and whatever is behind them.
TEST(RequestParser, EveryByteAtEveryPlaceOfAField) {  // RFC 9110 5.1, 5.5
  constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";
  const auto status = [](const std::string& name, const std::string& value, const std::string& behind) {
    const std::string input =
        "GET / HTTP/1.1\r\nHost: a\r\n" + name + ": " + value + "\r\n" + behind + "\r\n";
    return feed(input, {input.size()}, {}, 64);
  };
  for (const std::string behind : {"", "Accept: */*, nothing else than this\r\n"}) {
    for (std::size_t place = 0; place < 35; ++place) {
      for (int byte = 0; byte < 256; ++byte) {
        const char c = static_cast<char>(byte);
        std::string text(36, 'a');
        text[place] = c;
        const bool in_value = c == '\t' || byte >= 0x80 || (byte >= 0x20 && byte != 0x7f);
        const Outcome value = status("x", text, behind);
        EXPECT_EQ(value.status, in_value ? ParseStatus::complete : ParseStatus::error)
            << place << " " << byte;
        if (in_value && place != 0) {
          EXPECT_NE(value.text.find("|x|" + text + "|"), std::string::npos);
        }
        const bool in_name =
            byte < 0x80 && (std::isalnum(byte) != 0 || kTokenMarks.find(c) != kTokenMarks.npos);
        if (c == ':' && place != 0) continue;  // the name ends here
        const Outcome name = status(text, "x", behind);
        EXPECT_EQ(name.status, in_name ? ParseStatus::complete : ParseStatus::error) << place << " " << byte;
        if (in_name) {
          EXPECT_NE(name.text.find("|" + text + "|x|"), std::string::npos);
        }
      }
    }
  }
}

TEST(RequestParser, Host) {  // RFC 9112 3.2
  EXPECT_EQ(error_of("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(error_of("GET http://x/ HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(error_of("GET / HTTP/1.0\r\n\r\n"), 200);
  EXPECT_EQ(error_of(with({"Host: x"})), 400);
  EXPECT_EQ(error_of(with({"HOST: y"})), 400);
  EXPECT_EQ(error_of(with({"Host: y"}, "GET / HTTP/1.0")), 400);
  EXPECT_EQ(error_of("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 200);
  for (const char* host : {"a b",
                           "a/b",
                           "a@b",
                           "a:b",
                           "a:80:80",
                           "a:99999",
                           ":80",
                           "[::1",
                           "[::1]x",
                           "[]",
                           "a?",
                           "a#",
                           "a%",
                           "a%2",
                           "[g::]",
                           "a\\b",
                           "<a>",
                           "\xc3\xa4",
                           "[1:2:3:4:5:6:7:8:9]",
                           "[1::2::3]",
                           "[::1.2.3]",
                           "[::1.2.3.256]",
                           "[12345::]",
                           "[1:2]",
                           "::1",
                           "[:1]",
                           "[1:]"}) {
    EXPECT_EQ(error_of(std::string("GET / HTTP/1.1\r\nHost: ") + host + "\r\n\r\n"), 400) << host;
  }
  for (const char* host : {"a", "a.b-c_d", "a,b", "1.2.3.4:80", "[::1]", "[::]:80", "[1:2:3:4:5:6:7:8]",
                           "[1::8]:", "a%20b", "[::ffff:1.2.3.4]", "[fe80::1]", "a:", "[1::]"}) {
    EXPECT_EQ(error_of(std::string("GET / HTTP/1.1\r\nHost: ") + host + "\r\n\r\n"), 200) << host;
  }
}

TEST(RequestParser, ContentLength) {  // RFC 9110 8.6, RFC 9112 6.3
  Parsed p(with({"content-LENGTH: 42"}));
  ASSERT_EQ(p.status, ParseStatus::complete);
  EXPECT_EQ(p.parser.content_length(), 42U);
  EXPECT_TRUE(p.parser.has_body());
  Parsed zero(with({"Content-Length: 0"}));
  EXPECT_EQ(zero.parser.content_length(), 0U);
  EXPECT_FALSE(zero.parser.has_body());
  Parsed largest(with({"Content-Length: 18446744073709551615"}));
  EXPECT_EQ(largest.parser.content_length(), UINT64_MAX);
  for (const char* value : {"", "+5", "-5", "5, 5", "5,5", "5 5", "0x5", "5.0", "a", "5a", "1e3", "\"5\""}) {
    EXPECT_EQ(error_of(with({std::string("Content-Length: ") + value})), 400) << value;
  }
  EXPECT_EQ(error_of(with({"Content-Length: 18446744073709551616"})), 413);
  EXPECT_EQ(error_of(with({"Content-Length: 99999999999999999999999999"})), 413);
  EXPECT_EQ(error_of(with({"Content-Length: 5", "Content-Length: 6"})), 400);
  EXPECT_EQ(error_of(with({"Content-Length: 5", "Content-Length: 5"})), 400);
}

TEST(RequestParser, TransferEncoding) {  // RFC 9112 6.1, 6.3, 7
  Parsed p(with({"Transfer-Encoding: Chunked"}));
  ASSERT_EQ(p.status, ParseStatus::complete);
  EXPECT_TRUE(p.parser.chunked());
  EXPECT_TRUE(p.parser.has_body());
  EXPECT_EQ(p.parser.content_length(), std::nullopt);
  EXPECT_EQ(error_of(with({"Transfer-Encoding: gzip, chunked"})), 501);
  EXPECT_EQ(error_of(with({"Transfer-Encoding: gzip", "Transfer-Encoding: chunked"})), 501);
  EXPECT_EQ(error_of(with({"Transfer-Encoding: x;q=1, chunked"})), 501);
  for (const char* value : {"", "gzip", "identity", "chunked, gzip", "chunked, chunked", "chunked, identity",
                            "xchunked", "chunked;x=1", "\"chunked\"", "chunked,", ", chunked",
                            "chunked chunked", "chunked\x0b", ";chunked"}) {
    EXPECT_EQ(error_of(with({std::string("Transfer-Encoding: ") + value})), 400) << value;
  }
  EXPECT_EQ(error_of(with({"Transfer-Encoding: chunked", "Transfer-Encoding: chunked"})), 400);
  EXPECT_EQ(error_of(with({"Transfer-Encoding: chunked", "Transfer-Encoding: gzip"})), 400);
  EXPECT_EQ(error_of(with({"Transfer-Encoding: chunked", "Content-Length: 5"})), 400);
  EXPECT_EQ(error_of(with({"Content-Length: 5", "Transfer-Encoding: chunked"})), 400);
  EXPECT_EQ(error_of(with({"Transfer-Encoding: chunked"}, "POST / HTTP/1.0")), 400);
  EXPECT_EQ(error_of(with({"Transfer-Encoding : chunked"})), 400);
}

TEST(RequestParser, Persistence) {  // RFC 9112 9.3
  auto keep = [](const std::vector<std::string>& lines, const char* version = "1.1") {
    return Parsed(with(lines, std::string("GET / HTTP/") + version)).parser.keep_alive();
  };
  EXPECT_TRUE(keep({}));
  EXPECT_FALSE(keep({}, "1.0"));
  EXPECT_FALSE(keep({"Connection: close"}));
  EXPECT_FALSE(keep({"Connection: CLOSE"}));
  EXPECT_FALSE(keep({"Connection: x, close ,y"}));
  EXPECT_TRUE(keep({"Connection: Keep-Alive"}, "1.0"));
  EXPECT_FALSE(keep({"Connection: keep-alive, close"}, "1.0"));
  EXPECT_FALSE(keep({"Connection: close", "Connection: keep-alive"}));
  EXPECT_TRUE(keep({"Connection: closed"}));
  EXPECT_TRUE(Parsed(with({"Connection: keep-alive, Upgrade"})).parser.connection_upgrade());
  EXPECT_FALSE(Parsed(with({"Upgrade: websocket"})).parser.connection_upgrade());
}

TEST(RequestParser, Expect) {  // RFC 9110 10.1.1
  EXPECT_TRUE(Parsed(with({"Expect: 100-Continue", "Content-Length: 1"})).parser.expect_100());
  EXPECT_FALSE(Parsed(with({"Expect: 100-continue"})).parser.expect_100());
  EXPECT_FALSE(
      Parsed(with({"Expect: 100-continue", "Content-Length: 1"}, "POST / HTTP/1.0")).parser.expect_100());
  EXPECT_EQ(error_of(with({"Expect: 200-ok"})), 417);
}

TEST(RequestParser, Limits) {
  const RequestParserLimits line_limit{.max_readline = 40, .head_bytes = 1000};
  auto request_line = [](std::size_t size) { return "GET /" + std::string(size - 14, 'a') + " HTTP/1.1"; };
  const std::string rest = "\r\nHost: x\r\n\r\n";
  EXPECT_EQ(error_of(request_line(40) + rest, line_limit), 200);
  EXPECT_EQ(error_of(request_line(41) + rest, line_limit), 414);
  EXPECT_EQ(error_of(request_line(400) + rest, line_limit), 414);
  EXPECT_EQ(error_of(request_line(60), line_limit), 414) << "before the line ends";
  EXPECT_EQ(error_of("GET /" + std::string(50, 'a') + "\x01 HTTP/1.1" + rest, line_limit), 414);
  EXPECT_EQ(error_of("GET / HTTP/1.1" + std::string(30, 'a') + rest, line_limit), 414);
  EXPECT_EQ(error_of(with({"X: " + std::string(37, 'a')}), line_limit), 200);
  EXPECT_EQ(error_of(with({"X: " + std::string(38, 'a')}), line_limit), 431);
  EXPECT_EQ(error_of(with({std::string(38, 'a') + ": b"}), line_limit), 431);
  EXPECT_EQ(error_of(with({"X: " + std::string(38, '\x01')}), line_limit), 431);

  const std::string request = with({"X: y"});
  const auto size = static_cast<std::uint16_t>(request.size());
  EXPECT_EQ(error_of(request, {.head_bytes = size}), 200);
  EXPECT_EQ(error_of(request, {.head_bytes = static_cast<std::uint16_t>(size - 1)}), 431);
  EXPECT_EQ(error_of(request, {.head_bytes = 10}), 414);

  EXPECT_EQ(error_of(with({"A: 1", "B: 2"}), {}, 3), 200);
  EXPECT_EQ(error_of(with({"A: 1", "B: 2", "C: 3"}), {}, 3), 431);
}

TEST(RequestParser, EmptyAndUnfinishedInputWaits) {
  for (const char* input :
       {"", "\r", "\r\n", "G", "GET", "GET ", "GET /", "GET / HTTP/1.1", "GET / HTTP/1.1\r",
        "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost", "GET / HTTP/1.1\r\nHost: x\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\r", "GET /%", "GET /%4"}) {
    EXPECT_EQ(parse(input).status, ParseStatus::need_more) << input;
  }
}

TEST(HeaderTable, LooksUpWithoutCase) {
  Parsed p(with({"Accept: a", "X-One: 1", "accept: b"}));
  const HeaderTable& headers = p.parser.headers();
  EXPECT_EQ(headers["aCCEPT"], "a");
  EXPECT_EQ(headers.count("accept"), 2U);
  EXPECT_EQ(headers.value(headers.find("Accept", headers.find("Accept") + 1)), "b");
  EXPECT_EQ(headers["x-two"], "");
  EXPECT_EQ(headers[""], "");
  EXPECT_FALSE(headers.contains("X-Two"));
  std::string names;
  for (auto [name, value] : headers) names.append(name).append("=").append(value).append(";");
  EXPECT_EQ(names, "Host=x;Accept=a;X-One=1;accept=b;");
  EXPECT_TRUE(HeaderTable().empty());
  EXPECT_EQ(HeaderTable()["a"], "");
}

TEST(Methods, SetsAndAllow) {
  MethodSet set{Method::get, Method::options, Method::head};
  EXPECT_TRUE(set.contains(Method::get));
  EXPECT_FALSE(set.contains(Method::post));
  std::array<char, kMaxAllow> out;
  EXPECT_EQ(write_allow(set, out), "GET, HEAD, OPTIONS");
  EXPECT_EQ(write_allow({}, out), "");
  set = {Method::get,     Method::head,    Method::post,    Method::put,   Method::patch,
         Method::delete_, Method::options, Method::connect, Method::trace, Method::other};
  EXPECT_EQ(write_allow(set, out), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, CONNECT, TRACE");
  EXPECT_EQ(write_allow(set, std::span(out).first(10)), "GET, HEAD");
}

}  // namespace
}  // namespace microdot
