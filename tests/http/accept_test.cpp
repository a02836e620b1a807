#include <gtest/gtest.h>

#include <string>

#include <microdot/http/accept.hpp>
#include <microdot/http/mime.hpp>

namespace microdot {
namespace {

TEST(AcceptEncoding, Quality) {  // RFC 9110 12.5.3, 12.4.2
  EXPECT_EQ(encoding_quality("gzip, br", "gzip"), 1000);
  EXPECT_EQ(encoding_quality("GZIP;q=0.5", "gzip"), 500);
  EXPECT_EQ(encoding_quality("x-gzip", "gzip"), 1000);
  EXPECT_EQ(encoding_quality("gzip ; Q=0.123", "gzip"), 123);
  EXPECT_EQ(encoding_quality("gzip;q=1.000", "gzip"), 1000);
  EXPECT_EQ(encoding_quality("gzip;q=0", "gzip"), 0);
  EXPECT_EQ(encoding_quality("*;q=0.3", "gzip"), 300);
  EXPECT_EQ(encoding_quality("gzip;q=0, *", "gzip"), 0);
  EXPECT_EQ(encoding_quality("deflate", "gzip"), 0);
  EXPECT_EQ(encoding_quality("", "gzip"), 0);
  EXPECT_EQ(encoding_quality("gzipped", "gzip"), 0);
  EXPECT_GT(encoding_quality("", "identity"), 0);
  EXPECT_GT(encoding_quality("gzip", "identity"), 0);
  EXPECT_EQ(encoding_quality("identity;q=0", "identity"), 0);
  EXPECT_EQ(encoding_quality("*;q=0", "identity"), 0);
  EXPECT_EQ(encoding_quality("*;q=0, identity;q=0.1", "identity"), 100);
  for (const char* bad : {"gzip;q=2", "gzip;q=1.001", "gzip;q=-1", "gzip;q=", "gzip;q=.5", "gzip;q=0.1234",
                          "gzip;q=a", "gzip;level=9", "gzip;", "gzip;q=0,5"}) {
    EXPECT_EQ(encoding_quality(bad, "gzip"), 0) << bad;
  }
}

TEST(AcceptEncoding, Choice) {
  EXPECT_EQ(choose_encoding("gzip, deflate, br", true, true), Encoding::br);
  EXPECT_EQ(choose_encoding("gzip, deflate, br", true, false), Encoding::gzip);
  EXPECT_EQ(choose_encoding("gzip, deflate, br", false, false), Encoding::identity);
  EXPECT_EQ(choose_encoding("br;q=0.5, gzip", true, true), Encoding::gzip);
  EXPECT_EQ(choose_encoding("br;q=0, gzip;q=0", true, true), Encoding::identity);
  EXPECT_EQ(choose_encoding("gzip;q=0.1", true, true), Encoding::gzip);
  EXPECT_EQ(choose_encoding("gzip;q=0.5, identity", true, true), Encoding::identity);
  EXPECT_EQ(choose_encoding("gzip, identity", true, true), Encoding::gzip);
  EXPECT_EQ(choose_encoding("*", true, true), Encoding::br);
  EXPECT_EQ(choose_encoding("", true, true), Encoding::identity);
  EXPECT_EQ(choose_encoding("*;q=0", true, true), Encoding::identity);
  EXPECT_EQ(to_string(Encoding::br), "br");
  EXPECT_EQ(to_string(Encoding::gzip), "gzip");
  EXPECT_EQ(to_string(Encoding::identity), "");
}

TEST(MimeType, ByExtension) {
  EXPECT_EQ(mime_type("index.html"), "text/html");
  EXPECT_EQ(mime_type("/a.b/C.HTML"), "text/html");
  EXPECT_EQ(mime_type("a.css"), "text/css");
  EXPECT_EQ(mime_type("a.js"), "text/javascript");  // RFC 9239
  EXPECT_EQ(mime_type("a.mjs"), "text/javascript");
  EXPECT_EQ(mime_type("a.json"), "application/json");
  EXPECT_EQ(mime_type("a.min.js.map"), "application/json");
  EXPECT_EQ(mime_type("a.JPG"), "image/jpeg");
  EXPECT_EQ(mime_type("a.svg"), "image/svg+xml");
  EXPECT_EQ(mime_type("a.woff2"), "font/woff2");
  EXPECT_EQ(mime_type("a.webManifest"), "application/manifest+json");
  EXPECT_EQ(mime_type("a.jsonld"), "application/ld+json");
  EXPECT_EQ(mime_type("a.wasm"), "application/wasm");
  EXPECT_EQ(mime_type("a.zip"), "application/zip");
  EXPECT_EQ(mime_type("a.aac"), "audio/aac");
  for (const char* unknown :
       {"", "a", "html", ".html", "a.", "a.html/b", "a.xyz", "a.averylongextension", "a.zzz", "a.a",
        "a.webmanif", "a.webmanifests", "a.htmlhtml", "a.htmk", "a.htmm", "a.\xff"}) {
    EXPECT_EQ(mime_type(unknown), "application/octet-stream") << unknown;
  }
}

TEST(MimeType, KnowsWhatIsCompressible) {
  for (const char* path : {"a.html", "a.js", "a.json", "a.svg", "a.wasm", "a.ico", "a.webmanifest", "a.yml",
                           "a.ttf", "a.png", "a.zip", "a.gz", "a.aac", "a.unknown", "a"}) {
    EXPECT_EQ(detail::media_type(path).compressible, is_compressible(mime_type(path))) << path;
  }
}

TEST(MimeType, Compressible) {
  for (const char* yes : {"text/html; charset=UTF-8", "application/json", "image/svg+xml", "TEXT/CSS",
                          "application/wasm", "application/manifest+json"}) {
    EXPECT_TRUE(is_compressible(yes)) << yes;
  }
  for (const char* no :
       {"image/png", "video/mp4", "application/zip", "font/woff2", "application/octet-stream", ""}) {
    EXPECT_FALSE(is_compressible(no)) << no;
  }
}

}  // namespace
}  // namespace microdot
