// JSON over the request's memory: <microdot/ext/rapidjson.hpp>.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include <microdot/ext/rapidjson.hpp>
#include <microdot/microdot.hpp>
#include <microdot/testing/test_client.hpp>

#include "tests/server/heap_counter.hpp"

namespace microdot_test {
namespace {

using namespace microdot;

class RapidJson : public testing::Test {
 protected:
  explicit RapidJson(const Limits& limits = Limits::host()) : app(limits), client(app) {
    app.post("/echo", [](Request& req) -> Response {
      const JsonValue* value = read_json(req);
      if (value == nullptr) return "not this";
      JsonWriter json(req);
      value->Accept(json);
      return json.response(201);
    });
  }
  TestResponse echo(std::string_view body, std::string_view type = "application/json") {
    return client.post("/echo", body, {{"Content-Type", type}});
  }

  App app;
  TestClient client;
};

TEST_F(RapidJson, ReadsAndWrites) {
  for (const char* text :
       {"null", "true", "false", "0", "-1", "4294967295", "-9223372036854775808", "18446744073709551615",
        "21.5", "1e300", "\"\"", "\"a\"", "\"ä€\xF0\x9F\x98\x80\"", "[]", "{}", "[1,2,[3,{\"a\":null}]]",
        "{\"a\":1,\"b\":[true,false],\"\":{\"c\":\"d\"}}", "\"\\\"\\\\\\n\"", "[[],{},[{}]]"}) {
    const TestResponse res = echo(text);
    EXPECT_EQ(res.status_code, 201) << text;
    EXPECT_EQ(res.text, std::string_view(text) == "1e300" ? "1e300" : text);
    EXPECT_EQ(res.headers["Content-Type"], "application/json; charset=UTF-8");
  }
  EXPECT_EQ(echo("\"\\uD83D\\uDE00\\\\ude00\"").text, "\"\xF0\x9F\x98\x80\\\\ude00\"");
  EXPECT_EQ(echo(" [ 1 , \"\\u00e4\\/\" ] ").text, "[1,\"ä/\"]");
  EXPECT_EQ(echo("{}", "Application/Problem+JSON; charset=utf-8").status_code, 201);
}

TEST_F(RapidJson, RefusesWhatIsNotJson) {
  for (const std::string_view text : {std::string_view(""),
                                      std::string_view(" "),
                                      std::string_view("["),
                                      std::string_view("{\"a\"}"),
                                      std::string_view("[1,]"),
                                      std::string_view("nul"),
                                      std::string_view("1 2"),
                                      std::string_view("\"a"),
                                      std::string_view("[1]\0", 4),
                                      std::string_view("[1]\0]", 5),
                                      std::string_view("\0", 1),
                                      std::string_view("\"\xff\""),
                                      std::string_view("\"\xc3\""),
                                      std::string_view("\"\\ud800\""),
                                      std::string_view("\"\\ude00\""),
                                      std::string_view("\"\\ud83d\\ude00\\ude00\""),
                                      std::string_view("'a'"),
                                      std::string_view("[NaN]"),
                                      std::string_view("01"),
                                      std::string_view("1e999"),
                                      std::string_view("3.1e309"),
                                      std::string_view("\"\xef", 2),
                                      std::string_view("\"\n\"")}) {
    const TestResponse res = echo(text);
    EXPECT_EQ(res.status_code, 400) << text;
    EXPECT_THAT(res.text, testing::Not(testing::HasSubstr("not this")));
  }
  EXPECT_EQ(echo("{}", "text/plain").status_code, 415);
}

TEST_F(RapidJson, DepthIsBounded) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(echo(nested(kMaxJsonDepth)).text, nested(kMaxJsonDepth));
  EXPECT_EQ(echo(nested(kMaxJsonDepth + 1)).status_code, 400);
  EXPECT_EQ(echo(std::string(3000, '[')).status_code, 400);
}

TEST_F(RapidJson, BodiesThatWereNotKeptAre413) {
  EXPECT_EQ(echo("\"" + std::string(app.limits().max_body_length, 'x') + "\"").status_code, 413);
}

TEST_F(RapidJson, WhatCannotBeSaidIsA500) {
  app.get("/nan", [](Request& req) {
    JsonWriter json(req);
    json.Double(std::numeric_limits<double>::quiet_NaN());
    return json.response();
  });
  app.get("/infinite", [](Request& req) {
    JsonWriter json(req);
    json.StartArray();
    json.Double(HUGE_VAL);
    json.EndArray();
    return json.response();
  });
  app.get("/bytes", [](Request& req) {
    JsonWriter json(req);
    json.String("\xff");
    return json.response();
  });
  app.get("/open", [](Request& req) {
    JsonWriter json(req);
    json.StartObject();
    return json.response();
  });
  app.get("/nothing", [](Request& req) { return JsonWriter(req).response(); });
  app.get("/closed", [](Request& req) {
    JsonWriter json(req);
    json.EndArray();
    return json.response();
  });
  app.get("/deep", [](Request& req) {
    JsonWriter json(req);
    for (int i = 0; i < 1000; ++i) json.StartArray();
    for (int i = 0; i < 1000; ++i) json.EndArray();
    return json.response();
  });
  for (const char* url : {"/nan", "/infinite", "/bytes", "/open", "/nothing", "/closed", "/deep"}) {
    EXPECT_EQ(client.get(url).status_code, 500) << url;
  }
}

// RapidJSON itself would go on from a state of its own, or end the program.
TEST_F(RapidJson, WhatComesBehindSomethingRefusedIsRefusedToo) {
  using Write = void (*)(JsonWriter&);
  constexpr std::pair<const char*, Write> kCases[] = {
      {"/nan", [](JsonWriter& json) { json.Double(NAN), json.Key("b"), json.Int(1), json.EndObject(); }},
      {"/deep",
       [](JsonWriter& json) {
         for (std::size_t i = 0; i < kMaxJsonDepth; ++i) json.StartArray();
         json.EndObject();
       }},
      {"/array-end", [](JsonWriter& json) { json.Int(1), json.EndArray(); }},
      {"/no-value", [](JsonWriter& json) { json.EndObject(); }},
      {"/no-name", [](JsonWriter& json) { json.Int(1), json.Int(2), json.EndObject(); }},
      {"/two-values", [](JsonWriter& json) { json.Int(1), json.EndObject(), json.Int(2); }},
      {"/name-in-array", [](JsonWriter& json) { json.StartArray(), json.Key("b"), json.EndArray(); }},
      {"/cut", [](JsonWriter& json) { json.String(std::string_view("caf\xC3\xA9", 4)), json.EndObject(); }},
  };
  for (const auto& [url, write] : kCases) {
    app.get(runtime(url), [write = write](Request& req) {
      JsonWriter json(req);
      json.StartObject();
      json.Key("a");
      write(json);
      return json.response();
    });
    EXPECT_EQ(client.get(url).status_code, 500) << url;
  }
}

TEST_F(RapidJson, ABodyAsDeepAsItMayBeIsNoDangerToTheAnswerItGoesInto) {
  app.post("/wrapped", [](Request& req) -> Response {
    const JsonValue* body = read_json(req);
    if (body == nullptr) return {};
    JsonWriter json(req);
    json.StartObject();
    json.Key("you_sent");
    body->Accept(json);
    json.EndObject();
    return json.response();
  });
  const auto post = [this](std::size_t depth) {
    return client
        .post("/wrapped", std::string(depth, '[') + std::string(depth, ']'),
              {{"Content-Type", "application/json"}})
        .status_code;
  };
  EXPECT_EQ(post(kMaxJsonDepth - 1), 200);
  EXPECT_EQ(post(kMaxJsonDepth), 500);
}

TEST_F(RapidJson, AsksForNoHeap) {
  std::size_t asked = 0;
  app.post("/counted", [&asked](Request& req) -> Response {
    const std::size_t before = heap_requests;
    const JsonValue* value = read_json(req);
    Response res;
    if (value != nullptr) {
      JsonWriter json(req);
      value->Accept(json);
      res = json.response();
    }
    asked += heap_requests - before;
    return res;
  });
  const auto count = [&](const std::string& body) {
    return client.post("/counted", body, {{"Content-Type", "application/json"}}).status_code;
  };
  EXPECT_EQ(count("{\"a\":[1,2.5,\"\\u00e4 a text that is longer than any small string\",{\"b\":null}]}"),
            200);
  EXPECT_EQ(count("[" + std::string(1000, ' ') + "1e5,\"" + std::string(900, 'x') + "\\n\"]"), 200);
  EXPECT_EQ(count("[1,"), 400);
  EXPECT_EQ(count(std::string(60, '[') + std::string(60, ']')), 200);
  EXPECT_EQ(asked, 0U);
  const std::size_t before = heap_requests;
  EXPECT_EQ(std::string(1000, 'x').size(), 1000U);
  EXPECT_GT(heap_requests, before) << "the counter counts";
}

class RapidJsonOnADevice : public RapidJson {
 protected:
  RapidJsonOnADevice() : RapidJson(Limits::device()) {}
};

TEST_F(RapidJsonOnADevice, WithoutRoomItIs503) {
  app.get("/long/<int:n>", [](Request& req, int n) {
    JsonWriter json(req);
    json.StartArray();
    for (int i = 0; i < n; ++i) json.Int(7);
    json.EndArray();
    return json.response();
  });
  EXPECT_EQ(client.get("/long/100").text.size(), 201U);
  EXPECT_EQ(client.get("/long/100000").status_code, 503);
  EXPECT_EQ(client.get("/long/100").status_code, 200);
  std::string many = "[";
  while (many.size() + 3 < app.limits().max_body_length) many += "1,";
  EXPECT_EQ(echo(many + "1]").status_code, 503);
  EXPECT_EQ(echo("[1,2]").text, "[1,2]");
}

// Every size of text up to what a device takes: RapidJSON never asks for more than was reckoned.
TEST_F(RapidJson, MemoryIsReckonedForAnyShape) {
  const std::string pieces[] = {"[", "{\"k\":", "1,", "\"s\",", "[],", "{},", "{\"a\":1,\"b\":2},"};
  for (std::size_t a = 0; a < std::size(pieces); ++a) {
    for (std::size_t n = 1; n < 60; ++n) {
      std::string text;
      std::string ends;
      for (std::size_t i = 0; i < n; ++i) {
        if (pieces[a] == "[") ends = "]" + ends;
        if (pieces[a] == "{\"k\":") ends = "}" + ends;
        text += pieces[a];
      }
      text += "0" + ends;
      if (text.find(',') != text.npos && ends.empty()) text = "[" + text + "]";
      EXPECT_EQ(echo(text).text, text);
    }
  }
}

}  // namespace
}  // namespace microdot_test
