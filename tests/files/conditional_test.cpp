// Validators of files and conditional requests for them (RFC 9110 8.8 and 13).

#include "served_files.hpp"

namespace microdot_test {
namespace {

constexpr std::int64_t kBillion = 1'000'000'000;
constexpr const char* kDate = "Sun, 09 Sep 2001 01:46:40 GMT";  // the same
constexpr const char* kBefore = "Sun, 09 Sep 2001 01:46:39 GMT";
constexpr const char* kAfter = "Sun, 09 Sep 2001 01:46:41 GMT";

class Conditional : public FilesTest {
 protected:
  Conditional() {
    add("static/a.css", "body {}", kBillion);
    app.static_files("/static", "static", {.max_age = 60});
    tag_ = get("/static/a.css")["ETag"];
  }
  int status(std::vector<std::string> fields) { return get("/static/a.css", std::move(fields)).status; }

  std::string tag_;
};

TEST_F(Conditional, ValidatorsAreAStrongTagAndTheDate) {
  const Answer res = get("/static/a.css");
  EXPECT_EQ(res["Last-Modified"], kDate);
  ASSERT_GE(tag_.size(), 3U);
  EXPECT_EQ(tag_.front(), '"');
  EXPECT_EQ(tag_.back(), '"');
  EXPECT_EQ(res["ETag"], tag_) << "the same version has the same tag";
}

TEST_F(Conditional, TheTagChangesWithTimeAndSize) {
  add("static/a.css", "body {}", kBillion + 1);
  const std::string later = get("/static/a.css")["ETag"];
  EXPECT_NE(later, tag_);
  add("static/a.css", "body { }", kBillion);
  const std::string longer = get("/static/a.css")["ETag"];
  EXPECT_NE(longer, tag_);
  EXPECT_NE(longer, later);
}

TEST_F(Conditional, WithoutATimeThereAreNoValidators) {
  add("static/b.css", "p {}", 0);
  const Answer res = get("/static/b.css", {"If-Modified-Since: " + std::string(kDate)});
  EXPECT_EQ(res.status, 200);
  EXPECT_FALSE(res.has("ETag")) << "the size alone would call different versions the same";
  EXPECT_FALSE(res.has("Last-Modified"));
}

TEST_F(Conditional, LastModifiedIsNeverInTheFuture) {
  add("static/b.css", "p {}", 5 * kBillion);
  const Answer res = get("/static/b.css");
  EXPECT_EQ(res["Last-Modified"], res["Date"]);
}

TEST_F(Conditional, NotModifiedByTag) {
  EXPECT_EQ(status({"If-None-Match: " + tag_}), 304);
  EXPECT_EQ(status({"If-None-Match: W/" + tag_}), 304) << "compared weakly";
  EXPECT_EQ(status({"If-None-Match: \"x\", " + tag_ + ", \"y\""}), 304);
  EXPECT_EQ(status({"If-None-Match: \"x\"", "If-None-Match: " + tag_}), 304);
  EXPECT_EQ(status({"If-None-Match: *"}), 304);
  EXPECT_EQ(status({"If-None-Match: \"x\""}), 200);
  EXPECT_EQ(status({"If-None-Match: " + tag_.substr(1, tag_.size() - 2)}), 200) << "no tag without quotes";
  EXPECT_EQ(status({"If-None-Match: "}), 200);
}

TEST_F(Conditional, NotModifiedByDate) {
  EXPECT_EQ(status({std::string("If-Modified-Since: ") + kDate}), 304);
  EXPECT_EQ(status({std::string("If-Modified-Since: ") + kAfter}), 304);
  EXPECT_EQ(status({std::string("If-Modified-Since: ") + kBefore}), 200);
  EXPECT_EQ(status({"If-Modified-Since: Sunday, 09-Sep-01 01:46:40 GMT"}), 304) << "RFC 850's form";
  EXPECT_EQ(status({"If-Modified-Since: Sun Sep  9 01:46:40 2001"}), 304) << "asctime's form";
  EXPECT_EQ(status({"If-Modified-Since: yesterday"}), 200);
}

TEST_F(Conditional, NotModifiedHasTheFieldsThatCachesUpdateAndNoBody) {
  const Answer res = get("/static/a.css", {"If-None-Match: " + tag_});
  ASSERT_EQ(res.status, 304);
  EXPECT_EQ(res.body, "");
  EXPECT_EQ(res["ETag"], tag_);
  EXPECT_EQ(res["Cache-Control"], "max-age=60");
  EXPECT_EQ(res["Vary"], "Accept-Encoding");
  EXPECT_TRUE(res.has("Date"));
  EXPECT_FALSE(res.has("Content-Type"));
  EXPECT_FALSE(res.has("Last-Modified")) << "the tag is enough (RFC 9110 15.4.5)";
}

TEST_F(Conditional, HeadIsConditionalToo) {
  const Answer res = ask("HEAD", "/static/a.css", {"If-None-Match: " + tag_});
  EXPECT_EQ(res.status, 304);
  EXPECT_EQ(res["ETag"], tag_);
}

TEST_F(Conditional, PreconditionsThatFail) {
  EXPECT_EQ(status({"If-Match: " + tag_}), 200);
  EXPECT_EQ(status({"If-Match: *"}), 200);
  EXPECT_EQ(status({"If-Match: \"x\""}), 412);
  EXPECT_EQ(status({"If-Match: W/" + tag_}), 412) << "compared strongly";
  EXPECT_EQ(status({std::string("If-Unmodified-Since: ") + kDate}), 200);
  EXPECT_EQ(status({std::string("If-Unmodified-Since: ") + kBefore}), 412);
  EXPECT_EQ(status({"If-Unmodified-Since: yesterday"}), 200);
  const Answer res = get("/static/a.css", {"If-Match: \"x\""});
  EXPECT_FALSE(res.has("Cache-Control")) << "the refusal is not what may be cached";
  EXPECT_EQ(res["Content-Type"], "text/plain; charset=UTF-8");
  EXPECT_THAT(res.body, testing::Not(testing::HasSubstr("body")));
}

// RFC 9110 13.2.2.
TEST_F(Conditional, PreconditionsHaveTheirOrder) {
  const std::string since = std::string("If-Modified-Since: ");
  const std::string unmodified = std::string("If-Unmodified-Since: ");
  EXPECT_EQ(status({"If-None-Match: \"x\"", since + kDate}), 200) << "the tag counts, not the date";
  EXPECT_EQ(status({"If-None-Match: " + tag_, since + kBefore}), 304);
  EXPECT_EQ(status({"If-Match: " + tag_, unmodified + kBefore}), 200) << "the tag counts, not the date";
  EXPECT_EQ(status({"If-Match: \"x\"", unmodified + kDate}), 412);
  EXPECT_EQ(status({"If-Match: " + tag_, "If-None-Match: " + tag_}), 304);
  EXPECT_EQ(status({"If-Match: \"x\"", "If-None-Match: " + tag_}), 412) << "If-Match comes first";
  EXPECT_EQ(status({unmodified + kBefore, since + kDate}), 412);
  EXPECT_EQ(status({"If-None-Match: " + tag_, "Range: bytes=0-0"}), 304) << "before the range";
  EXPECT_EQ(status({"If-None-Match: " + tag_, "Range: bytes=99-"}), 304);
  EXPECT_EQ(status({"If-Match: " + tag_, "Range: bytes=0-0"}), 206);
}

TEST_F(Conditional, ATagOfTheHandlersIsTheValidator) {
  app.get("/own", [](Request&) {
    Response res = send_file("static/a.css");
    res.header("ETag", "\"v7\"");
    return res;
  });
  const Answer res = get("/own");
  EXPECT_EQ(res.all("ETag"), "\"v7\"");
  EXPECT_EQ(get("/own", {"If-None-Match: \"v7\""}).status, 304);
  EXPECT_EQ(get("/own", {"If-None-Match: " + tag_}).status, 200);
}

TEST_F(Conditional, WithoutATagTheDateTellsThatItIsTheSame) {
  app.get("/own", [](Request&) {
    Response res = send_file("static/a.css");
    res.header("ETag", "no tag");
    return res;
  });
  const Answer res = get("/own", {std::string("If-Modified-Since: ") + kDate});
  EXPECT_EQ(res.status, 304);
  EXPECT_EQ(res.all("Last-Modified"), kDate);
}

TEST_F(Conditional, FieldsOfTheHandlersDescribeTheFileToo) {
  app.get("/own", [](Request&) {
    Response res = send_file("static/a.css", {.max_age = 60});
    res.header("Content-Type", "text/own").header("ETag", "\"v7\"").header("Last-Modified", kDate);
    res.header("Cache-Control", "no-cache").header("X-A", "b");
    return res;
  });
  const Answer whole = get("/own");
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(whole.all("Content-Type"), "text/own");
  EXPECT_EQ(whole.all("Last-Modified"), kDate);
  EXPECT_EQ(whole.all("Cache-Control"), "no-cache");
  EXPECT_EQ(whole.all("Accept-Ranges"), "bytes");

  const Answer same = get("/own", {"If-None-Match: \"v7\""});
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.all("ETag"), "\"v7\"");
  EXPECT_EQ(same.all("Cache-Control"), "no-cache");
  EXPECT_EQ(same.all("X-A"), "b");
  EXPECT_FALSE(same.has("Content-Type"));
  EXPECT_EQ(get("/own", {std::string("If-Modified-Since: ") + kDate}).status, 304);

  const Answer part = get("/own", {"Range: bytes=0-3", "If-Range: \"v7\""});
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, "body");
  EXPECT_EQ(part.all("Content-Type"), "text/own");
  EXPECT_EQ(part.all("ETag"), "\"v7\"");
  EXPECT_EQ(get("/own", {"Range: bytes=0-3", "If-Range: " + tag_}).status, 200);

  const Answer beyond = get("/own", {"Range: bytes=99-"});
  EXPECT_EQ(beyond.status, 416);
  EXPECT_EQ(beyond.all("Accept-Ranges"), "bytes");
  EXPECT_EQ(beyond.all("X-A"), "b");
  EXPECT_EQ(beyond.all("Content-Type"), "text/plain; charset=UTF-8");
  for (const char* name : {"ETag", "Last-Modified", "Cache-Control"}) EXPECT_FALSE(beyond.has(name)) << name;
}

}  // namespace
}  // namespace microdot_test
