// `static_files`: directories as URLs, and what can't be reached through them.

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "served_files.hpp"

namespace microdot_test {
namespace {

class Directory : public StoredFilesTest {
 protected:
  Directory() {
    add("static/index.html", "home");
    add("static/app.js", "script");
    add("static/a b.txt", "space");
    add("static/ä.txt", "umlaut");
    add("static/100%.txt", "percent");
    add("static/a+b.txt", "plus");
    add("static/img/index.html", "images");
    add("static/img/1.png", "one");
    add("static/bare/x.txt", "x");
    app.static_files("/s", root("static"));
  }
};

INSTANTIATE_TEST_SUITE_P(Of, Directory, testing::Values(Storage::files, Storage::embedded), storage_name);

TEST_P(Directory, ServesFilesBelowThePrefix) {
  EXPECT_EQ(get("/s/app.js").body, "script");
  EXPECT_EQ(get("/s/img/1.png").body, "one");
  EXPECT_EQ(get("/s/a%20b.txt").body, "space");
  EXPECT_EQ(get("/s/%C3%A4.txt").body, "umlaut");
  EXPECT_EQ(get("/s/%61pp%2ejs").body, "script");
  EXPECT_EQ(get("/s/100%25.txt").body, "percent");
  EXPECT_EQ(get("/s/a+b.txt").body, "plus") << "a plus is a plus in paths";
  EXPECT_EQ(get("/s/app.js?v=3").body, "script");
  EXPECT_EQ(get("/s/nothing.js").status, 404);
  EXPECT_EQ(get("/app.js").status, 404);
  EXPECT_EQ(get("/sapp.js").status, 404);
}

TEST_P(Directory, ServesTheIndexForADirectory) {
  const Answer res = get("/s/");
  EXPECT_EQ(res.status, 200);
  EXPECT_EQ(res.body, "home");
  EXPECT_EQ(res["Content-Type"], "text/html; charset=UTF-8");
  EXPECT_EQ(get("/s/img/").body, "images");
  EXPECT_EQ(get("/s/img/index.html").body, "images");
  EXPECT_EQ(get("/s/bare/").status, 404);
  EXPECT_EQ(get("/s/app.js/").status, 404);
  EXPECT_EQ(get("/s/nothing/").status, 404);
}

TEST_P(Directory, SendsOnToTheSlash) {
  Answer res = get("/s/img");
  EXPECT_EQ(res.status, 301);
  EXPECT_EQ(res["Location"], "/s/img/");
  res = get("/s/img?a=1&b=%2F");
  EXPECT_EQ(res.status, 301);
  EXPECT_EQ(res["Location"], "/s/img/?a=1&b=%2F");
  EXPECT_EQ(ask("HEAD", "/s/img").status, 301);
  EXPECT_EQ(get("/s?a")["Location"], "/s/?a") << "the directory itself";
  EXPECT_EQ(ask("POST", "/s", {"Content-Length: 0"}).status, 405);
  EXPECT_EQ(get("/s/bare").status, 404) << "there is nothing behind the slash";
}

TEST_P(Directory, NeverSendsElsewhere) {
  add("static/evil.com/index.html", "x");
  add("static/http:/evil.com/index.html", "x");
  app.static_files("", root("static"));  // every path that no other route has
  for (const char* path :
       {"//evil.com", "//evil.com/", "//evil.com/..", "//evil.com/%2e%2e", "///evil.com", "/%2fevil.com",
        "/%5cevil.com", "/%5C%5Cevil.com", "/s//evil.com", "/s/%2f/evil.com", "/http:/evil.com",
        "/%09/evil.com", "/s/../..//evil.com", "//evil.com/%2f..", "/%2e%2e//evil.com"}) {
    const Answer res = get(path);
    EXPECT_FALSE(res.has("Location")) << path << " → " << res["Location"];
    EXPECT_THAT(res.status, testing::AnyOf(400, 404)) << path;
  }
  EXPECT_EQ(get("/evil.com")["Location"], "/evil.com/");
  // The host of an absolute target is not in the path.
  EXPECT_EQ(get("http://evil.com/s/img")["Location"], "/s/img/");
}

TEST_P(Directory, TheIndexCanHaveAnotherNameOrNone) {
  add("static/start.htm", "start");
  app.static_files("/named", root("static"), {.index = "start.htm"});
  app.static_files("/none", root("static"), {.index = ""});
  EXPECT_EQ(get("/named/").body, "start");
  EXPECT_EQ(get("/none").status, 404);
  EXPECT_EQ(get("/none/").status, 404);
  EXPECT_EQ(get("/none/img").status, 404);
  EXPECT_EQ(get("/none/img/").status, 404);
  EXPECT_EQ(get("/none/app.js").status, 200);
}

TEST_P(Directory, OptionsMakeCacheControl) {
  app.static_files("/v1", root("static"), {.max_age = 31536000, .immutable = true});
  EXPECT_EQ(get("/v1/app.js")["Cache-Control"], "max-age=31536000, immutable");
  EXPECT_FALSE(get("/s/app.js").has("Cache-Control"));
}

TEST_P(Directory, OtherMethodsAreRefused) {
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH"}) {
    const Answer res = ask(method, "/s/app.js", {"Content-Length: 0"});
    EXPECT_EQ(res.status, 405) << method;
    EXPECT_EQ(res["Allow"], "GET, HEAD, OPTIONS");
  }
  const Answer head = ask("HEAD", "/s/app.js");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head["Content-Length"], "6");
  EXPECT_EQ(ask("OPTIONS", "/s/app.js")["Allow"], "GET, HEAD, OPTIONS");
}

TEST_P(Directory, ErrorHandlersAnswerForMissingFiles) {
  app.errorhandler(404, [](Request&) { return Response("no such page", 404); });
  for (const char* path : {"/s/nothing", "/s/../x", "/s/bare/", "/s/.git/config"}) {
    EXPECT_EQ(get(path).body, "no such page") << path;
  }
}

TEST_P(Directory, HooksRun) {
  app.before_request([](Request& req) -> std::optional<Response> {
    if (req.headers["X-Key"] != "open") return Response("closed", 401);
    return {};
  });
  app.after_request([](Request&, Response& res) { res.header("X-After", "yes"); });
  EXPECT_EQ(get("/s/app.js").status, 401);
  const Answer res = get("/s/app.js", {"X-Key: open"});
  EXPECT_EQ(res.body, "script");
  EXPECT_EQ(res["X-After"], "yes");
}

TEST_P(Directory, EarlierRoutesComeFirst) {
  Router router;
  router.get("/app.js", [](Request&) { return "routed"; });
  router.static_files("", root("static"));
  app.mount(router, "/m");
  EXPECT_EQ(get("/m/app.js").body, "routed");
  EXPECT_EQ(get("/m/img/1.png").body, "one");
  EXPECT_EQ(get("/m/img")["Location"], "/m/img/") << "with the prefix";
}

TEST_P(Directory, HiddenFilesAreNotServed) {
  add("static/.env", "secret");
  add("static/.git/config", "secret");
  add("static/img/.htpasswd", "secret");
  add("static/.well-known/security.txt", "contact");
  add("static/.well-known/.secret", "secret");
  for (const char* path : {"/s/.env", "/s/%2eenv", "/s/.git/config", "/s/%2Egit/config", "/s/img/.htpasswd",
                           "/s/.git", "/s/.well-known/.secret"}) {
    const Answer res = get(path);
    EXPECT_EQ(res.status, 404) << path;
  }
  EXPECT_EQ(get("/s/.well-known/security.txt").body, "contact");
}

TEST_P(Directory, AFileHasOneName) {
  for (const char* path : {"/s//app.js", "/s/./app.js", "/s/img/../app.js", "/s/img//1.png", "/s/img/./1.png",
                           "/s/img%2f1.png", "/s/img%2F1.png"}) {
    EXPECT_EQ(get(path).status, 404) << path;
  }
}

TEST(DirectoryAtStart, AMissingRootIsNamed) {
  App app;
  app.static_files("/s", "no/such/directory");
  TestClient client(app);
  EXPECT_FALSE(client.started());
  EXPECT_THAT(client.sim().log_text(), testing::HasSubstr("no/such/directory"));
}

// ---- A real directory, with secrets around it ----

class Containment : public testing::Test {
 protected:
  Containment() {
    char name[] = "/tmp/microdot-files-XXXXXX";
    base_ = mkdtemp(name);
    root_ = base_ + "/static";
    std::filesystem::create_directories(root_ + "/sub");
    std::filesystem::create_directories(base_ + "/static-other");
    write(root_ + "/ok.txt", "fine");
    write(root_ + "/sub/ok.txt", "fine");
    write(base_ + "/secret.txt", "SECRET");
    write(base_ + "/static-other/secret.txt", "SECRET");
    std::filesystem::create_symlink(base_ + "/secret.txt", root_ + "/absolute.txt");
    std::filesystem::create_symlink("../secret.txt", root_ + "/relative.txt");
    std::filesystem::create_symlink("..", root_ + "/up");
    std::filesystem::create_symlink("/", root_ + "/filesystem");
    std::filesystem::create_symlink("up/secret.txt", root_ + "/chain.txt");
    std::filesystem::create_symlink("loop.txt", root_ + "/loop.txt");
    std::filesystem::create_symlink("ok.txt", root_ + "/inside.txt");
    std::filesystem::create_symlink("../ok.txt", root_ + "/sub/inside.txt");
    std::filesystem::create_symlink("../secret.txt", root_ + "/ok.txt.gz");
    mkfifo((root_ + "/fifo").c_str(), 0600);
    app_.static_files("/s", root_);
    app_.get("/f/<path:p>", [this](Request&, std::string_view p) { return send_file(p, {.root = root_}); });
  }
  ~Containment() override { std::filesystem::remove_all(base_); }

  static void write(const std::string& path, std::string_view text) { std::ofstream(path) << text; }
  void expect_nothing(TestClient& client, const std::string& target) {
    const std::string answer = client.raw(
        "GET " + target + " HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, br\r\nConnection: close\r\n\r\n");
    const std::string status = answer.substr(0, 13);
    EXPECT_TRUE(status == "HTTP/1.1 404 " || status == "HTTP/1.1 400 ") << target << " → " << answer;
    EXPECT_EQ(answer.find("SECRET"), answer.npos) << target << " → " << answer;
    EXPECT_EQ(answer.find("root:"), answer.npos) << target << " → " << answer;
  }

  std::string base_;
  std::string root_;
  App app_;
};

TEST_F(Containment, LinksThatStayInsideAreFollowed) {
  TestClient client(app_);
  for (const char* name : {"ok.txt", "sub/ok.txt", "inside.txt", "sub/inside.txt"}) {
    EXPECT_EQ(client.get(std::string("/s/") + name).text, "fine") << name;
    EXPECT_EQ(client.get(std::string("/f/") + name).text, "fine") << name;
  }
}

TEST_F(Containment, AVariantThatLeadsOutsideIsPassedOver) {
  TestClient client(app_);
  const TestResponse res = client.get("/s/ok.txt", {{"Accept-Encoding", "gzip"}});
  EXPECT_EQ(res.text, "fine");
  EXPECT_EQ(res.headers["Content-Encoding"], "");
}

TEST_F(Containment, NothingOutsideCanBeReached) {
  TestClient client(app_);
  ASSERT_TRUE(client.started());
  const std::string to_root = "/../../../../../../../../../..";
  const std::vector<std::string> paths = {
      "/../secret.txt",
      "/../../secret.txt",
      "/..",
      "/../",
      "/.",
      "/./../secret.txt",
      "/sub/../../secret.txt",
      "/sub/../../static-other/secret.txt",
      "/../static-other/secret.txt",
      "/../static/../secret.txt",
      "/nothing/../../secret.txt",
      "/ok.txt/../../secret.txt",
      "//secret.txt",
      "//" + base_ + "/secret.txt",
      "/" + base_ + "/secret.txt",
      base_ + "/secret.txt",
      "//etc/passwd",
      "///etc/passwd",
      "/%2fetc/passwd",
      "/%2Fetc%2Fpasswd",
      to_root + "/etc/passwd",
      "/%2e%2e/secret.txt",
      "/%2E%2E/secret.txt",
      "/.%2e/secret.txt",
      "/%2e./secret.txt",
      "/..%2fsecret.txt",
      "/..%2Fsecret.txt",
      "/%2e%2e%2fsecret.txt",
      "/sub%2f..%2f..%2fsecret.txt",
      "/%252e%252e/secret.txt",
      "/%252e%252e%252fsecret.txt",
      "/..%252fsecret.txt",
      "/..%5csecret.txt",
      "/..%5Csecret.txt",
      "/..\\secret.txt",
      "/%5c..%5csecret.txt",
      "/sub%5c..%5c..%5csecret.txt",
      "/..%00/secret.txt",
      "/../secret.txt%00.txt",
      "/ok.txt%00/../../secret.txt",
      "/ok.txt%00.png",
      "/%00",
      "/..%c0%afsecret.txt",
      "/%c0%ae%c0%ae/secret.txt",
      "/%c0%ae%c0%ae%c0%afsecret.txt",
      "/%e0%80%ae%e0%80%ae/secret.txt",
      "/%f0%80%80%ae%f0%80%80%ae/secret.txt",
      "/%u002e%u002e/secret.txt",
      "/..;/secret.txt",
      "/.../secret.txt",
      "/....//secret.txt",
      "/..%0d%0a/secret.txt",
      "/%0a../secret.txt",
      "/..%20/secret.txt",
      "/..%09/secret.txt",
      "/..?/secret.txt",
      "/..%3f/secret.txt",
      "/..%23/secret.txt",
      "/..%ff/secret.txt",
      "/..%/secret.txt",
      "/..%2/secret.txt",
      "/%/secret.txt",
      "/file:///etc/passwd",
      "/file:%2f%2f/etc/passwd",
      "/c:/secret.txt",
      "/c:%5csecret.txt",
      "/~root/secret.txt",
      "/absolute.txt",
      "/relative.txt",
      "/chain.txt",
      "/loop.txt",
      "/up/secret.txt",
      "/up/static-other/secret.txt",
      "/up",
      "/up/",
      "/filesystem/etc/passwd",
      "/filesystem" + base_ + "/secret.txt",
      "/fifo",
      "/sub/../up/secret.txt",
      "/proc/self/root/etc/passwd",
      "/" + std::string(1500, 'a'),
      "/" + std::string(500, '.') + "/secret.txt",
  };
  ASSERT_GE(paths.size(), 40U);
  for (const std::string& path : paths) {
    expect_nothing(client, "/s" + path);
    expect_nothing(client, "/f" + path);
    expect_nothing(client, "http://a/s" + path);
  }
  // Every way to write "../" with each byte encoded or not.
  for (int bits = 0; bits < 8; ++bits) {
    for (const bool upper : {false, true}) {
      const auto write = [&](int bit, const char* plain, const char* lower_code, const char* upper_code) {
        return std::string((bits & bit) == 0 ? plain : upper ? upper_code : lower_code);
      };
      const std::string step =
          write(1, ".", "%2e", "%2E") + write(2, ".", "%2e", "%2E") + write(4, "/", "%2f", "%2F");
      expect_nothing(client, "/s/" + step + "secret.txt");
      expect_nothing(client, "/s/sub/" + step + step + "secret.txt");
      expect_nothing(client, "/f/" + step + "secret.txt");
    }
  }
  EXPECT_EQ(client.get("/s/ok.txt").text, "fine");
}

TEST_F(Containment, AFileThatMayNotBeReadIs403) {
  if (geteuid() == 0) {
    // The superuser may read everything: this is then left to the simulator's test of errors.
    SUCCEED();
    return;
  }
  write(root_ + "/locked.txt", "SECRET");
  chmod((root_ + "/locked.txt").c_str(), 0);
  TestClient client(app_);
  EXPECT_EQ(client.get("/s/locked.txt").status_code, 403);
}

TEST_F(Containment, ChangesAreSeen) {
  TestClient client(app_);
  const std::string first(client.get("/s/ok.txt").headers["ETag"]);
  EXPECT_EQ(client.get("/s/ok.txt", {{"If-None-Match", first}}).status_code, 304);
  write(root_ + "/ok.txt", "changed");
  const TestResponse res = client.get("/s/ok.txt", {{"If-None-Match", first}});
  EXPECT_EQ(res.status_code, 200);
  EXPECT_EQ(res.text, "changed");
}

}  // namespace
}  // namespace microdot_test
