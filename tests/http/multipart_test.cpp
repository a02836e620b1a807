#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include <microdot/http/multipart.hpp>
#include <microdot/http/url.hpp>

namespace microdot {
namespace {

struct Part {
  std::string name;
  std::string content;
  std::string filename;
  std::string type;
  bool is_file = false;
  bool ended = false;
  friend bool operator==(const Part&, const Part&) = default;
};

std::ostream& operator<<(std::ostream& out, const Part& part) {
  return out << part.name << "|" << part.content << "|" << part.filename << "|" << part.type << "|"
             << part.is_file << part.ended;
}

struct Parsed {
  std::vector<Part> parts;
  int error = 0;
  std::string reason;
  bool ended = false;
  friend bool operator==(const Parsed&, const Parsed&) = default;
};

constexpr std::size_t kHead = 200;

// Parses `input` in the pieces that begin at `starts`, each in memory of exactly its size.
Parsed parse_pieces(std::string_view boundary, const std::string& input,
                    const std::vector<std::size_t>& starts, const MultipartLimits& limits, std::size_t head) {
  const auto window = std::make_unique<char[]>(head);
  MultipartParser parser(boundary, {window.get(), head}, limits);
  Parsed out;
  for (std::size_t i = 0; i < starts.size() && out.error == 0; ++i) {
    const std::size_t end = i + 1 < starts.size() ? starts[i + 1] : input.size();
    const std::size_t size = end - starts[i];
    const auto piece = std::make_unique<char[]>(size);
    std::copy_n(input.data() + starts[i], size, piece.get());
    std::string_view rest(piece.get(), size);
    for (bool more = true; more;) {
      const MultipartResult r = parser.parse(rest);
      rest.remove_prefix(r.consumed);
      switch (r.event) {
        case MultipartEvent::need_more:
          EXPECT_TRUE(rest.empty());
          more = false;
          break;
        case MultipartEvent::part: {
          const MultipartPart& part = parser.part();
          out.parts.push_back({std::string(part.name), "", std::string(part.filename),
                               std::string(part.content_type), part.is_file, false});
          break;
        }
        case MultipartEvent::data:
          EXPECT_FALSE(r.data.empty());
          out.parts.back().content += r.data;
          break;
        case MultipartEvent::end_of_part: out.parts.back().ended = true; break;
        case MultipartEvent::end: out.ended = true; break;
        case MultipartEvent::error:
          more = false;
          out.error = parser.error_status();
          EXPECT_EQ(parser.parse(rest).event, MultipartEvent::error);
          EXPECT_FALSE(parser.finish());
          break;
      }
    }
  }
  EXPECT_EQ(parser.done(), out.ended);
  if (out.error == 0 && !parser.finish()) out.error = parser.error_status();
  EXPECT_EQ(out.error != 0, parser.error_status() != 0);
  out.reason = parser.error_reason();
  EXPECT_EQ(out.reason.empty(), out.error == 0);
  return out;
}

// In one piece, after proving that bytes and any two pieces give the same.
Parsed parse(std::string_view boundary, const std::string& input, const MultipartLimits& limits = {},
             std::size_t head = kHead) {
  const Parsed whole = parse_pieces(boundary, input, {0}, limits, head);
  std::vector<std::size_t> every;
  for (std::size_t i = 0; i < input.size(); ++i) every.push_back(i);
  EXPECT_EQ(parse_pieces(boundary, input, every, limits, head), whole) << input;
  for (std::size_t i = 0; i < input.size(); ++i) {
    EXPECT_EQ(parse_pieces(boundary, input, {0, i}, limits, head), whole)
        << "split at " << i << ": " << input;
  }
  return whole;
}

// One part with these lines in its head.
Parsed parse_head(const std::string& lines) {
  return parse("b", "--b\r\n" + lines + "\r\n\r\nx\r\n--b--\r\n");
}
// One part with this value of Content-Disposition.
Parsed parse_disposition(const std::string& value) { return parse_head("Content-Disposition: " + value); }

// A form field.
std::string field(std::string_view boundary, std::string_view name, std::string_view content) {
  return std::string("--") + std::string(boundary) + "\r\nContent-Disposition: form-data; name=\"" +
         std::string(name) + "\"\r\n\r\n" + std::string(content) + "\r\n";
}

TEST(MultipartParser, FieldsAndFilesInTheOrderSent) {
  const std::string b = "----WebKitFormBoundary7MA4YWxkTrZu0gW";
  const std::string body = field(b, "title", "Holidays") + "--" + b +
                           "\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"sea.jpg\"\r\n"
                           "Content-Type: image/jpeg\r\n\r\n\xff\xd8\r\n\r\n--\r\n-\r\n" +
                           field(b, "empty", "") + "--" + b + "--\r\n";
  const Parsed r = parse(b, body);
  EXPECT_EQ(r.error, 0) << r.reason;
  EXPECT_TRUE(r.ended);
  ASSERT_EQ(r.parts.size(), 3U);
  EXPECT_EQ(r.parts[0], (Part{"title", "Holidays", "", "", false, true}));
  EXPECT_EQ(r.parts[1], (Part{"photo", "\xff\xd8\r\n\r\n--\r\n-", "sea.jpg", "image/jpeg", true, true}));
  EXPECT_EQ(r.parts[2], (Part{"empty", "", "", "", false, true}));
}

TEST(MultipartParser, ContentIsWhateverIsNoDelimiter) {
  for (const char* content :
       {"", "\r", "\n", "\r\n", "\r\n-", "\r\n--", "\r\n--a", "\r\n--aB", "\r\r\n--aB", "\n--aBc", "--aB",
        "\r\n-\r\n--a\r\n--aB", "--aBd\r\n", "\r\n --aBc", "\r--aBc", "-", "--", "x--aBc", "\r\n\r\n\r\n"}) {
    const Parsed r = parse("aBc", field("aBc", "n", content) + "--aBc--");
    EXPECT_EQ(r.error, 0) << content << r.reason;
    ASSERT_EQ(r.parts.size(), 1U) << content;
    EXPECT_EQ(r.parts[0].content, content);
    EXPECT_TRUE(r.parts[0].ended);
  }
}

TEST(MultipartParser, AFormOfNothing) {  // what browsers send of one without fields
  const Parsed r = parse("b", "--b--\r\n");
  EXPECT_EQ(r.error, 0);
  EXPECT_TRUE(r.ended);
  EXPECT_TRUE(r.parts.empty());
}

TEST(MultipartParser, PartWithoutContentMayEndWithItsHead) {  // RFC 2046 5.1.1: [CRLF *OCTET]
  const Parsed r = parse(
      "b", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n" + field("b", "c", "d") + "--b--");
  EXPECT_EQ(r.error, 0) << r.reason;
  ASSERT_EQ(r.parts.size(), 2U);
  EXPECT_EQ(r.parts[0].content, "");
  EXPECT_EQ(r.parts[1].content, "d");
}

TEST(MultipartParser, PreambleAndEpilogueAreLeftOut) {  // RFC 2046 5.1.1
  const std::string body = field("b", "n", "x") + "--b--";
  for (const char* preamble : {"\r\n", "a preamble\r\n", "\r\n\r\n", "--\r\n", "--c\r\n\r\n"}) {
    const Parsed r = parse("b", preamble + body);
    EXPECT_EQ(r.error, 0) << preamble << r.reason;
    EXPECT_EQ(r.parts.size(), 1U) << preamble;
  }
  const Parsed one = parse("b", "no line end" + body);
  EXPECT_EQ(one.error, 0) << "only the last is a delimiter, so it is a form of nothing";
  EXPECT_TRUE(one.parts.empty());
  for (const char* epilogue : {"", "\r\n", "\r\nan epilogue", "x", "\r\n--b\r\n", "\r\n--b--\r\n"}) {
    const Parsed r = parse("b", body + epilogue);
    EXPECT_EQ(r.error, 0) << epilogue;
    EXPECT_TRUE(r.ended);
    EXPECT_EQ(r.parts.size(), 1U) << epilogue;
  }
}

TEST(MultipartParser, WithoutItsDelimitersItIsRefused) {
  EXPECT_EQ(parse("b", "").reason, "no delimiter");
  EXPECT_EQ(parse("b", "no delimiter at all").reason, "no delimiter");
  EXPECT_EQ(parse("c", field("b", "n", "x") + "--b--\r\n").reason, "no delimiter") << "another boundary";
  // As soon as so much has come that there won't be one.
  const std::string much(2000, 'x');
  EXPECT_EQ(parse("b", much + "\r\n" + field("b", "n", "x") + "--b--").reason, "no delimiter");
  EXPECT_EQ(parse("b", std::string(20, 'x') + "\r\n--b--", {.preamble_bytes = 20}).error, 0);
  EXPECT_EQ(parse("b", std::string(21, 'x') + "\r\n--b--", {.preamble_bytes = 20}).error, 400);
  const std::string whole = field("b", "n", "x") + "--b--";
  for (std::size_t size = 3; size < whole.size(); ++size) {
    const Parsed r = parse_pieces("b", whole.substr(0, size), {0}, {}, kHead);
    EXPECT_EQ(r.error, 400) << size;
    EXPECT_EQ(r.reason, "missing last delimiter") << size;
    EXPECT_FALSE(r.ended);
  }
}

TEST(MultipartParser, WhatFollowsABoundary) {  // RFC 2046 5.1.1: transport-padding
  for (const char* padding : {" ", "\t", " \t  "}) {
    const Parsed r = parse("b", std::string("--b") + padding +
                                    "\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--b" + padding +
                                    "\r\nContent-Disposition: form-data; name=c\r\n\r\ny\r\n--b--" + padding);
    EXPECT_EQ(r.error, 0) << r.reason;
    EXPECT_EQ(r.parts.size(), 2U);
  }
  for (const char* bad : {"x", "\n", "-", "-x", " -", "\rx", " --", "bc\r\n"}) {
    const Parsed r = parse("b", field("b", "n", "x") + "--b" + bad + std::string(70, ' '));
    EXPECT_EQ(r.reason, "invalid delimiter") << bad;
    EXPECT_EQ(r.error, 400);
    ASSERT_EQ(r.parts.size(), 1U);
    EXPECT_FALSE(r.parts[0].ended) << "nothing says that it was whole: " << bad;
  }
  EXPECT_EQ(parse("b", "--b" + std::string(64, ' ') + "\r\n").reason, "missing last delimiter");
  EXPECT_EQ(parse("b", "--b" + std::string(65, ' ') + "\r\n").reason, "invalid delimiter");
}

TEST(MultipartParser, Boundaries) {
  const std::string longest(70, 'b');
  for (const std::string& boundary :
       {std::string("b"), longest, std::string("a b"), std::string("--"), std::string("0'()+_,-./:=?Z")}) {
    EXPECT_EQ(parse(boundary, field(boundary, "n", "x") + "--" + boundary + "--").parts.size(), 1U)
        << boundary;
  }
  for (const std::string& boundary :
       {std::string(), longest + "b", std::string("b "), std::string("a\r\nb"), std::string("\"b\"")}) {
    const Parsed r = parse_pieces(boundary, "--b--", {0}, {}, kHead);
    EXPECT_EQ(r.reason, "invalid boundary") << boundary;
    EXPECT_EQ(r.error, 400);
  }
}

TEST(MultipartParser, NamesAsBrowsersSendThem) {
  const auto name = [](const std::string& sent) {
    const Parsed r = parse_disposition("form-data; name=" + sent);
    return r.error == 0 ? r.parts.at(0).name : "refused: " + r.reason;
  };
  EXPECT_EQ(name("\"a\""), "a");
  EXPECT_EQ(name("a"), "a");
  EXPECT_EQ(name("\"\""), "");
  EXPECT_EQ(name("\"a;b=c\""), "a;b=c");
  EXPECT_EQ(name("\"\xc3\xa4 \xe6\x97\xa5\""), "\xc3\xa4 \xe6\x97\xa5");
  EXPECT_EQ(name("\"\xff\""), "\xff");
  // The URL standard's browsers: a quote and line ends, and no other percent sign.
  EXPECT_EQ(name("\"a%22b%0D%0Ac%0d%0a\""), "a\"b\r\nc\r\n");
  EXPECT_EQ(name("\"100%25 %2 % %2\""), "100%25 %2 % %2");
  EXPECT_EQ(name("\"%22\""), "\"");
  EXPECT_EQ(name("\"%\""), "%");
  // Older ones, and programs: quoted pairs; and paths that were never quoted.
  EXPECT_EQ(name("\"a\\\"b\\\\c\""), "a\"b\\c");
  EXPECT_EQ(name("\"C:\\dir\\a.txt\""), "C:\\dir\\a.txt");
  EXPECT_EQ(name("\"ends with \\\""), "ends with \\");
  EXPECT_EQ(name("\"ends with \\\\\""), "ends with \\");
  EXPECT_EQ(name("\"\\\""), "\\");
  EXPECT_EQ(name("\"a\\%22\""), "a\\\"");
  // A quote that ends too early is told from one that is a part of the name.
  for (const char* bad : {"\"a", "\"", "\"a\"b", "\"a\" b", "a b", "a\"b\"", "", "\"a\\\"; filename=\"b\"",
                          "\"a\\", "(a)", "\"a\"=", "=a"})
    EXPECT_EQ(name(bad), "refused: invalid Content-Disposition") << bad;
}

TEST(MultipartParser, Filenames) {
  const auto file = [](const std::string& sent) {
    const Parsed r = parse_disposition("form-data; " + sent);
    return r.error == 0 ? r.parts.at(0) : Part{"refused: " + r.reason, "", "", "", false, false};
  };
  EXPECT_EQ(file("name=a; filename=\"b c.txt\"").filename, "b c.txt");
  EXPECT_EQ(file("filename=b.txt; name=\"a\"").filename, "b.txt");
  EXPECT_EQ(file("NAME=a;FileName=b.txt").filename, "b.txt");
  EXPECT_EQ(file("name=a \t;\tfilename=b.txt ;").filename, "b.txt");
  EXPECT_EQ(file(";; name=a ;;").name, "a");
  EXPECT_TRUE(file("name=a; filename=\"\"").is_file) << "no file was chosen";
  EXPECT_FALSE(file("name=a").is_file);
  EXPECT_EQ(file("name=a; filename=\"..\\\"/%22\"").filename, "..\"/\"");
  // RFC 7578 4.2: filename* is not for forms.
  const Part both = file("name=a; filename=\"plain\"; filename*=UTF-8''other%20one; size=1");
  EXPECT_EQ(both.filename, "plain");
  EXPECT_FALSE(file("name=a; filename*=UTF-8''other").is_file);
  for (const char* twice : {"name=a; name=a", "name=a; filename=b; filename=b"})
    EXPECT_EQ(file(twice).name, "refused: invalid Content-Disposition") << twice;
  for (const char* none : {"filename=b", "x=y", ""})
    EXPECT_EQ(file(none).name, "refused: part without a name");
}

TEST(MultipartParser, Heads) {
  EXPECT_EQ(
      parse_head(
          "content-disposition:form-data;name=a\r\nX-Other: y\r\nCONTENT-TYPE: text/plain;charset=utf-8 ")
          .parts.at(0),
      (Part{"a", "x", "", "text/plain;charset=utf-8", false, true}));
  const std::string good = "Content-Disposition: form-data; name=a";
  for (const char* encoding : {"binary", "8bit", "7Bit"})
    EXPECT_EQ(parse_head(good + "\r\nContent-Transfer-Encoding: " + encoding).error, 0);
  struct Case {
    const char* lines;
    const char* reason;
  };
  for (const auto& [lines, reason] : std::initializer_list<Case>{
           {"Content-Type: text/plain", "part without a name"},
           {"Content-Disposition: attachment; name=a", "invalid Content-Disposition"},
           {"Content-Disposition: form-data name=a", "invalid Content-Disposition"},
           {"Content-Disposition:", "invalid Content-Disposition"},
           {"Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b",
            "field sent twice in the head of a part"},
           {"Content-Type: a/b\r\nContent-Type: a/b\r\nContent-Disposition: form-data; name=a",
            "field sent twice in the head of a part"},
           {"Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64",
            "unsupported Content-Transfer-Encoding"},
           {"Content-Disposition: form-data; name=a;\r\n filename=b", "invalid field in the head of a part"},
           {"Content-Disposition : form-data; name=a", "invalid field in the head of a part"},
           {"no colon", "invalid field in the head of a part"},
           {": x", "invalid field in the head of a part"},
           {"X: a\rb", "invalid field in the head of a part"},
           {"X: a\x01", "invalid field in the head of a part"},
           {"X: a\nY: b", "bare LF in the head of a part"},
           {"\nX: a", "bare LF in the head of a part"},
       }) {
    const Parsed r = parse_head(lines);
    EXPECT_EQ(r.reason, reason) << lines;
    EXPECT_EQ(r.error, 400) << lines;
    EXPECT_TRUE(r.parts.empty());
  }
  EXPECT_EQ(parse("b", "--b\r\n\r\nx\r\n--b--").reason, "part without a name");
  EXPECT_EQ(parse("b", std::string("--b\r\nX: a\0b\r\n\r\n", 16)).error, 400);
}

TEST(MultipartParser, HeadsAreBounded) {
  const std::string head = "Content-Disposition: form-data; name=a\r\n\r\n";
  const std::string body = "--b\r\n" + head + "x\r\n--b\r\n" + head + "y\r\n--b--";
  EXPECT_EQ(parse("b", body, {}, head.size()).parts.size(), 2U) << "each has the whole window";
  const Parsed r = parse("b", body, {}, head.size() - 1);
  EXPECT_EQ(r.error, 413);
  EXPECT_EQ(r.reason, "head of a part too large");
  EXPECT_EQ(parse("b", "--b\r\n" + std::string(1000, 'x')).error, 413) << "also without a line's end";
}

TEST(MultipartParser, NoBytesAreNoBytes) {
  char head[kHead];
  MultipartParser parser("b", head);
  const std::string body = field("b", "n", "xyz") + "--b--";
  int parts = 0;
  for (const char& byte : body) {
    EXPECT_EQ(parser.parse({}).event, MultipartEvent::need_more);
    for (std::string_view rest(&byte, 1);;) {
      const MultipartResult r = parser.parse(rest);
      rest.remove_prefix(r.consumed);
      parts += r.event == MultipartEvent::part ? 1 : 0;
      if (r.event == MultipartEvent::need_more) break;
    }
  }
  EXPECT_EQ(parts, 1);
  EXPECT_TRUE(parser.finish());
}

TEST(MultipartParser, PartsAreCounted) {
  std::string body;
  for (int i = 0; i < 3; ++i) body += field("b", "n", "x");
  EXPECT_EQ(parse("b", body + "--b--", {.parts = 3}).error, 0);
  const Parsed r = parse("b", body + "--b--", {.parts = 2});
  EXPECT_EQ(r.error, 413);
  EXPECT_EQ(r.reason, "too many parts");
  ASSERT_EQ(r.parts.size(), 2U);
  EXPECT_EQ(parse("b", "--b--", {.parts = 0}).error, 0);
}

TEST(MultipartBoundary, IsReadFromContentType) {
  const auto boundary = [](std::string_view type) {
    const Result<std::string_view> found = multipart_boundary(type);
    return found ? std::string(*found) : "! " + std::string(to_string(found.error()));
  };
  EXPECT_EQ(boundary("multipart/form-data; boundary=abc"), "abc");
  EXPECT_EQ(boundary("Multipart/Form-Data;charset=utf-8;BOUNDARY=\"a b:c\""), "a b:c");
  EXPECT_EQ(boundary("multipart/form-data \t; ; boundary=----=_Part_1/2:3?(4) ; x=\"y;boundary=z\""),
            "----=_Part_1/2:3?(4)");
  EXPECT_EQ(boundary("multipart/form-data; boundary=" + std::string(70, 'x')), std::string(70, 'x'));
  for (const char* other : {"", "multipart/mixed; boundary=b", "text/plain",
                            "multipart/form-datax; boundary=b", "application/x-www-form-urlencoded"})
    EXPECT_EQ(boundary(other), "! " + std::string(to_string(Error::unsupported))) << other;
  for (const std::string& bad :
       {std::string("multipart/form-data"), std::string("multipart/form-data;"),
        std::string("multipart/form-data; boundary"), std::string("multipart/form-data; boundary="),
        std::string("multipart/form-data; boundary=\"\""), std::string("multipart/form-data; boundary=\"a"),
        std::string("multipart/form-data; boundary=\"a \""), std::string("multipart/form-data; boundary=a b"),
        std::string("multipart/form-data; boundary=a; boundary=a"),
        std::string("multipart/form-data; boundary=a\"b"),
        std::string("multipart/form-data; boundary=\"a\\\"b\""),
        std::string("multipart/form-data, boundary=a"), std::string("multipart/form-data; boundary = a"),
        "multipart/form-data; boundary=" + std::string(71, 'x')}) {
    if (bad.find(',') != std::string::npos) {
      EXPECT_EQ(boundary(bad), "! " + std::string(to_string(Error::unsupported))) << bad;
    } else {
      EXPECT_EQ(boundary(bad), "! " + std::string(to_string(Error::invalid))) << bad;
    }
  }
}

TEST(SafeFilename, NeverLeavesItsDirectory) {
  const auto safe = [](std::string_view name) {
    std::array<char, 32> out{};
    const std::string_view text = safe_filename(name, out);
    EXPECT_TRUE(is_local_path(text)) << name;
    EXPECT_EQ(text.find('/'), std::string_view::npos) << name;
    return std::string(text);
  };
  EXPECT_EQ(safe("photo of us.jpg"), "photo of us.jpg");
  EXPECT_EQ(safe("\xc3\x9c"
                 "ber.txt"),
            "\xc3\x9c"
            "ber.txt");
  EXPECT_EQ(safe("../../etc/passwd"), "passwd");
  EXPECT_EQ(safe("/etc/passwd"), "passwd");
  EXPECT_EQ(safe("C:\\Documents\\a.txt"), "a.txt");
  EXPECT_EQ(safe("..\\..\\a.txt"), "a.txt");
  EXPECT_EQ(safe("..."), "upload");
  EXPECT_EQ(safe(".."), "upload");
  EXPECT_EQ(safe("a/.."), "upload");
  EXPECT_EQ(safe(""), "upload");
  EXPECT_EQ(safe("a/"), "upload");
  EXPECT_EQ(safe(".htaccess"), "htaccess");
  EXPECT_EQ(safe(" . .x"), "x");
  EXPECT_EQ(safe("a. . "), "a");
  EXPECT_EQ(safe(std::string_view("a\0b\r\n\x7f"
                                  "c",
                                  7)),
            "abc");
  EXPECT_EQ(safe("a:b*c?d\"e<f>g|h"), "a_b_c_d_e_f_g_h");
  EXPECT_EQ(safe("a\xff.txt"), "a_.txt");
  EXPECT_EQ(safe(std::string(40, 'x')), std::string(32, 'x'));
  EXPECT_EQ(safe(std::string(31, 'x') + "\xc3\xa4"), std::string(31, 'x')) << "no half of a character";
}

}  // namespace
}  // namespace microdot
