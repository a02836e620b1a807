// Routes as users meet them: declared on an App, found by requests. What docs/guide/routing.md says.

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include <microdot/app.hpp>
#include <microdot/async/sleep.hpp>
#include <microdot/testing/test_client.hpp>
#if defined(MICRODOT_TEST_RE2)
#include <microdot/ext/re2.hpp>
#endif

using namespace microdot;

namespace {
struct Shade {
  unsigned value = 0;
};
}  // namespace

template <>
struct microdot::PathType<Shade> {
  static constexpr std::string_view name = "shade";
  static bool parse(std::string_view text, Shade& shade) {
    const char* end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, shade.value, 16);
    return result.ec == std::errc() && result.ptr == end;
  }
};

TEST(AppRoutes, ComponentsBecomeArguments) {
  App app;
  app.get("/users/<int:id>", [](Request&, int id) { return std::to_string(id); });
  app.get("/bytes/<int:b>", [](Request&, std::uint8_t b) { return std::to_string(b); });
  app.get("/files/<path:name>", [](Request&, std::string_view name) { return std::string(name); });
  app.get("/shades/<shade:s>", [](Request&, Shade s) { return std::to_string(s.value); });
  app.get("/hello/<name>", [](Request&, const std::string& name) { return "Hello, " + name; });
  TestClient client(app);
  EXPECT_EQ(client.get("/users/-12?page=2").text, "-12");
  EXPECT_EQ(client.get("/users/twelve").status_code, 404);
  EXPECT_EQ(client.get("/users/99999999999").status_code, 404);
  EXPECT_EQ(client.get("/bytes/255").text, "255");
  EXPECT_EQ(client.get("/bytes/256").status_code, 404);
  EXPECT_EQ(client.get("/files/a/b%20c").text, "a/b c");
  EXPECT_EQ(client.get("/files/").status_code, 404);
  EXPECT_EQ(client.get("/shades/ff").text, "255");
  EXPECT_EQ(client.get("/shades/fog").status_code, 404);
  EXPECT_EQ(client.get("/hello/J%C3%BCrgen%2FM").text, "Hello, J\xc3\xbcrgen/M");
}

TEST(AppRoutes, TheFirstThatMatchesWins) {
  App app;
  app.get("/users/me", [](Request&) { return "me"; });
  app.get("/users/<int:id>", [](Request&, int) { return "a number"; });
  app.get("/users/<name>", [](Request&, std::string_view) { return "a name"; });
  app.get("/users/you", [](Request&) { return "never"; });
  TestClient client(app);
  EXPECT_EQ(client.get("/users/me").text, "me");
  EXPECT_EQ(client.get("/users/%6De").text, "me");
  EXPECT_EQ(client.get("/users/7").text, "a number");
  EXPECT_EQ(client.get("/users/you").text, "a name");
  EXPECT_EQ(client.get("/users/99999999999").text, "a name");  // no int holds it
}

TEST(AppRoutes, CoroutinesKeepTheirArguments) {
  App app;
  app.get("/<name>/<int:n>", [](Request&, std::string name, int n) -> Task<std::string> {
    co_await sleep_for(std::chrono::seconds(1));
    co_return name + std::to_string(n);
  });
  TestClient client(app);
  EXPECT_EQ(client.get("/a-name-that-is-longer-than-small-strings/7").text,
            "a-name-that-is-longer-than-small-strings7");
}

TEST(AppRoutes, PatternsOfRunTimeAreCopied) {
  App app;
  Router router;
  {
    std::string pattern = "/configured/<int:id>";
    std::string prefix = "/a-prefix-that-is-longer-than-small-strings";
    app.get(runtime(pattern), [](Request&, int id) { return std::to_string(id); });
    router.get("/x", [](Request&) { return "x"; });
    app.mount(router, runtime(prefix));
    pattern.assign(pattern.size(), '!');
    prefix.assign(prefix.size(), '!');
  }
  TestClient client(app);
  EXPECT_EQ(client.get("/configured/3").text, "3");
  EXPECT_EQ(client.get("/a-prefix-that-is-longer-than-small-strings/x").text, "x");
}

TEST(AppRoutes, AWrongPatternOfRunTimeStopsTheStartByName) {
  App app;
  app.get(runtime("/users/<integer:id>"), [](Request&, int) { return ""; });
  TestClient client(app);
  EXPECT_FALSE(client.started());
  const std::string log(client.sim().log_text());
  EXPECT_NE(log.find("/users/<integer:id>"), std::string::npos) << log;
  EXPECT_NE(log.find("a component's type is unknown"), std::string::npos) << log;
}

TEST(AppRoutes, MountedBelowAPrefix) {
  App app;
  Router users;
  users.get("/", [](Request&) { return "all"; });
  users.get("/<int:id>", [](Request&, int id) { return std::to_string(id); });
  app.mount(users, "/users");
  TestClient client(app);
  EXPECT_EQ(client.get("/users/").text, "all");
  EXPECT_EQ(client.get("/users/5").text, "5");
  EXPECT_EQ(client.get("/users").status_code, 404);
  EXPECT_EQ(client.get("/5").status_code, 404);
}

#if defined(MICRODOT_TEST_RE2)
TEST(AppRoutes, RegularExpressions) {
  App app;
  app.get("/orders/<re:[A-Z]{2}[0-9]+:code>",
          [](Request&, std::string_view code) { return std::string(code); });
  TestClient client(app);
  EXPECT_EQ(client.get("/orders/AB12").text, "AB12");
  EXPECT_EQ(client.get("/orders/%41B12").text, "AB12");
  EXPECT_EQ(client.get("/orders/AB12x").status_code, 404);
}

TEST(AppRoutes, ABadRegularExpressionStopsTheStartByName) {
  App app;
  app.get("/orders/<re:[A-:code>", [](Request&, std::string_view) { return ""; });
  TestClient client(app);
  EXPECT_FALSE(client.started());
  const std::string log(client.sim().log_text());
  EXPECT_NE(log.find("/orders/<re:[A-:code>"), std::string::npos) << log;
  EXPECT_NE(log.find("missing ]"), std::string::npos) << log;
}

TEST(AppRoutes, ARegularExpressionWithoutItsEngineStopsTheStart) {
  set_regex_engine(nullptr);
  App app;
  app.get("/orders/<re:[0-9]+:code>", [](Request&, std::string_view) { return ""; });
  TestClient client(app);
  EXPECT_FALSE(client.started());
  EXPECT_NE(std::string(client.sim().log_text()).find("microdot::re2"), std::string::npos);
  set_regex_engine(&re2_engine());
}
#endif
