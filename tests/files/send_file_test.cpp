// What `send_file` answers: content, types, options, and errors that reach the error handlers.

#include "served_files.hpp"

namespace microdot_test {
namespace {

using testing::HasSubstr;

class SendFile : public FilesTest {};

TEST_F(SendFile, SendsTheContentWithTypeAndLength) {
  add("files/test.txt", "foo\n");
  app.get("/", [](Request&) { return send_file("files/test.txt"); });
  const Answer res = get("/");
  EXPECT_EQ(res.status, 200);
  EXPECT_EQ(res.body, "foo\n");
  EXPECT_EQ(res.all("Content-Type"), "text/plain; charset=UTF-8");
  EXPECT_EQ(res["Content-Length"], "4");
  EXPECT_EQ(res["Accept-Ranges"], "bytes");
  EXPECT_FALSE(res.has("Cache-Control"));
  EXPECT_FALSE(res.has("Content-Encoding"));
  EXPECT_EQ(opened, (std::vector<std::string>{"files/test.txt"}));
}

TEST_F(SendFile, ContentTypeIsTakenAsGiven) {
  add("files/test.txt", "foo\n");
  app.get("/", [](Request&) { return send_file("files/test.txt", {.content_type = "text/html"}); });
  app.get("/image", [](Request&) { return send_file("files/test.txt", {.content_type = "image/png"}); });
  const Answer res = get("/");
  EXPECT_EQ(res.all("Content-Type"), "text/html");
  EXPECT_EQ(res["Vary"], "Accept-Encoding");
  EXPECT_EQ(res.body, "foo\n");
  EXPECT_FALSE(get("/image").has("Vary")) << "what is not compressed has no siblings";
}

TEST_F(SendFile, ContentTypeFollowsTheExtension) {
  const std::pair<const char*, const char*> types[] = {
      {"a.html", "text/html; charset=UTF-8"},
      {"a.HTML", "text/html; charset=UTF-8"},
      {"a.css", "text/css; charset=UTF-8"},
      {"a.js", "text/javascript; charset=UTF-8"},
      {"a.txt", "text/plain; charset=UTF-8"},
      {"a.json", "application/json"},
      {"a.svg", "image/svg+xml"},
      {"a.png", "image/png"},
      {"a.jpg", "image/jpeg"},
      {"a.webp", "image/webp"},
      {"a.wasm", "application/wasm"},
      {"a.unknown", "application/octet-stream"},
      {"a", "application/octet-stream"},
      {"a.tar.gz", "application/gzip"},
  };
  app.get("/<path:name>", [](Request&, std::string_view name) { return send_file(name, {.root = "types"}); });
  for (const auto& [name, type] : types) {
    add(std::string("types/") + name, "x");
    EXPECT_EQ(get(std::string("/") + name).all("Content-Type"), type) << name;
  }
}

TEST_F(SendFile, MaxAgeAndImmutableMakeCacheControl) {
  add("test.txt", "foo");
  app.get("/age", [](Request&) { return send_file("test.txt", {.max_age = 123}); });
  app.get("/zero", [](Request&) { return send_file("test.txt", {.max_age = 0}); });
  app.get("/both", [](Request&) { return send_file("test.txt", {.max_age = 5, .immutable = true}); });
  app.get("/ever", [](Request&) { return send_file("test.txt", {.immutable = true}); });
  EXPECT_EQ(get("/age")["Cache-Control"], "max-age=123");
  EXPECT_EQ(get("/zero")["Cache-Control"], "max-age=0");
  EXPECT_EQ(get("/both")["Cache-Control"], "max-age=5, immutable");
  EXPECT_EQ(get("/ever")["Cache-Control"], "max-age=31536000, immutable");
}

TEST_F(SendFile, CompressedNamesTheContentEncoding) {
  add("test.txt", "packed");
  add("test.txt.gz", "packed");
  add("test.js.br", "packed");
  app.get("/true", [](Request&) { return send_file("test.txt", {.compressed = true}); });
  app.get("/foo", [](Request&) { return send_file("test.txt", {.compressed = "foo"}); });
  app.get("/gz", [](Request&) { return send_file("test.txt.gz", {.compressed = true}); });
  app.get("/br", [](Request&) { return send_file("test.js.br", {.compressed = "br"}); });
  app.get("/false", [](Request&) { return send_file("test.txt.gz", {.compressed = false}); });
  Answer res = get("/true");
  EXPECT_EQ(res["Content-Type"], "text/plain; charset=UTF-8");
  EXPECT_EQ(res["Content-Encoding"], "gzip");
  EXPECT_EQ(res.body, "packed");
  EXPECT_EQ(get("/foo")["Content-Encoding"], "foo");
  res = get("/gz");
  EXPECT_EQ(res["Content-Type"], "text/plain; charset=UTF-8");
  EXPECT_EQ(res["Content-Encoding"], "gzip");
  res = get("/br");
  EXPECT_EQ(res["Content-Type"], "text/javascript; charset=UTF-8");
  EXPECT_EQ(res["Content-Encoding"], "br");
  res = get("/false");
  EXPECT_EQ(res["Content-Type"], "application/gzip");
  EXPECT_FALSE(res.has("Content-Encoding"));
}

TEST_F(SendFile, CompressedFilesAreNotReplacedByVariants) {
  add("test.txt", "packed");
  add("test.txt.gz", "packed twice");
  app.get("/", [](Request&) { return send_file("test.txt", {.compressed = "foo"}); });
  const Answer res = get("/", {"Accept-Encoding: gzip"});
  EXPECT_EQ(res.body, "packed");
  EXPECT_EQ(res["Content-Encoding"], "foo");
}

TEST_F(SendFile, StatusCodeMakesAnErrorPage) {
  add("404.html", "nothing here");
  app.errorhandler(404, [](Request&) { return send_file("404.html", {.status_code = 404}); });
  const Answer res = get("/missing", {"If-None-Match: *", "Range: bytes=0-1"});
  EXPECT_EQ(res.status, 404);
  EXPECT_EQ(res.body, "nothing here");
  EXPECT_FALSE(res.has("ETag")) << "the tag would be that of the missing resource";
  EXPECT_FALSE(res.has("Accept-Ranges"));
}

TEST_F(SendFile, FieldsOfTheHandlerAreKept) {
  add("test.txt", "foo");
  app.get("/", [](Request&) {
    Response res = send_file("test.txt", {.max_age = 5, .content_type = "text/a"});
    res.header("X-A", "b").header("Content-Type", "text/b").header("Cache-Control", "no-store");
    res.header("Vary", "Origin").set_cookie("c", "d");
    return res;
  });
  const Answer res = get("/");
  EXPECT_EQ(res["X-A"], "b");
  EXPECT_EQ(res.all("Content-Type"), "text/b");
  EXPECT_EQ(res.all("Cache-Control"), "no-store");
  EXPECT_EQ(res.all("Vary"), "Origin, Accept-Encoding");
  EXPECT_THAT(res["Set-Cookie"], HasSubstr("c=d"));
  EXPECT_EQ(res.body, "foo");
}

TEST_F(SendFile, StatusSetByTheHandlerIsKept) {
  add("test.txt", "foo");
  app.get("/", [](Request&) {
    Response res = send_file("test.txt");
    res.status_code = 203;
    return res;
  });
  EXPECT_EQ(get("/").status, 203);
}

TEST_F(SendFile, HooksSeeTheResponse) {
  add("test.txt", "foo");
  app.get("/", [](Request&) { return send_file("test.txt"); });
  app.after_request([](Request&, Response& res) { res.header("X-Tag", res.headers()["ETag"]); });
  const Answer res = get("/");
  EXPECT_FALSE(res["X-Tag"].empty());
  EXPECT_EQ(res["X-Tag"], res["ETag"]);
}

TEST_F(SendFile, BeforeHooksMayAnswerWithAFile) {
  add("test.txt", "closed for repair");
  app.before_request(
      [](Request&) -> std::optional<Response> { return send_file("test.txt", {.status_code = 503}); });
  app.get("/", [](Request&) { return "open"; });
  const Answer res = get("/");
  EXPECT_EQ(res.status, 503);
  EXPECT_EQ(res.body, "closed for repair");
}

TEST_F(SendFile, PathAndOptionsAreCopied) {
  add("dir/test.txt", "foo");
  app.get("/", [](Request&) {
    std::string path = "test.txt", root = "dir", type = "text/very-long-and-so-not-in-the-string-itself";
    Response res = send_file(path, {.root = root, .content_type = type});
    path = root = type = std::string(60, 'x');
    return res;
  });
  const Answer res = get("/");
  EXPECT_EQ(res.body, "foo");
  EXPECT_EQ(res["Content-Type"], "text/very-long-and-so-not-in-the-string-itself");
}

TEST_F(SendFile, EmptyFileIsAnEmptyAnswer) {
  add("empty.txt", "");
  app.get("/", [](Request&) { return send_file("empty.txt"); });
  const Answer res = get("/");
  EXPECT_EQ(res.status, 200);
  EXPECT_EQ(res["Content-Length"], "0");
  EXPECT_EQ(res["Content-Type"], "text/plain; charset=UTF-8");
  EXPECT_EQ(res.body, "");
}

TEST_F(SendFile, LargeFilesArriveWhole) {
  const std::string content = noise(300'000);
  add("large.bin", content);
  add_in_place("flash.bin", content);
  app.get("/<name>", [](Request&, std::string_view name) { return send_file(name, {.root = "."}); });
  for (const char* url : {"/large.bin", "/flash.bin"}) {
    const Answer res = get(url);
    EXPECT_EQ(res["Content-Length"], "300000");
    EXPECT_TRUE(res.body == content) << url;
  }
}

TEST_F(SendFile, HeadHasTheFieldsOfGetAndNoBody) {
  add("test.txt", "foo\n");
  app.get("/", [](Request&) { return send_file("test.txt", {.max_age = 9}); });
  const Answer got = get("/");
  const Answer head = ask("HEAD", "/");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(head.fields, got.fields);
  EXPECT_EQ(head["Content-Length"], "4");
}

TEST_F(SendFile, ErrorsHaveTheirStatusAndErrorHandlersRun) {
  add("dir/test.txt", "foo");
  app.get("/<path:p>", [](Request&, std::string_view p) { return send_file(p, {.root = "dir"}); });
  for (const int status : {403, 404, 500, 503}) {
    app.errorhandler(status, [status](Request&) { return Response("handled", status); });
  }
  const auto status_with = [this](Error error) {
    faults.open_error = error;
    const Answer res = get("/test.txt");
    EXPECT_EQ(res.body, "handled");
    return res.status;
  };
  EXPECT_EQ(status_with(Error::not_found), 404);
  EXPECT_EQ(status_with(Error::is_directory), 404);
  EXPECT_EQ(status_with(Error::outside_root), 404);
  EXPECT_EQ(status_with(Error::unsupported), 404);
  EXPECT_EQ(status_with(Error::permission), 403);
  EXPECT_EQ(status_with(Error::no_descriptors), 503);
  EXPECT_EQ(status_with(Error::no_memory), 503);
  EXPECT_EQ(status_with(Error::io), 500);
  faults.open_error = Error::none;
  EXPECT_EQ(get("/test.txt").status, 200);
  EXPECT_EQ(get("/nothing").status, 404);
}

TEST_F(SendFile, ErrorsOtherThanMissingFilesAreLoggedByName) {
  app.get("/", [](Request&) { return send_file("secret.txt", {.root = "dir"}); });
  faults.open_error = Error::not_found;
  get("/");
  EXPECT_THAT(log(), testing::Not(HasSubstr("secret.txt")));
  faults.open_error = Error::permission;
  get("/");
  EXPECT_THAT(log(), HasSubstr("cannot open dir/secret.txt: "));
}

TEST_F(SendFile, NothingOutsideOfTheRootIsSent) {
  add("dir/test.txt", "foo");
  add("dir/sub/x.txt", "x");
  add("secret.txt", "secret");
  add("directory/secret.txt", "secret");
  app.get("/<path:p>", [](Request&, std::string_view p) { return send_file(p, {.root = "dir"}); });
  EXPECT_EQ(get("/test.txt").body, "foo");
  for (const char* path :
       {"../secret.txt", "%2e%2e/secret.txt", "..%2fsecret.txt", "/secret.txt", "x/../../secret.txt",
        "../dir/../secret.txt", "..", ".", "%2fsecret.txt", "test.txt%00", "..%5csecret.txt",
        "../directory/secret.txt", "../dir/test.txt", "sub/../test.txt"}) {
    const Answer res = get(std::string("/") + path);
    EXPECT_THAT(res.status, testing::AnyOf(400, 404)) << path;
    EXPECT_THAT(res.body, testing::Not(HasSubstr("secret"))) << path;
  }
}

TEST_F(SendFile, WithoutRootThePathIsTheProgramsOwn) {
  app.get("/", [](Request&) { return send_file("dir/../test.txt"); });
  add("test.txt", "foo");
  EXPECT_EQ(get("/").body, "foo");
}

TEST_F(SendFile, AnswersToPostAreNeitherConditionalNorPartial) {
  add("test.txt", "foo");
  app.post("/", [](Request&) { return send_file("test.txt"); });
  const Answer res = ask("POST", "/", {"If-None-Match: *", "Range: bytes=0-0", "Content-Length: 0"});
  EXPECT_EQ(res.status, 200);
  EXPECT_EQ(res.body, "foo");
}

TEST_F(SendFile, FieldsThatWouldBreakTheMessageAreA500) {
  add("test.txt", "foo");
  app.get("/", [](Request&) { return send_file("test.txt", {.content_type = "text/a\r\nX-Evil: 1"}); });
  const Answer res = get("/");
  EXPECT_EQ(res.status, 500);
  EXPECT_FALSE(res.has("X-Evil"));
}

TEST_F(SendFile, NoFileStaysOpen) {
  add("test.txt", "foo");
  app.get("/<name>", [](Request&, std::string_view name) { return send_file(name, {.root = "."}); });
  const std::string tag = get("/test.txt")["ETag"];
  get("/test.txt", {"If-None-Match: " + tag});
  get("/test.txt", {"If-Match: \"other\""});
  get("/test.txt", {"Range: bytes=0-0"});
  get("/test.txt", {"Range: bytes=0-0,2-2"});
  get("/test.txt", {"Range: bytes=7-"});
  ask("HEAD", "/test.txt");
  EXPECT_EQ(open_files(), 0U);
}

}  // namespace
}  // namespace microdot_test
