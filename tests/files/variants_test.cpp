// Precompressed siblings of files, chosen by Accept-Encoding (RFC 9110 12.5.3).

#include "served_files.hpp"

namespace microdot_test {
namespace {

class Variants : public StoredFilesTest {
 protected:
  Variants() {
    add("static/app.js", "plain");
    add("static/app.js.gz", "gzip!");
    add("static/app.js.br", "brrrr");
    add("static/gz.js", "plain");
    add("static/gz.js.gz", "gzip!");
    add("static/none.js", "plain");
    app.static_files("/s", root("static"), {.max_age = 60});
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

INSTANTIATE_TEST_SUITE_P(Of, Variants, testing::Values(Storage::files, Storage::embedded), storage_name);

TEST_P(Variants, TheBestAcceptedCodingIsSent) {
  EXPECT_EQ(coding("gzip, deflate, br"), "br");
  EXPECT_EQ(coding("gzip"), "gzip");
  EXPECT_EQ(coding("x-gzip"), "gzip");
  EXPECT_EQ(coding("br"), "br");
  EXPECT_EQ(coding("*"), "br");
  EXPECT_EQ(coding("GZIP"), "gzip");
  EXPECT_EQ(coding("deflate"), "");
  EXPECT_EQ(coding("identity"), "");
}

TEST_P(Variants, QualitiesDecide) {
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

TEST_P(Variants, WhatIsMissingIsNotSent) {
  EXPECT_EQ(coding("br, gzip", "/s/gz.js"), "gzip");
  EXPECT_EQ(coding("br", "/s/gz.js"), "");
  EXPECT_EQ(coding("br, gzip", "/s/none.js"), "");
  EXPECT_EQ(coding("identity;q=0, br", "/s/none.js"), "") << "better that than nothing";
}

TEST_P(Variants, WithoutTheFieldNothingIsCompressed) {
  const Answer res = get("/s/app.js");
  EXPECT_EQ(res.body, "plain");
  EXPECT_FALSE(res.has("Content-Encoding"));
  EXPECT_EQ(res["Vary"], "Accept-Encoding") << "another request might get another answer";
}

TEST_P(Variants, OpensNoMoreThanItMust) {
  get("/s/app.js");
  expect_opened({"app.js"});
  get("/s/app.js", {"Accept-Encoding: deflate"});
  expect_opened({"app.js"});
  get("/s/app.js", {"Accept-Encoding: gzip, br"});
  expect_opened({"app.js.br"});
  get("/s/none.js", {"Accept-Encoding: gzip, br"});
  expect_opened({"none.js.br", "none.js.gz", "none.js"});
}

TEST_P(Variants, ImagesHaveNone) {
  add("static/a.webp", "image");
  add("static/a.webp.gz", "larger image");
  const Answer res = get("/s/a.webp", {"Accept-Encoding: gzip, br"});
  EXPECT_EQ(res.body, "image");
  EXPECT_FALSE(res.has("Vary"));
  expect_opened({"a.webp"});
}

TEST_P(Variants, EachHasItsOwnTag) {
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

TEST_P(Variants, RangesAreThoseOfTheEncodedBytes) {
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

TEST_P(Variants, NotModifiedSaysThatItVaries) {
  const std::string tag = get("/s/app.js", {"Accept-Encoding: br"})["ETag"];
  const Answer res = get("/s/app.js", {"Accept-Encoding: br", "If-None-Match: " + tag});
  EXPECT_EQ(res.status, 304);
  EXPECT_EQ(res["Vary"], "Accept-Encoding");
  EXPECT_EQ(res["ETag"], tag);
  EXPECT_FALSE(res.has("Content-Encoding"));
}

TEST_P(Variants, HeadIsLikeGet) {
  const Answer got = get("/s/app.js", {"Accept-Encoding: br"});
  const Answer head = ask("HEAD", "/s/app.js", {"Accept-Encoding: br"});
  EXPECT_EQ(head.fields, got.fields);
}

// What is embedded can always be read.
class VariantsOfFiles : public Variants {};
INSTANTIATE_TEST_SUITE_P(Of, VariantsOfFiles, testing::Values(Storage::files), storage_name);

TEST_P(VariantsOfFiles, ASiblingThatCannotBeReadIsAsGoodAsNone) {
  faults.fails_with = ".br";
  for (const Error error :
       {Error::permission, Error::io, Error::no_descriptors, Error::is_directory, Error::outside_root}) {
    faults.open_error = error;
    EXPECT_EQ(coding("br, gzip"), "gzip");
    EXPECT_EQ(coding("br"), "");
  }
}

TEST_P(Variants, CanBeTurnedOff) {
  app.static_files("/off", root("static"), {.precompressed = false});
  const Answer res = get("/off/app.js", {"Accept-Encoding: gzip, br"});
  EXPECT_EQ(res.body, "plain");
  EXPECT_FALSE(res.has("Vary"));
  EXPECT_FALSE(res.has("Content-Encoding"));
}

TEST_P(Variants, SendFileHasThemToo) {
  app.get("/own", [root = root("static")](Request&) { return send_file("app.js", {.root = root}); });
  const Answer res = get("/own", {"Accept-Encoding: br"});
  EXPECT_EQ(res.body, "brrrr");
  EXPECT_EQ(res["Content-Type"], "text/javascript; charset=UTF-8");
  EXPECT_EQ(res["Content-Encoding"], "br");
}

TEST_P(Variants, AHandlerThatNamesTheCodingOrTheVersionGetsThatFile) {
  app.get("/coded", [root = root("static")](Request&) {
    Response res = send_file("app.js", {.root = root});
    res.header("Content-Encoding", "zstd");
    return res;
  });
  app.get("/tagged", [root = root("static")](Request&) {
    Response res = send_file("app.js", {.root = root});
    res.header("ETag", "\"v1\"");
    return res;
  });
  for (const char* url : {"/coded", "/tagged"}) {
    EXPECT_EQ(get(url, {"Accept-Encoding: br"}).body, "plain") << url;
  }
}

TEST_P(Variants, AVariantIsServedForTheIndexToo) {
  add("static/index.html", "plain");
  add("static/index.html.br", "brrrr");
  const Answer res = get("/s/", {"Accept-Encoding: br"});
  EXPECT_EQ(res.body, "brrrr");
  EXPECT_EQ(res["Content-Type"], "text/html; charset=UTF-8");
}

}  // namespace
}  // namespace microdot_test
