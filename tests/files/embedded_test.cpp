// A folder that the CMake function `microdot_embed` made a part of this program. What is served of embedded
// files in general, the tests of variants, ranges and directories say.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <microdot/http/etag.hpp>
#include <microdot/http/mime.hpp>

#include "served_files.hpp"
#include "test_assets.hpp"
#include "test_types.hpp"

namespace microdot_test {
namespace {

constexpr std::string_view kStyle = test_assets.url("app.css");
static_assert(kStyle.starts_with("/static/app.css?v="));
static_assert(test_assets.url("drafts/a.txt").empty());

std::string on_disk(std::string_view name) {
  std::ifstream file(std::filesystem::path(MICRODOT_TEST_ASSETS) / name, std::ios::binary);
  EXPECT_TRUE(file) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

class Embedded : public FilesTest {
 protected:
  Embedded() {
    app.static_files("/static", test_assets, {.immutable = true});
    app.get("/", [](Request&) { return send_file("index.html", {.root = test_assets}); });
  }
};

TEST_F(Embedded, HasAllThatIsNotHiddenOrExcluded) {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : test_assets.files()) names.emplace_back(file.name);
  EXPECT_EQ(names, (std::vector<std::string>{".well-known/security.txt", "app.css", "app.css.gz", "app.js",
                                             "app.js.gz", "empty.txt", "img-1.txt", "img/bytes@2x.bin",
                                             "img/index.html", "img/odd.txt", "index.html", "index.html.gz",
                                             "tiny.txt"}));
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
}

TEST_F(Embedded, ServesWhatLiesOnTheDisk) {
  for (const EmbeddedFile& file : test_assets.files()) {
    if (file.url.empty()) continue;  // made
    const Answer res = get("/static/" + std::string(file.name));
    EXPECT_EQ(res.status, 200) << file.name;
    EXPECT_EQ(res.body, on_disk(file.name)) << file.name;
    EXPECT_FALSE(res.has("Last-Modified"));
    EXPECT_EQ(res["Cache-Control"], "max-age=31536000, immutable");
    EXPECT_TRUE(opened.empty()) << "the port has no part in it";
  }
}

TEST_F(Embedded, TheTagIsOfTheContent) {
  const std::string tag = get("/static/app.css")["ETag"];
  EXPECT_TRUE(is_valid_etag(tag)) << tag;
  EXPECT_EQ(get("/static/app.css", {"If-None-Match: " + tag}).status, 304);
  EXPECT_EQ(get("/static/app.css", {"If-Match: " + tag, "Range: bytes=1-3"}).body, "car");
  EXPECT_EQ(get("/static/tiny.txt")["ETag"], get("/static/img-1.txt")["ETag"]) << "the same content";
  std::vector<std::string> tags;
  for (const EmbeddedFile& file : test_assets.files()) tags.emplace_back(file.etag);
  std::sort(tags.begin(), tags.end());
  EXPECT_EQ(std::unique(tags.begin(), tags.end()) - tags.begin(), std::ptrdiff_t(tags.size()) - 1);
}

TEST_F(Embedded, UrlsNameTheVersion) {
  for (const EmbeddedFile& file : test_assets.files()) {
    if (file.url.empty()) continue;
    EXPECT_EQ(get(std::string(file.url)).body, file.content) << file.url;
    const std::size_t at = file.url.find("?v=");
    ASSERT_NE(at, file.url.npos);
    EXPECT_EQ(file.url.substr(at + 3), file.etag.substr(1, 8));
  }
  EXPECT_EQ(test_assets.url("nothing"), "");
  EXPECT_TRUE(test_types.url("a.css").starts_with("a.css?v=")) << "relative where no prefix was given";
}

TEST_F(Embedded, CompressedWhereThatHelps) {
  Answer res = get("/static/app.css", {"Accept-Encoding: gzip, br"});
  EXPECT_EQ(res["Content-Encoding"], "gzip");
  EXPECT_EQ(res["Content-Type"], "text/css; charset=UTF-8");
  EXPECT_LE(res.body.size() * 10, on_disk("app.css").size() * 9);
  // RFC 1952: magic, deflate, no flags, no time.
  EXPECT_TRUE(res.body.starts_with(std::string_view("\x1f\x8b\x08\x00\x00\x00\x00\x00", 8)));
  EXPECT_FALSE(get("/static/tiny.txt", {"Accept-Encoding: gzip"}).has("Content-Encoding"));
  EXPECT_EQ(get("/static/app.js", {"Accept-Encoding: gzip"}).body, on_disk("app.js.gz")) << "made by hand";
}

TEST_F(Embedded, CompressedAreTheTypesThatHaveVariants) {
  std::size_t compressed = 0;
  for (const EmbeddedFile& file : test_types.files()) {
    if (file.url.empty()) continue;
    const bool has_variant = test_types.find(std::string(file.name) + ".gz") != nullptr;
    EXPECT_EQ(has_variant, is_compressible(mime_type(file.name))) << file.name;
    compressed += has_variant ? 1 : 0;
  }
  EXPECT_GT(compressed, 10U);
  EXPECT_GT(test_types.files().size() - compressed, 40U);
}

TEST_F(Embedded, DirectoriesAreFound) {
  EXPECT_EQ(get("/").body, on_disk("index.html"));
  EXPECT_EQ(get("/static/").body, on_disk("index.html"));
  EXPECT_EQ(get("/static/img")["Location"], "/static/img/");
  EXPECT_EQ(get("/static/img/").body, "images");
  for (const char* path : {"/static/im", "/static/img/i", "/static/img-", "/static/.well-known",
                           "/static/zzz", "/static/%2e%2e/index.html", "/static/app.css/"}) {
    EXPECT_EQ(get(path).status, 404) << path;
  }
}

TEST_F(Embedded, OpensAsFilesDo) {
  EXPECT_EQ(test_assets.open("img").error(), Error::is_directory);
  EXPECT_EQ(test_assets.open("none").error(), Error::not_found);
  EXPECT_EQ(test_assets.open("").error(), Error::not_found);
  Result<File> file = test_assets.open("tiny.txt");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->info().size, 3U);
  char bytes[8];
  EXPECT_EQ(*file->read(1, bytes), 2U);
  EXPECT_EQ(std::string_view(bytes, 2), "i\n");
  EXPECT_EQ(*file->read(3, bytes), 0U);
  EXPECT_EQ(*file->read(99, bytes), 0U);
  EXPECT_EQ(file->data().data(), test_assets.find("tiny.txt")->content.data()) << "no copy";
}

// Without a heap, and on a device's limits.
TEST(EmbeddedOnADevice, IsServed) {
  static StaticApp<Limits::device()> app;
  app.static_files("/static", test_assets);
  TestClient client(app);
  ASSERT_TRUE(client.started()) << client.sim().log_text();
  EXPECT_EQ(client.get("/static/img/bytes@2x.bin").text, on_disk("img/bytes@2x.bin"));
}

}  // namespace
}  // namespace microdot_test
