// Byte ranges of files (RFC 9110 14), one and several.

#include <algorithm>

#include "served_files.hpp"

namespace microdot_test {
namespace {

constexpr const char* kModified = "Sun, 13 Sep 2020 12:26:40 GMT";  // 1'600'000'000

struct Part {
  std::string type;
  std::string range;
  std::string bytes;
};

/// Takes a multipart/byteranges body apart, strictly (RFC 2046 5.1.1, RFC 9110 14.6).
std::vector<Part> parts_of(const Answer& res) {
  std::vector<Part> parts;
  constexpr std::string_view kType = "multipart/byteranges; boundary=";
  const std::string type = res["Content-Type"];
  EXPECT_TRUE(type.starts_with(kType)) << type;
  const std::string delimiter = "--" + type.substr(std::min(kType.size(), type.size()));
  EXPECT_FALSE(res.has("Content-Range")) << "belongs to the parts";
  std::string_view rest = res.body;
  const auto take = [&rest](std::string_view text) {
    EXPECT_TRUE(rest.starts_with(text)) << "expected " << text << " at " << rest.substr(0, 80);
    rest.remove_prefix(std::min(text.size(), rest.size()));
  };
  const auto line = [&rest] {
    const std::string_view text = rest.substr(0, rest.find("\r\n"));
    rest.remove_prefix(std::min(text.size() + 2, rest.size()));
    return text;
  };
  take(delimiter);
  while (rest.starts_with("\r\n")) {
    take("\r\n");
    Part part;
    for (std::string_view field = line(); !field.empty(); field = line()) {
      if (field.starts_with("Content-Type: ")) part.type = field.substr(14);
      if (field.starts_with("Content-Range: ")) part.range = field.substr(15);
    }
    const std::size_t size = rest.find("\r\n" + delimiter);
    EXPECT_NE(size, rest.npos) << "a part without end";
    if (size == rest.npos) break;
    part.bytes = rest.substr(0, size);
    rest.remove_prefix(size);
    take("\r\n" + delimiter);
    parts.push_back(part);
  }
  EXPECT_EQ(rest, "--\r\n");
  return parts;
}

class Range : public StoredFilesTest {
 protected:
  Range() {
    add("static/ten.txt", "0123456789");
    add("static/empty.txt", "");
    app.static_files("/s", root("static"), {.max_age = 60});
  }
  Answer range(const std::string& value, std::vector<std::string> fields = {}) {
    fields.push_back("Range: " + value);
    return get("/s/ten.txt", std::move(fields));
  }
  void expect_part(const std::string& value, const std::string& content_range, const std::string& body) {
    const Answer res = range(value);
    EXPECT_EQ(res.status, 206) << value;
    EXPECT_EQ(res["Content-Range"], content_range) << value;
    EXPECT_EQ(res.body, body) << value;
    EXPECT_EQ(res["Content-Type"], "text/plain; charset=UTF-8");
    EXPECT_EQ(res["Accept-Ranges"], "bytes");
  }
  void expect_whole(const std::string& value) {
    const Answer res = range(value);
    EXPECT_EQ(res.status, 200) << value;
    EXPECT_FALSE(res.has("Content-Range")) << value;
    EXPECT_EQ(res.body, "0123456789") << value;
  }
};

INSTANTIATE_TEST_SUITE_P(Of, Range, testing::Values(Storage::files, Storage::embedded), storage_name);

TEST_P(Range, OneRange) {
  expect_part("bytes=0-0", "bytes 0-0/10", "0");
  expect_part("bytes=0-3", "bytes 0-3/10", "0123");
  expect_part("bytes=4-6", "bytes 4-6/10", "456");
  expect_part("bytes=7-", "bytes 7-9/10", "789");
  expect_part("bytes=-2", "bytes 8-9/10", "89");
  expect_part("bytes=0-", "bytes 0-9/10", "0123456789");
  expect_part("bytes=-10", "bytes 0-9/10", "0123456789");
  expect_part("bytes=-99", "bytes 0-9/10", "0123456789");
  expect_part("bytes=8-99", "bytes 8-9/10", "89");
  expect_part("bytes=9-99999999999999999999999", "bytes 9-9/10", "9");
  expect_part("Bytes=1-1", "bytes 1-1/10", "1");  // units have no case (RFC 9110 14.1)
}

TEST_P(Range, WhatIsNoRangeIsIgnored) {
  for (const char* value : {"bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=1-2-3",
                            "lines=0-1", "bytes=0x0-1", "bytes =0-1", "bytes=0-1;2-3", "bytes=+1-2", "0-1"}) {
    expect_whole(value);
  }
  EXPECT_EQ(range("bytes=0-1", {"Range: bytes=2-3"}).status, 200) << "two fields";
}

TEST_P(Range, BeyondTheEndIsNotSatisfiable) {
  for (const char* value :
       {"bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999999-", "bytes=20-,30-"}) {
    const Answer res = range(value);
    EXPECT_EQ(res.status, 416) << value;
    EXPECT_EQ(res["Content-Range"], "bytes */10");
    EXPECT_FALSE(res.has("Cache-Control"));
    EXPECT_FALSE(res.has("Last-Modified")) << "that of the refusal is not known";
    EXPECT_EQ(res["Content-Type"], "text/plain; charset=UTF-8");
    EXPECT_THAT(res.body, testing::Not(testing::HasSubstr("0123")));
  }
}

TEST_P(Range, AnEmptyFileHasNoBytesToAskFor) {
  const Answer res = get("/s/empty.txt", {"Range: bytes=0-"});
  EXPECT_EQ(res.status, 416);
  EXPECT_EQ(res["Content-Range"], "bytes */0");
}

TEST_P(Range, HeadIgnoresRange) {
  const Answer res = ask("HEAD", "/s/ten.txt", {"Range: bytes=0-1"});
  EXPECT_EQ(res.status, 200);
  EXPECT_EQ(res["Content-Length"], "10");
}

TEST_P(Range, TheFieldsOfTheWholeAreThereToo) {
  const Answer whole = get("/s/ten.txt");
  const Answer res = range("bytes=2-4");
  for (const char* name : {"ETag", "Last-Modified", "Cache-Control", "Vary"}) {
    EXPECT_EQ(res[name], whole[name]) << name;
    EXPECT_EQ(res.has(name), name != std::string_view("Last-Modified") || !embedded()) << name;
  }
}

TEST_P(Range, IfRangeNamesTheVersion) {
  const std::string tag = get("/s/ten.txt")["ETag"];
  EXPECT_EQ(range("bytes=0-1", {"If-Range: " + tag}).status, 206);
  EXPECT_EQ(range("bytes=0-1", {"If-Range: \"other\""}).status, 200);
  EXPECT_EQ(range("bytes=0-1", {"If-Range: W/" + tag}).status, 200) << "compared strongly";
  EXPECT_EQ(range("bytes=0-1", {std::string("If-Range: ") + kModified}).status, embedded() ? 200 : 206)
      << "embedded files have no date";
  EXPECT_EQ(range("bytes=0-1", {"If-Range: Sun, 13 Sep 2020 12:26:41 GMT"}).status, 200)
      << "exact, not later";
  EXPECT_EQ(range("bytes=0-1", {"If-Range: Sun, 13 Sep 2020 12:26:39 GMT"}).status, 200);
  EXPECT_EQ(range("bytes=0-1", {"If-Range: nonsense"}).status, 200);
  EXPECT_EQ(range("bytes=99-", {"If-Range: \"other\""}).status, 200) << "another version: no 416 for it";
  EXPECT_EQ(range("bytes=99-", {"If-Range: " + tag}).status, 416);
}

TEST_P(Range, ADateOfThisSecondIsNoStrongValidator) {
  add("static/new.txt", "0123456789", 2'000'000'000);  // the clock of the file system is ahead
  const std::string date = get("/s/new.txt")["Last-Modified"];
  EXPECT_EQ(get("/s/new.txt", {"Range: bytes=0-1", "If-Range: " + date}).status, 200);
}

TEST_P(Range, ServesSeveralRangesAsParts) {
  const Answer res = range("bytes=0-1, 4-5,-2");
  EXPECT_EQ(res.status, 206);
  const std::vector<Part> parts = parts_of(res);
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0].bytes, "01");
  EXPECT_EQ(parts[1].bytes, "45");
  EXPECT_EQ(parts[2].bytes, "89");
  EXPECT_EQ(parts[0].range, "bytes 0-1/10");
  EXPECT_EQ(parts[1].range, "bytes 4-5/10");
  EXPECT_EQ(parts[2].range, "bytes 8-9/10");
  for (const Part& part : parts) EXPECT_EQ(part.type, "text/plain; charset=UTF-8");
  expect_opened({"ten.txt"});
}

TEST_P(Range, PartsStayInTheOrderAskedFor) {
  const std::vector<Part> parts = parts_of(range("bytes=8-9,0-1"));
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].bytes, "89");
  EXPECT_EQ(parts[1].bytes, "01");
}

TEST_P(Range, RangesThatCannotBeHadAreLeftOut) {
  EXPECT_EQ(parts_of(range("bytes=0-0,50-60,9-9")).size(), 2U);
  expect_part("bytes=50-60,3-4", "bytes 3-4/10", "34");  // one is left: no multipart is needed
}

TEST_P(Range, TooManyOrOverlappingRangesAreAnsweredWithTheWhole) {
  expect_whole("bytes=0-5,3-8");
  expect_whole("bytes=0-,0-,0-,0-");
  std::string many = "bytes=";
  add("static/long.txt", std::string(1000, 'x'));
  for (int i = 0; i < 17; ++i)
    many += (i == 0 ? "" : ",") + std::to_string(i * 10) + "-" + std::to_string(i * 10 + 1);
  EXPECT_EQ(get("/s/long.txt", {"Range: " + many}).status, 200);
  many.resize(many.rfind(','));
  EXPECT_EQ(parts_of(get("/s/long.txt", {"Range: " + many})).size(), 16U);
}

TEST_P(Range, BoundariesDiffer) {
  EXPECT_NE(range("bytes=0-0,2-2")["Content-Type"], range("bytes=0-0,2-2")["Content-Type"]);
}

TEST_P(Range, NotForFieldsThatDenyThem) {
  app.get("/none", [root = root("static")](Request&) {
    Response res = send_file("ten.txt", {.root = root});
    res.header("Accept-Ranges", "none");
    return res;
  });
  const Answer res = get("/none", {"Range: bytes=0-1"});
  EXPECT_EQ(res.status, 200);
  EXPECT_EQ(res.all("Accept-Ranges"), "none");
}

// Files and parts that are larger than every buffer, from a file and from memory: all bytes, in order.
TEST_P(Range, PartsOfLargeFilesAreExact) {
  const std::string content = noise(200'000);
  add("static/large.bin", content);
  add_in_place("static/flash.bin", content);
  std::mt19937 random(11);
  for (int round = 0; round < 60; ++round) {
    // An even number of distinct positions, in order: ranges that don't overlap.
    const std::size_t count = 2 + random() % 6;
    std::vector<std::size_t> ends;
    while (ends.size() < 2 * count) {
      const std::size_t at = random() % (random() % 2 == 0 ? content.size() : 500);
      if (std::find(ends.begin(), ends.end(), at) == ends.end()) ends.push_back(at);
    }
    std::sort(ends.begin(), ends.end());
    std::string field = "Range: bytes=";
    for (std::size_t i = 0; i < count; ++i) {
      field += (i == 0 ? "" : ",") + std::to_string(ends[2 * i]) + "-" + std::to_string(ends[2 * i + 1]);
    }
    const Answer res = get(round % 2 == 0 ? "/s/large.bin" : "/s/flash.bin", {field});
    const std::vector<Part> parts = parts_of(res);
    ASSERT_EQ(parts.size(), count) << field;
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_EQ(parts[i].type, "application/octet-stream");
      ASSERT_TRUE(parts[i].bytes == content.substr(ends[2 * i], ends[2 * i + 1] - ends[2 * i] + 1)) << field;
    }
  }
}

// However little room the head leaves in the response buffer, nothing changes places.
class RangeInSmallBuffer : public FilesTest {
 protected:
  RangeInSmallBuffer() : FilesTest(limits()) {}
  static Limits limits() {
    Limits small = Limits::device();
    small.response_bytes = 800;
    small.arena_bytes = 4096;
    return small;
  }
};

TEST_F(RangeInSmallBuffer, PartsStayInOrder) {
  add("ten.txt", "0123456789");
  static std::string padding;
  app.get("/", [](Request&) {
    Response res = send_file("ten.txt");
    res.header("X-Padding", padding);
    return res;
  });
  int answered = 0;
  for (std::size_t size = 1; size < 600; size += 3) {
    padding.assign(size, 'x');
    const Answer res = get("/", {"Range: bytes=0-3,6-9"});
    if (res.status == 500) continue;  // the head itself has no room
    ++answered;
    const std::vector<Part> parts = parts_of(res);
    ASSERT_EQ(parts.size(), 2U) << size;
    EXPECT_EQ(parts[0].bytes, "0123") << size;
    EXPECT_EQ(parts[1].bytes, "6789") << size;
  }
  EXPECT_GT(answered, 50);
}

}  // namespace
}  // namespace microdot_test
