/// WebSocket as handlers and clients see it, over the TestClient: its handshake and its messages. How it
/// ends: websocket_close_test.cpp; the frames' bytes: http/websocket_test.cpp; a list of cases over sockets:
/// tests/websocket.

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "websocket_support.hpp"

namespace {

using testing_support::Counted;
using testing_support::echo;
using testing_support::Ended;
using testing_support::few_streams;
using testing_support::logged;
using testing_support::WebSocketTest;

TEST_F(WebSocketTest, MessagesGoBothWays) {
  app.get("/echo", with_websocket(echo));
  auto ws = client().websocket("/echo");
  ASSERT_EQ(ws.status_code(), 101);
  ws.send("hello");
  ws.send_binary(std::string("\0\1", 2));
  ws.send("");
  auto text = ws.receive();
  ASSERT_TRUE(text);
  EXPECT_EQ(text->data, "hello");
  EXPECT_TRUE(text->is_text);
  auto binary = ws.receive();
  ASSERT_TRUE(binary);
  EXPECT_EQ(binary->data, std::string("\0\1", 2));
  EXPECT_FALSE(binary->is_text);
  EXPECT_EQ(ws.receive()->data, "");
  EXPECT_EQ(app.stats().messages_in, 3U);
  EXPECT_EQ(app.stats().messages_out, 3U);
}

TEST_F(WebSocketTest, HasNoExchangeWhileItIsOpen) {
  app.get("/echo", with_websocket(echo));
  auto one = client().websocket("/echo");
  auto two = client().websocket("/echo");
  EXPECT_EQ(app.stats().streams, 2U);
  EXPECT_EQ(app.stats().exchanges, 0U);
  EXPECT_EQ(app.stats().streams_high_water, 2U);
}

TEST_F(WebSocketTest, PathArgumentsAndRequestAreCopies) {
  struct User {
    std::string name;
  };
  std::string seen;
  app.before_request([](Request& req) -> std::optional<Response> {
    req.g_emplace<User>(User{std::string("a rather long name for a user, on the heap")});
    return {};
  });
  app.get("/rooms/<name>/<int:id>",
          with_websocket([&](Request& req, WebSocket& ws, std::string_view name, int id) -> Task<> {
            (void)co_await ws.receive();
            seen = std::string(name) + " " + std::to_string(id) + " " + std::string(req.args["q"]) + " " +
                   std::string(req.headers["X-Test"]) + " " + std::string(req.cookies()["c"]) + " " +
                   req.g<User>()->name + " " + std::string(req.path) + " " + std::string(req.route);
          }));
  app.get("/other", [](Request&) { return std::string(3000, 'x'); });
  client().cookies.emplace_back("c", "v");
  auto ws = client().websocket("/rooms/a%20b/7?q=1%202", {{"X-Test", "yes"}});
  ASSERT_EQ(ws.status_code(), 101);
  client().get("/other", {{"X-Test", "no"}});  // uses the exchange's memory for something else
  ws.send("go");
  EXPECT_FALSE(ws.receive());
  EXPECT_EQ(
      seen,
      "a b 7 1 2 yes v a rather long name for a user, on the heap /rooms/a%20b/7 /rooms/<name>/<int:id>");
}

TEST_F(WebSocketTest, WhatHooksLeftEndsOnceWithTheStream) {
  int alive = 0;
  int ended = 0;
  int hooks = 0;
  std::string path;
  app.before_request([&](Request& req) -> std::optional<Response> {
    req.g_emplace<Counted>(alive);
    req.on_end([ended = Ended(ended)] {});
    req.on_end(
        [&](Request& which) { path = std::string(which.path) + std::string(which.headers["X-Test"]); });
    req.after_request([&](Request&, Response& res) {
      ++hooks;
      res.header("X-Hook", "ran");
    });
    return {};
  });
  app.get("/echo", with_websocket(echo));
  {
    auto ws = client().websocket("/echo", {{"X-Test", "!"}});
    ASSERT_EQ(ws.status_code(), 101);
    EXPECT_EQ(alive, 1);
    EXPECT_EQ(ended, 0);
    EXPECT_EQ(hooks, 1);
    ws.close();
    EXPECT_FALSE(ws.receive());
  }
  expect_all_ended();
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(path, "/echo!");
}

TEST_F(WebSocketTest, ThatManyOfARouteAtOnce) {
  app.get("/ws", with_websocket(echo), {.max_active = 1});
  auto one = client().websocket("/ws");
  ASSERT_EQ(one.status_code(), 101);
  EXPECT_EQ(client().websocket("/ws").status_code(), 503);
  one.close();
  EXPECT_FALSE(one.receive());
  client().run_for(std::chrono::seconds(3));
  EXPECT_EQ(client().websocket("/ws").status_code(), 101);
}

TEST_F(WebSocketTest, BadHandshakesAreRefused) {
  app.get("/echo", with_websocket(echo));
  auto plain = client().get("/echo");
  EXPECT_EQ(plain.status_code, 426);
  EXPECT_EQ(plain.headers["Upgrade"], "websocket");
  EXPECT_EQ(plain.headers["Connection"], "Upgrade");
  EXPECT_EQ(plain.headers["Sec-WebSocket-Version"], "13");
  auto no_key = client().get(
      "/echo", {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Version", "13"}});
  EXPECT_EQ(no_key.status_code, 400);
  EXPECT_EQ(client().post("/echo").status_code, 405);
  EXPECT_EQ(client().head("/echo").status_code, 400);
  EXPECT_EQ(client().websocket("/echo", {{"Origin", "http://evil.example"}}).status_code(), 403);
  EXPECT_EQ(client().websocket("/echo", {{"Origin", "http://localhost"}}).status_code(), 101);
  EXPECT_EQ(client().websocket("/nowhere").status_code(), 404);
  EXPECT_EQ(app.stats().streams_high_water, 1U);
}

TEST_F(WebSocketTest, OriginsCanBeAllowed) {
  app.get("/some", with_websocket(echo, {.origins = "https://a.example, https://b.example"}));
  app.get("/any", with_websocket(echo, {.origins = "*"}));
  app.get("/many",
          with_websocket(echo, {.origins = "http://1, http://2, http://3, http://4, http://5, http://6, "
                                           "http://7, http://8, http://9, http://10"}));
  EXPECT_EQ(client().websocket("/many", {{"Origin", "http://10"}}).status_code(), 101);
  EXPECT_EQ(client().websocket("/many", {{"Origin", "http://11"}}).status_code(), 403);
  EXPECT_EQ(client().websocket("/some", {{"Origin", "https://b.example"}}).status_code(), 101);
  EXPECT_EQ(client().websocket("/some", {{"Origin", "https://c.example"}}).status_code(), 403);
  EXPECT_EQ(client().websocket("/any", {{"Origin", "https://c.example"}}).status_code(), 101);
}

TEST_F(WebSocketTest, SubprotocolIsAgreedUpon) {
  app.get("/ws", with_websocket([](Request&, WebSocket& ws) -> Task<> { co_await ws.send(ws.subprotocol()); },
                                {.subprotocols = "v2.chat, v1.chat"}));
  auto ws = client().websocket("/ws", {}, "v1.chat, v0.chat");
  EXPECT_EQ(ws.subprotocol(), "v1.chat");
  EXPECT_EQ(ws.receive()->data, "v1.chat");
  auto none = client().websocket("/ws", {}, "other");
  EXPECT_EQ(none.status_code(), 101);
  EXPECT_EQ(none.subprotocol(), "");
  EXPECT_EQ(none.receive()->data, "");
}

TEST_F(WebSocketTest, HooksCanRefuseIt) {
  app.before_request([](Request& req) -> std::optional<Response> {
    if (req.args["token"] != "secret") return abort(401);
    return {};
  });
  app.get("/echo", with_websocket(echo));
  EXPECT_EQ(client().websocket("/echo").status_code(), 401);
  EXPECT_EQ(client().websocket("/echo?token=secret").status_code(), 101);
  EXPECT_EQ(app.stats().streams_high_water, 1U);
}

TEST_F(WebSocketTest, AfterHooksCanStillRefuseIt) {
  int called = 0;
  app.after_request([](Request&, Response&) -> Response { return Response("no", 403); });
  app.get("/ws", with_websocket([&](Request&, WebSocket&) -> Task<> {
            ++called;
            co_return;
          }));
  EXPECT_EQ(client().websocket("/ws").status_code(), 403);
  EXPECT_EQ(called, 0);
  EXPECT_EQ(app.stats().streams, 0U);
  EXPECT_EQ(app.check(), nullptr);
}

TEST_F(WebSocketTest, BytesBehindTheHandshakeAreFrames) {
  app.get("/echo", with_websocket(echo));
  // "Hello", masked (RFC 6455 5.7), in the same piece as the request.
  auto answer = client().raw(
      "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
      "13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
      "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x88\x82\x37\xfa\x21\x3d\x34\x12");
  EXPECT_NE(answer.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), std::string::npos);
  EXPECT_EQ(answer.find("Content-Length"), std::string::npos);
  EXPECT_EQ(answer.find("close"), std::string::npos);
  EXPECT_NE(answer.find("\r\n\r\n\x81\x05Hello\x88\x02\x03\xe8"), std::string::npos) << answer;
}

// Who does not wait for the answer, as RFC 6455 4.1 demands, must not send more than a message.
TEST(WebSocketRoom, MoreBehindTheHandshakeThanAMessageIsTooBig) {
  App app(Limits{.ws_message_bytes = 1024});
  app.get("/echo", with_websocket(echo));
  std::string text =
      "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
      "13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  for (int i = 0; i < 1000; ++i) text += "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
  TestClient client(app);
  const std::string answer = client.raw(text);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 101 ")) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\n\x88\x02\x03\xf1")) << answer;  // 1009
  EXPECT_EQ(app.check(), nullptr);
}

TEST_F(WebSocketTest, FragmentsArePutTogetherAndPingsAnsweredBetween) {
  app.get("/echo", with_websocket(echo));
  auto ws = client().websocket("/echo");
  ws.send_frame(WebSocketOpcode::text, "one ", false);
  ws.send_frame(WebSocketOpcode::ping, "ping");
  ws.send_frame(WebSocketOpcode::continuation, "two ", false);
  ws.send_frame(WebSocketOpcode::continuation, "", false);
  ws.send_frame(WebSocketOpcode::continuation, "three", true);
  EXPECT_EQ(ws.receive()->data, "one two three");
  ASSERT_EQ(ws.pongs().size(), 1U);
  EXPECT_EQ(ws.pongs()[0], "ping");
}

TEST_F(WebSocketTest, EveryPieceSizeGivesTheSame) {
  app.get("/echo", with_websocket(echo));
  for (std::size_t piece = 1; piece <= 40; ++piece) {
    auto ws = client().websocket("/echo");
    ws.connection().set_segment_size(piece);
    std::vector<std::string> sent;
    for (std::size_t i = 0; i < 12; ++i) {
      sent.push_back(std::string(i * i * 7 % 990, static_cast<char>('a' + i)));
      if (i % 3 == 0 && sent.back().size() > 2) {
        ws.send_frame(WebSocketOpcode::text, sent.back().substr(0, 2), false);
        ws.send_frame(WebSocketOpcode::ping, "p");
        ws.send_frame(WebSocketOpcode::continuation, sent.back().substr(2));
      } else {
        ws.send(sent.back());
      }
    }
    for (const std::string& text : sent) {
      auto message = ws.receive();
      ASSERT_TRUE(message) << piece;
      ASSERT_EQ(message->data, text) << piece;
    }
    ws.close();
    ASSERT_FALSE(ws.receive());
    ASSERT_EQ(ws.close_code(), kCloseNormal);
    client().run_for(std::chrono::seconds(3));
  }
  expect_all_ended();
}

TEST_F(WebSocketTest, MessagesUpToTheLimit) {
  app.get("/echo", with_websocket(echo));
  auto ws = client().websocket("/echo");
  ws.send(std::string(1000, 'x'));
  EXPECT_EQ(ws.receive()->data.size(), 1000U);
  ws.send(std::string(1001, 'x'));
  EXPECT_FALSE(ws.receive());
  EXPECT_EQ(ws.close_code(), kCloseTooBig);
  expect_all_ended();
}

TEST_F(WebSocketTest, WhatBreaksTheProtocolIsClosed) {
  app.get("/echo", with_websocket(echo));
  struct Case {
    std::string bytes;
    std::uint16_t code;
  };
  const Case cases[] = {
      {"\x81\x05Hello", kCloseProtocolError},                         // not masked
      {std::string("\x83\x80\0\0\0\0", 6), kCloseProtocolError},      // unknown opcode
      {std::string("\xc1\x80\0\0\0\0", 6), kCloseProtocolError},      // a bit nobody agreed upon
      {std::string("\x80\x80\0\0\0\0", 6), kCloseProtocolError},      // continues nothing
      {std::string("\x81\x81\0\0\0\0\xff", 7), kCloseInvalidData},    // not UTF-8
      {std::string("\x88\x81\0\0\0\0\x03", 7), kCloseProtocolError},  // half a code
  };
  for (const Case& one : cases) {
    auto ws = client().websocket("/echo");
    ws.connection().send(one.bytes);
    EXPECT_FALSE(ws.receive());
    EXPECT_EQ(ws.close_code(), one.code);
  }
  expect_all_ended();
}

TEST_F(WebSocketTest, ReceivingAndSendingCanBeLimitedInTime) {
  app.get("/ws", with_websocket([](Request&, WebSocket& ws) -> Task<> {
            const Result<Message> none = co_await wait_for(ws.receive(), std::chrono::milliseconds(100));
            EXPECT_EQ(none.error(), Error::timeout);
            const Result<void> sent = co_await wait_for(ws.send("are you there?"), std::chrono::seconds(1));
            EXPECT_TRUE(sent);
            const Result<Message> one = co_await wait_for(ws.receive(), std::chrono::seconds(1));
            co_await ws.send(*one);
          }));
  auto ws = client().websocket("/ws");
  EXPECT_EQ(ws.receive()->data, "are you there?");
  ws.send("yes");
  EXPECT_EQ(ws.receive()->data, "yes");
}

TEST_F(WebSocketTest, TestsThatWaitForNothingEnd) {
  app.get("/echo", with_websocket(echo));
  auto ws = client().websocket("/echo");
  EXPECT_FALSE(ws.receive());
  EXPECT_TRUE(ws.connected());
  EXPECT_GT(ws.pings(), 100U);  // an hour of them
}

TEST_F(WebSocketTest, WithoutASlotItIs503) {
  app.get("/echo", with_websocket(echo));
  app.get("/", [](Request&) { return "served"; });
  std::vector<TestWebSocket> open;
  for (int i = 0; i < 3; ++i) open.push_back(client().websocket("/echo"));  // three quarters: its share
  EXPECT_EQ(client().websocket("/echo").status_code(), 503);
  EXPECT_EQ(client().get("/").text, "served");
  open.back().close();
  EXPECT_FALSE(open.back().receive());
  client().run_for(std::chrono::seconds(3));
  EXPECT_EQ(client().websocket("/echo").status_code(), 101);
}

TEST(WebSocket, WithoutMemoryItIs503) {
  Limits limits = few_streams();
  limits.stream_bytes = 1500;
  App app{limits};
  app.get("/echo", with_websocket(echo));
  TestClient client(app);
  EXPECT_EQ(client.websocket("/echo", {{"X-Large", std::string(1000, 'x')}}).status_code(), 503);
  EXPECT_TRUE(logged(client, "out of memory: see Limits::stream_bytes"));
  EXPECT_EQ(app.stats().streams, 0U);
  EXPECT_EQ(app.check(), nullptr);
}

TEST_F(WebSocketTest, WithoutMemoryInItsRequestItIs503) {
  std::uint16_t served = 0;
  app.before_request([&](Request& req) -> std::optional<Response> {
    req.arena().fail_after(served, 1000);
    return {};
  });
  app.get("/echo", with_websocket(echo));
  for (; served < 50; ++served) {
    auto ws = client().websocket("/echo");
    if (ws.status_code() == 101) break;
    EXPECT_EQ(ws.status_code(), 503) << served;
    EXPECT_EQ(app.stats().streams, 0U);
  }
  EXPECT_GT(served, 1);
  EXPECT_LT(served, 50);
}

TEST(WebSocket, WithoutStreamsItSaysSo) {
  Limits limits;
  limits.streams = 0;
  App app{limits};
  app.get("/echo", with_websocket(echo));
  TestClient client(app);
  EXPECT_EQ(client.websocket("/echo").status_code(), 503);
  EXPECT_TRUE(logged(client, "/echo: no streams: see Limits::streams"));
}

}  // namespace
