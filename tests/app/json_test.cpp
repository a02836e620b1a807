// JSON in and out, through nlohmann/json.

#if __has_include(<nlohmann/json.hpp>)

#include <microdot/ext/json.hpp>

#include "support.hpp"

namespace {

constexpr const char* kJson = "application/json; charset=UTF-8";

std::string brackets(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

/// Answers with what came, and says what kind it was.
void add_echo(App& app) {
  app.post("/", [](Request& req) {
    const nlohmann::json value = req.json();
    return std::string(value.type_name()) + " " + value.dump();
  });
}

}  // namespace

TEST(JsonResponse, FromAllReturnForms) {
  App app;
  app.get("/object", [](Request&) -> nlohmann::json { return {{"foo", "bar"}, {"n", 1.5}}; });
  app.get("/array", [](Request&) {
    nlohmann::json value = nlohmann::json::array();
    value.push_back("foo");
    value.push_back(nullptr);
    return value;
  });
  app.get("/text", [](Request&) { return nlohmann::json("text"); });
  app.get("/null", [](Request&) { return nlohmann::json(); });
  app.get("/pair", [](Request&) { return std::pair(nlohmann::json({{"error", "none"}}), 202); });
  app.get("/tuple", [](Request&) {
    return std::tuple(nlohmann::json({{"a", 1}}), 201, Header{"Content-Type", "application/hal+json"});
  });
  app.get("/task", [](Request&) -> Task<nlohmann::json> {
    nlohmann::json value;
    value["slow"] = true;
    co_await sleep_for(1s);
    co_return value;
  });
  app.get("/optional/<int:n>", [](Request&, int n) -> std::optional<nlohmann::json> {
    if (n == 0) return std::nullopt;
    return nlohmann::json(n);
  });
  app.get("/reference", [](Request&) -> const nlohmann::json& {
    static const nlohmann::json value = {1, 2};
    return value;
  });
  TestClient client(app);
  auto res = client.get("/object");
  EXPECT_EQ(res.status_code, 200);
  EXPECT_EQ(res.headers.getlist("Content-Type"), std::vector<std::string>{kJson});
  EXPECT_EQ(res.text, R"({"foo":"bar","n":1.5})");
  EXPECT_EQ(client.get("/array").text, R"(["foo",null])");
  res = client.get("/text");
  EXPECT_EQ(res.text, "\"text\"");
  EXPECT_EQ(res.headers["Content-Type"], kJson);
  EXPECT_EQ(client.get("/null").text, "null");
  res = client.get("/pair");
  EXPECT_EQ(res.status_code, 202);
  EXPECT_EQ(res.text, R"({"error":"none"})");
  EXPECT_EQ(res.headers["Content-Type"], kJson);
  res = client.get("/tuple");
  EXPECT_EQ(res.status_code, 201);
  EXPECT_EQ(res.headers.getlist("Content-Type"), std::vector<std::string>{"application/hal+json"});
  EXPECT_EQ(client.get("/task").text, R"({"slow":true})");
  EXPECT_EQ(client.get("/optional/0").status_code, 204);
  EXPECT_EQ(client.get("/optional/7").text, "7");
  EXPECT_EQ(client.get("/reference").text, "[1,2]");
}

TEST(JsonResponse, ReplacesWhatIsNotUtf8) {
  App app;
  app.get("/", [](Request&) {
    return nlohmann::json(
        "a\xff"
        "b");
  });
  TestClient client(app);
  auto res = client.get("/");
  EXPECT_EQ(res.status_code, 200);
  EXPECT_EQ(res.text,
            "\"a\xef\xbf\xbd"
            "b\"");
}

TEST(JsonRequest, IsTheParsedBody) {
  App app;
  add_echo(app);
  TestClient client(app);
  for (const char* type : {"application/json", "application/json; charset=UTF-8", "Application/JSON ;x=y",
                           "application/problem+json", "application/LD+JSON"}) {
    EXPECT_EQ(client.post("/", R"({"foo": "bar"})", {{"Content-Type", type}}).text, R"(object {"foo":"bar"})")
        << type;
  }
  EXPECT_EQ(client.post("/", "[1, \"2\"]", {{"Content-Type", kJson}}).text, R"(array [1,"2"])");
  EXPECT_EQ(client.post("/", " null ", {{"Content-Type", kJson}}).text, "null null");
}

TEST(JsonRequest, IsNullForOtherTypes) {
  App app;
  add_echo(app);
  TestClient client(app);
  EXPECT_EQ(client.post("/", "[1]").text, "null null");
  for (const char* type :
       {"text/plain", "application/jsonx", "application/x-json", "+json", ";application/json", "json"}) {
    EXPECT_EQ(client.post("/", "[1]", {{"Content-Type", type}}).text, "null null") << type;
  }
}

TEST(JsonRequest, ThatIsNotJsonIs400) {
  App app;
  add_echo(app);
  TestClient client(app);
  for (const char* body : {"", "{", "[1,]", "{\"a\" 1}", "'a'", "nul", "[1] 2", "\"\xff\"", "\"\\u12\"",
                           "1e999", "[1]]", "\"open", "\"open\\"}) {
    auto res = client.post("/", body, {{"Content-Type", kJson}});
    EXPECT_EQ(res.status_code, 400) << body;
    EXPECT_EQ(res.text, "Bad request") << body;
    EXPECT_FALSE(res.connection_closed) << body;
  }
  EXPECT_EQ(client.post("/", "[1]", {{"Content-Type", kJson}}).text, "array [1]");
}

TEST(JsonRequest, GoesThroughTheErrorHandler) {
  App app;
  add_echo(app);
  app.errorhandler(400, [](Request&) { return Response("not JSON", 400); });
  TestClient client(app);
  EXPECT_EQ(client.post("/", "{", {{"Content-Type", kJson}}).text, "not JSON");
}

TEST(JsonRequest, IsBoundedInDepth) {
  App app;
  add_echo(app);
  TestClient client(app);
  EXPECT_EQ(client.post("/", brackets(kMaxJsonDepth), {{"Content-Type", kJson}}).text,
            "array " + brackets(kMaxJsonDepth));
  EXPECT_EQ(client.post("/", brackets(kMaxJsonDepth + 1), {{"Content-Type", kJson}}).status_code, 400);
  EXPECT_EQ(client.post("/", brackets(8000), {{"Content-Type", kJson}}).status_code, 400);
  EXPECT_EQ(client.post("/", std::string(16 * 1024, '['), {{"Content-Type", kJson}}).status_code, 400);
  std::string objects;
  for (int i = 0; i < 3000; ++i) objects += "{\"\":";
  EXPECT_EQ(client.post("/", objects, {{"Content-Type", kJson}}).status_code, 400);
  // Brackets in text, and beside each other, are not depth.
  const std::string flat = "[\"" + std::string(200, '[') + "\\\"" + std::string(200, '{') + "\",[],[],{}]";
  EXPECT_EQ(client.post("/", flat, {{"Content-Type", kJson}}).text, "array " + flat);
  std::string wide = "[[]";
  for (int i = 0; i < 1000; ++i) wide += ",[]";
  EXPECT_EQ(client.post("/", wide + "]", {{"Content-Type", kJson}}).status_code, 200);
}

TEST(JsonRequest, ThatWasNotKeptIsTooLarge) {
  App app{Limits{.max_content_length = 4096, .max_body_length = 1024}};
  add_echo(app);
  TestClient client(app);
  EXPECT_EQ(client.post("/", "\"" + std::string(2000, 'x') + "\"", {{"Content-Type", kJson}}).status_code,
            413);
}

#endif
