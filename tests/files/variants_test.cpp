// Precompressed siblings of files, chosen by Accept-Encoding (RFC 9110 12.5.3).

#include "served_files.hpp"

namespace microdot_test {
namespace {

class Variants : public FilesTest {
 protected:
  Variants() {
    add("static/app.js", "plain");
    add("static/app.js.gz", "gzip!");
    add("static/app.js.br", "brrrr");
    add("static/gz.js", "plain");
    add("static/gz.js.gz", "gzip!");
    add("static/none.js", "plain");
    app.static_files("/s", "static", {.max_age = 60});
  }
  std::string coding(const std::string& accept, const std::string& url = "/s/app.js") {
    const Answer res = get(url, {"Accept-Encoding: " + accept});
    EXPECT_EQ(res.status, 200);
    EXPECT_EQ(res["Content-Type"], "text/javascript; charset=UTF-8");
    EXPECT_EQ(res["Vary"], "Accept-Encoding");
    const std::string encoding = res["Content-Encoding"];
    EXPECT_EQ(res.body, encoding == "br" ? "brrrr" : encoding == "gzip" ? "gzip!" : "plain");
    return encoding;
  }
};

TEST_F(Variants, TheBestAcceptedCodingIsSent) {
  EXPECT_EQ(coding("gzip, deflate, br"), "br");
  EXPECT_EQ(coding("gzip"), "gzip");
  EXPECT_EQ(coding("x-gzip"), "gzip");
  EXPECT_EQ(coding("br"), "br");
  EXPECT_EQ(coding("*"), "br");
  EXPECT_EQ(coding("GZIP"), "gzip");
  EXPECT_EQ(coding("deflate"), "");
  EXPECT_EQ(coding("identity"), "");
}

TEST_F(Variants, QualitiesDecide) {
  EXPECT_EQ(coding("br;q=0.5, gzip;q=0.8"), "gzip");
  EXPECT_EQ(coding("br;q=0.8, gzip;q=0.5"), "br");
  EXPECT_EQ(coding("br;q=0, gzip"), "gzip");
  EXPECT_EQ(coding("br;q=0, gzip;q=0"), "");
  EXPECT_EQ(coding("gzip;q=0, *"), "br");
  EXPECT_EQ(coding("*;q=0"), "");
  EXPECT_EQ(coding("identity, gzip;q=0.5"), "");
  EXPECT_EQ(coding("identity;q=0.5, gzip;q=0.6"), "gzip");
  EXPECT_EQ(coding("gzip;q=0.001"), "gzip");
}

TEST_F(Variants, WhatIsMissingIsNotSent) {
  EXPECT_EQ(coding("br, gzip", "/s/gz.js"), "gzip");
  EXPECT_EQ(coding("br", "/s/gz.js"), "");
  EXPECT_EQ(coding("br, gzip", "/s/none.js"), "");
  EXPECT_EQ(coding("identity;q=0, br", "/s/none.js"), "") << "better that than nothing";
}

TEST_F(Variants, WithoutTheFieldNothingIsCompressed) {
  const Answer res = get("/s/app.js");
  EXPECT_EQ(res.body, "plain");
  EXPECT_FALSE(res.has("Content-Encoding"));
  EXPECT_EQ(res["Vary"], "Accept-Encoding") << "another request might get another answer";
}

TEST_F(Variants, OpensNoMoreThanItMust) {
  get("/s/app.js");
  EXPECT_EQ(opened, (std::vector<std::string>{"app.js"}));
  get("/s/app.js", {"Accept-Encoding: deflate"});
  EXPECT_EQ(opened, (std::vector<std::string>{"app.js"}));
  get("/s/app.js", {"Accept-Encoding: gzip, br"});
  EXPECT_EQ(opened, (std::vector<std::string>{"app.js.br"}));
  get("/s/none.js", {"Accept-Encoding: gzip, br"});
  EXPECT_EQ(opened, (std::vector<std::string>{"none.js.br", "none.js.gz", "none.js"}));
}

TEST_F(Variants, ImagesHaveNone) {
  add("static/a.webp", "image");
  add("static/a.webp.gz", "larger image");
  const Answer res = get("/s/a.webp", {"Accept-Encoding: gzip, br"});
  EXPECT_EQ(res.body, "image");
  EXPECT_FALSE(res.has("Vary"));
  EXPECT_EQ(opened, (std::vector<std::string>{"a.webp"}));
}

TEST_F(Variants, EachHasItsOwnTag) {
  // As made by tools that keep the time, and of the same size.
  const std::string plain = get("/s/app.js")["ETag"];
  const std::string gzip = get("/s/app.js", {"Accept-Encoding: gzip"})["ETag"];
  const std::string br = get("/s/app.js", {"Accept-Encoding: br"})["ETag"];
  EXPECT_NE(plain, gzip);
  EXPECT_NE(plain, br);
  EXPECT_NE(gzip, br);
  EXPECT_EQ(get("/s/app.js", {"Accept-Encoding: gzip", "If-None-Match: " + gzip}).status, 304);
  EXPECT_EQ(get("/s/app.js", {"Accept-Encoding: gzip", "If-None-Match: " + plain}).status, 200);
  EXPECT_EQ(get("/s/app.js", {"If-None-Match: " + gzip}).status, 200);
}

TEST_F(Variants, RangesAreThoseOfTheEncodedBytes) {
  const Answer res = get("/s/app.js", {"Accept-Encoding: gzip", "Range: bytes=1-3"});
  EXPECT_EQ(res.status, 206);
  EXPECT_EQ(res.body, "zip");
  EXPECT_EQ(res["Content-Range"], "bytes 1-3/5");
  EXPECT_EQ(res["Content-Encoding"], "gzip");
  EXPECT_EQ(res["Vary"], "Accept-Encoding");
  const std::string plain = get("/s/app.js")["ETag"];
  EXPECT_EQ(get("/s/app.js", {"Accept-Encoding: gzip", "Range: bytes=1-3", "If-Range: " + plain}).status, 200)
      << "bytes of another coding must not be put together with these";
}

TEST_F(Variants, NotModifiedSaysThatItVaries) {
  const std::string tag = get("/s/app.js", {"Accept-Encoding: br"})["ETag"];
  const Answer res = get("/s/app.js", {"Accept-Encoding: br", "If-None-Match: " + tag});
  EXPECT_EQ(res.status, 304);
  EXPECT_EQ(res["Vary"], "Accept-Encoding");
  EXPECT_EQ(res["ETag"], tag);
  EXPECT_FALSE(res.has("Content-Encoding"));
}

TEST_F(Variants, HeadIsLikeGet) {
  const Answer got = get("/s/app.js", {"Accept-Encoding: br"});
  const Answer head = ask("HEAD", "/s/app.js", {"Accept-Encoding: br"});
  EXPECT_EQ(head.fields, got.fields);
}

TEST_F(Variants, ASiblingThatCannotBeReadIsAsGoodAsNone) {
  faults.fails_with = ".br";
  for (const Error error :
       {Error::permission, Error::io, Error::no_descriptors, Error::is_directory, Error::outside_root}) {
    faults.open_error = error;
    EXPECT_EQ(coding("br, gzip"), "gzip");
    EXPECT_EQ(coding("br"), "");
  }
}

TEST_F(Variants, CanBeTurnedOff) {
  app.static_files("/off", "static", {.precompressed = false});
  const Answer res = get("/off/app.js", {"Accept-Encoding: gzip, br"});
  EXPECT_EQ(res.body, "plain");
  EXPECT_FALSE(res.has("Vary"));
  EXPECT_FALSE(res.has("Content-Encoding"));
}

TEST_F(Variants, SendFileHasThemToo) {
  app.get("/own", [](Request&) { return send_file("static/app.js"); });
  const Answer res = get("/own", {"Accept-Encoding: br"});
  EXPECT_EQ(res.body, "brrrr");
  EXPECT_EQ(res["Content-Type"], "text/javascript; charset=UTF-8");
  EXPECT_EQ(res["Content-Encoding"], "br");
}

TEST_F(Variants, AHandlerThatNamesTheCodingOrTheVersionGetsThatFile) {
  app.get("/coded", [](Request&) {
    Response res = send_file("static/app.js");
    res.header("Content-Encoding", "zstd");
    return res;
  });
  app.get("/tagged", [](Request&) {
    Response res = send_file("static/app.js");
    res.header("ETag", "\"v1\"");
    return res;
  });
  for (const char* url : {"/coded", "/tagged"}) {
    EXPECT_EQ(get(url, {"Accept-Encoding: br"}).body, "plain") << url;
  }
}

TEST_F(Variants, AVariantIsServedForTheIndexToo) {
  add("static/index.html", "plain");
  add("static/index.html.br", "brrrr");
  const Answer res = get("/s/", {"Accept-Encoding: br"});
  EXPECT_EQ(res.body, "brrrr");
  EXPECT_EQ(res["Content-Type"], "text/html; charset=UTF-8");
}

}  // namespace
}  // namespace microdot_test
