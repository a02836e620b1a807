/// WebSocket as handlers and clients see it, over the TestClient. The frames' bytes: http/websocket_test.cpp;
/// a list of cases over sockets: tests/websocket.

#include <microdot/ext/websocket.hpp>

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "live_test.hpp"

namespace {

using testing_support::Counted;
using testing_support::Ended;
using testing_support::few_streams;
using testing_support::logged;

Task<> echo(Request&, WebSocket& ws) {
  while (auto message = co_await ws.receive()) co_await ws.send(*message);
}

class WebSocketTest : public testing_support::LiveTest {};

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

TEST_F(WebSocketTest, ClientClosesItWithACode) {
  std::uint16_t code = 0;
  std::string reason;
  app.get("/ws", with_websocket([&](Request&, WebSocket& ws) -> Task<> {
            while (auto message = co_await ws.receive()) {
            }
            code = ws.close_code();
            reason = ws.close_reason();
          }));
  auto ws = client().websocket("/ws");
  ws.close(4001, "enough");
  EXPECT_FALSE(ws.receive());
  EXPECT_EQ(ws.close_code(), 4001);
  EXPECT_EQ(code, 4001);
  EXPECT_EQ(reason, "enough");
  expect_all_ended();
  EXPECT_TRUE(ws.ended());
}

TEST_F(WebSocketTest, HandlerClosesItWithACode) {
  app.get("/ws", with_websocket([](Request&, WebSocket& ws) -> Task<> {
            co_await ws.send("last words");
            ws.close(4002, "bye");
            EXPECT_FALSE(ws.is_open());
            const Result<void> sent = co_await ws.send("too late");
            EXPECT_EQ(sent.error(), Error::closed);
            const auto message = co_await ws.receive();
            EXPECT_EQ(message.error(), Error::closed);
          }));
  auto ws = client().websocket("/ws");
  EXPECT_EQ(ws.receive()->data, "last words");
  EXPECT_FALSE(ws.receive());
  EXPECT_EQ(ws.close_code(), 4002);
  EXPECT_EQ(ws.close_reason(), "bye");
  expect_all_ended();
}

TEST_F(WebSocketTest, ReturningClosesItInOrder) {
  app.get("/ws", with_websocket([](Request&, WebSocket& ws) -> Task<> { co_await ws.send("only this"); }));
  auto ws = client().websocket("/ws");
  EXPECT_EQ(ws.receive()->data, "only this");
  EXPECT_FALSE(ws.receive());
  EXPECT_EQ(ws.close_code(), kCloseNormal);
  expect_all_ended();
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

TEST_F(WebSocketTest, HandlerThatWaitsForSomethingElseIsEndedWhenTheClientGoes) {
  int alive = 0;
  app.get("/ws", with_websocket([&](Request&, WebSocket&) -> Task<> {
            const Counted counted(alive);
            co_await sleep_for(std::chrono::hours(1));
          }));
  auto ws = client().websocket("/ws");
  client().run_for(std::chrono::seconds(1));
  EXPECT_EQ(alive, 1);
  ws.connection().reset();
  client().run_for(std::chrono::milliseconds(10));
  EXPECT_EQ(alive, 0);
  expect_all_ended();
}

TEST_F(WebSocketTest, HandlerThatReceivesIsToldWhenTheClientGoes) {
  Error error = Error::none;
  std::uint16_t code = 0;
  app.get("/ws", with_websocket([&](Request&, WebSocket& ws) -> Task<> {
            const auto message = co_await ws.receive();
            error = message.error();
            code = ws.close_code();
            co_await sleep_for(std::chrono::milliseconds(100));  // it may tidy up
            error = Error::timeout;
          }));
  for (const bool reset : {true, false}) {
    error = Error::none;
    auto ws = client().websocket("/ws");
    client().run_for(std::chrono::seconds(1));
    if (reset) {
      ws.connection().reset();
    } else {
      ws.connection().close();
    }
    client().run_for(std::chrono::milliseconds(10));
    EXPECT_EQ(error, Error::closed);
    EXPECT_EQ(code, kCloseAbnormal);
    client().run_for(std::chrono::milliseconds(200));
    EXPECT_EQ(error, Error::timeout);
  }
  expect_all_ended();
}

TEST_F(WebSocketTest, HandlerThatDoesNotReturnIsEndedAfterAWhile) {
  int alive = 0;
  app.get("/ws", with_websocket([&](Request&, WebSocket& ws) -> Task<> {
            const Counted counted(alive);
            while (co_await ws.receive()) {
            }
            co_await sleep_for(std::chrono::hours(1));
          }));
  auto ws = client().websocket("/ws");
  ws.close();
  client().run_for(std::chrono::milliseconds(1900));
  EXPECT_EQ(alive, 1);
  client().run_for(std::chrono::milliseconds(200));
  EXPECT_EQ(alive, 0);
  expect_all_ended();
}

TEST_F(WebSocketTest, MessagesBeforeTheCloseAreStillReceived) {
  std::vector<std::string> seen;
  app.get("/ws", with_websocket([&](Request&, WebSocket& ws) -> Task<> {
            while (auto message = co_await ws.receive()) {
              seen.emplace_back(message->data);
              co_await sleep_for(std::chrono::milliseconds(100));
            }
          }));
  auto ws = client().websocket("/ws");
  ws.send("a");
  ws.send("b");
  ws.send("c");
  ws.close();
  client().run_for(std::chrono::seconds(1));
  EXPECT_EQ(seen, (std::vector<std::string>{"a", "b", "c"}));
  expect_all_ended();
}

TEST_F(WebSocketTest, EndOfTheConnectionBehindTheCloseTakesNoAnswersAlong) {
  app.get("/ws", with_websocket([](Request&, WebSocket& ws) -> Task<> {
            while (auto message = co_await ws.receive()) {
              co_await sleep_for(std::chrono::milliseconds(100));
              co_await ws.send(*message);
            }
          }));
  auto ws = client().websocket("/ws");
  for (const char* text : {"a", "b", "c"}) ws.send(text);
  ws.close();
  ws.connection().shutdown_write();
  for (const char* text : {"a", "b", "c"}) {
    const auto message = ws.receive();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->data, text);
  }
  EXPECT_FALSE(ws.receive());
  EXPECT_EQ(ws.close_code(), kCloseNormal);
  expect_all_ended();
}

TEST_F(WebSocketTest, NothingIsReceivedAfterClosing) {
  std::vector<Error> errors;
  app.get("/ws", with_websocket([&](Request&, WebSocket& ws) -> Task<> {
            const auto first = co_await ws.receive();
            EXPECT_EQ(first->data, "one");
            co_await sleep_for(std::chrono::milliseconds(10));  // the other one is here, too
            ws.close();
            const auto second = co_await ws.receive();
            errors.push_back(second.error());
          }));
  auto ws = client().websocket("/ws");
  ws.send("one");
  ws.send("two");
  EXPECT_FALSE(ws.receive());
  EXPECT_EQ(errors, std::vector<Error>{Error::closed});
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

TEST_F(WebSocketTest, ShutdownByATaskEndsWhoWaitsForSomethingElseAtOnce) {
  int alive = 0;
  app.get("/ws", with_websocket([&](Request&, WebSocket&) -> Task<> {
            const Counted counted(alive);
            co_await sleep_for(std::chrono::hours(1));
          }));
  app.post("/stop", [&](Request&) {
    create_task(
        [](App* running) -> Task<> {
          running->shutdown();
          co_return;
        },
        &app);
    return "stopping";
  });
  auto ws = client().websocket("/ws");
  client().run_for(std::chrono::milliseconds(1));
  EXPECT_EQ(alive, 1);
  EXPECT_EQ(client().post("/stop").text, "stopping");
  client().run_for(std::chrono::milliseconds(1));
  EXPECT_EQ(alive, 0);
}

TEST_F(WebSocketTest, TestsThatWaitForNothingEnd) {
  app.get("/echo", with_websocket(echo));
  auto ws = client().websocket("/echo");
  EXPECT_FALSE(ws.receive());
  EXPECT_TRUE(ws.connected());
  EXPECT_GT(ws.pings(), 100U);  // an hour of them
}

TEST_F(WebSocketTest, SilentClientsGetPingsAndDeadOnesAreClosed) {
  app.get("/ws", with_websocket(echo, {.keep_alive = std::chrono::seconds(10)}));
  auto ws = client().websocket("/ws");
  auto dead = client().websocket("/ws");
  dead.ignore_pings();
  for (int i = 0; i < 6; ++i) {
    client().run_for(std::chrono::seconds(5));
    ws.send("hm");  // makes `receive` look, and is a sign of life
    EXPECT_EQ(ws.receive()->data, "hm");
  }
  EXPECT_EQ(ws.pings(), 0U);  // it was never silent for so long
  client().run_for(std::chrono::seconds(11));
  ws.send("hm");
  EXPECT_EQ(ws.receive()->data, "hm");
  EXPECT_EQ(ws.pings(), 1U);
  EXPECT_EQ(app.stats().streams, 1U);
  EXPECT_TRUE(dead.connection().was_reset());
  EXPECT_EQ(app.stats().timed_out, 1U);
}

TEST_F(WebSocketTest, PingsAreAnsweredWhileTheHandlerIsBusy) {
  app.get("/ws", with_websocket([](Request&, WebSocket& ws) -> Task<> {
            co_await sleep_for(std::chrono::seconds(60));
            co_await ws.send("now");
          }));
  auto ws = client().websocket("/ws");
  ws.send_frame(WebSocketOpcode::ping, "are you there?");
  client().run_for(std::chrono::seconds(1));
  EXPECT_NE(ws.connection().received().find("are you there?"), std::string_view::npos);
  EXPECT_EQ(ws.receive()->data, "now");
}

TEST_F(WebSocketTest, ClientThatDoesNotReadMakesTheSenderWait) {
  int sent = 0;
  app.get("/ws", with_websocket([&](Request&, WebSocket& ws) -> Task<> {
            (void)co_await ws.receive();
            while (co_await ws.send(std::string(100, 'x'))) ++sent;
          }));
  auto ws = client().websocket("/ws");
  ws.connection().set_receive_window(1000);
  ws.send("go");
  client().run_for(std::chrono::seconds(1));
  const int before = sent;
  EXPECT_LT(before, 100);
  client().run_for(std::chrono::seconds(10));
  EXPECT_EQ(sent, before);
  ws.connection().set_receive_window(SIZE_MAX);
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(ws.receive());
  EXPECT_GT(sent, before);
  EXPECT_EQ(app.stats().messages_dropped, 0U);
}

TEST_F(WebSocketTest, ClientThatNeverReadsIsClosedAfterTheWriteTimeout) {
  int alive = 0;
  app.get("/ws", with_websocket([&](Request&, WebSocket& ws) -> Task<> {
            const Counted counted(alive);
            (void)co_await ws.receive();
            while (co_await ws.send(std::string(100, 'x'))) {
            }
          }));
  auto ws = client().websocket("/ws");
  ws.connection().set_receive_window(1000);
  ws.send("go");
  client().run_for(std::chrono::seconds(29));
  EXPECT_EQ(alive, 1);
  client().run_for(std::chrono::seconds(2));
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(app.stats().timed_out, 1U);
  expect_all_ended();
}

TEST_F(WebSocketTest, OldMessagesAreDroppedForSlowClients) {
  app.get("/ws", with_websocket(
                     [](Request&, WebSocket& ws) -> Task<> {
                       for (int i = 0; i < 1000; ++i) {
                         co_await ws.send(std::to_string(i) + std::string(96, '.'));
                         if (i % 100 == 0) co_await sleep_for(std::chrono::milliseconds(10));
                       }
                       co_await sleep_for(std::chrono::seconds(5));
                     },
                     {.when_slow = WhenSlow::drop_oldest, .queue_bytes = 1000}));
  auto ws = client().websocket("/ws");
  ws.connection().set_receive_window(500);
  client().run_for(std::chrono::seconds(1));
  ws.connection().set_receive_window(SIZE_MAX);
  int last = -1;
  int count = 0;
  while (auto message = ws.receive()) {
    const int number = std::stoi(message->data);
    EXPECT_GT(number, last);
    EXPECT_EQ(message->data, std::to_string(number) + std::string(96, '.'));
    last = number;
    ++count;
  }
  EXPECT_EQ(ws.close_code(), kCloseNormal);
  EXPECT_EQ(last, 999);
  EXPECT_LT(count, 50);
  EXPECT_EQ(app.stats().messages_dropped, static_cast<std::uint64_t>(1000 - count));
}

// Messages that are larger than the queue are never dropped in part, whatever their bytes look like.
TEST_F(WebSocketTest, LargeMessagesAreNotTornWhenOthersAreDropped) {
  const std::string large(2500, '\x05');
  const auto small = [](int i) { return std::to_string(i) + std::string(60, '.'); };
  app.get("/ws", with_websocket(
                     [&](Request&, WebSocket& ws) -> Task<> {
                       (void)co_await ws.receive();
                       for (int round = 0; round < 20; ++round) {
                         co_await ws.send_binary(large);
                         for (int i = 0; i < 30; ++i) co_await ws.send(small(i));
                         co_await sleep_for(std::chrono::milliseconds(10));
                       }
                     },
                     {.when_slow = WhenSlow::drop_oldest, .queue_bytes = 700}));
  auto ws = client().websocket("/ws");
  ws.connection().set_receive_window(300);
  ws.send("go");
  int count = 0;
  while (auto message = ws.receive()) {
    ASSERT_EQ(message->data, message->is_text ? small(std::stoi(message->data)) : large);
    if (message->is_text) continue;
    if (++count < 18) ws.send_frame(WebSocketOpcode::ping, "still there?");
  }
  EXPECT_EQ(ws.pongs().size(), 17U);
  EXPECT_EQ(ws.close_code(), kCloseNormal);
  EXPECT_EQ(count, 20);
  EXPECT_GT(app.stats().messages_dropped, 100U);
  expect_all_ended();
}

TEST_F(WebSocketTest, DroppingForAClientThatTakesNothingLeavesTheLoopToOthers) {
  app.get("/ws", with_websocket(
                     [](Request&, WebSocket& ws) -> Task<> {
                       (void)co_await ws.receive();
                       while (co_await ws.send(std::string(600, 'x'))) {
                       }
                       for (int i = 0; i < 1000; ++i) co_await ws.send("nobody is there");
                     },
                     {.when_slow = WhenSlow::drop_oldest, .queue_bytes = 700}));
  app.get("/", [](Request&) { return "served"; });
  auto ws = client().websocket("/ws");
  ws.connection().set_receive_window(300);
  ws.send("go");
  EXPECT_EQ(client().get("/").text, "served");
  EXPECT_GT(app.stats().messages_dropped, 0U);
  ws.connection().reset();
  expect_all_ended();
}

TEST_F(WebSocketTest, NothingIsDroppedForAMessageThatFindsNoRoomNevertheless) {
  app.get("/ws", with_websocket(
                     [](Request&, WebSocket& ws) -> Task<> {
                       (void)co_await ws.receive();
                       co_await ws.send(std::string(600, 'a'));  // of which a part is sent
                       for (char c : {'b', 'c', 'd'}) co_await ws.send(std::string(80, c));
                       co_await ws.send(std::string(700, 'e'));
                       co_await sleep_for(std::chrono::seconds(1));
                     },
                     {.when_slow = WhenSlow::drop_oldest, .queue_bytes = 1000}));
  auto ws = client().websocket("/ws");
  ws.connection().set_receive_window(100);
  ws.send("go");
  client().run_for(std::chrono::milliseconds(100));
  ws.connection().set_receive_window(SIZE_MAX);
  std::string seen;
  while (auto message = ws.receive()) seen += message->data[0];
  EXPECT_EQ(seen, "abcd");
  EXPECT_EQ(app.stats().messages_dropped, 1U);
}

TEST_F(WebSocketTest, SlowClientsCanBeClosed) {
  Error error = Error::none;
  app.get("/ws", with_websocket(
                     [&](Request&, WebSocket& ws) -> Task<> {
                       (void)co_await ws.receive();
                       for (;;) {
                         const Result<void> sent = co_await ws.send(std::string(100, 'x'));
                         if (!sent) {
                           error = sent.error();
                           co_return;
                         }
                       }
                     },
                     {.when_slow = WhenSlow::close, .queue_bytes = 1000}));
  auto ws = client().websocket("/ws");
  ws.connection().set_receive_window(500);
  ws.send("go");
  client().run_for(std::chrono::seconds(1));
  EXPECT_EQ(error, Error::closed);
  EXPECT_EQ(app.stats().slow_streams, 1U);
  EXPECT_TRUE(ws.connection().was_reset());
  expect_all_ended();
}

TEST_F(WebSocketTest, MessagesLargerThanTheQueueGoInPieces) {
  const std::string large(100'000, 'y');
  app.get("/ws", with_websocket(
                     [&](Request&, WebSocket& ws) -> Task<> {
                       (void)co_await ws.receive();
                       co_await ws.send("before");
                       co_await ws.send(large);
                       co_await ws.send("after");
                     },
                     {.queue_bytes = 300}));
  for (const std::size_t window : {SIZE_MAX, std::size_t{700}}) {
    auto ws = client().websocket("/ws");
    ws.connection().set_receive_window(window);
    ws.send("go");
    if (window != SIZE_MAX) client().run_for(std::chrono::seconds(1));
    ws.send_frame(WebSocketOpcode::ping, "in between");
    EXPECT_EQ(ws.receive()->data, "before");
    EXPECT_EQ(ws.receive()->data, large);
    EXPECT_EQ(ws.receive()->data, "after");
    EXPECT_FALSE(ws.receive());
    EXPECT_EQ(ws.pongs().size(), window != SIZE_MAX ? 1U : 0U);  // all was sent and closed before
    EXPECT_EQ(ws.close_code(), kCloseNormal);
  }
  expect_all_ended();
}

TEST_F(WebSocketTest, VeryLargeMessagesReachSlowClientsToo) {
  const std::string large(300'000, 'y');
  app.get("/ws", with_websocket([&](Request&, WebSocket& ws) -> Task<> {
            (void)co_await ws.receive();
            co_await ws.send(large);
            co_await ws.send("after");
          }));
  auto ws = client().websocket("/ws");
  ws.connection().set_receive_window(10'000);
  ws.send("go");
  EXPECT_EQ(ws.receive()->data, large);
  auto after = ws.receive();
  ASSERT_TRUE(after);
  EXPECT_EQ(after->data, "after");
  EXPECT_FALSE(ws.receive());
  EXPECT_EQ(ws.close_code(), kCloseNormal);
  expect_all_ended();
}

TEST_F(WebSocketTest, SeveralTasksMaySendAtOnce) {
  app.get("/ws", with_websocket(
                     [](Request&, WebSocket& ws) -> Task<> {
                       const auto sender = [](WebSocket* to, char what) -> Task<> {
                         for (int i = 0; i < 20; ++i) co_await to->send(std::string(250, what));
                       };
                       co_await gather(sender(&ws, 'a'), sender(&ws, 'b'), sender(&ws, 'c'));
                     },
                     {.queue_bytes = 300}));
  auto ws = client().websocket("/ws");
  ws.connection().set_receive_window(400);
  int counts[3] = {};
  while (auto message = ws.receive()) {
    ASSERT_EQ(message->data, std::string(250, message->data[0]));
    ++counts[message->data[0] - 'a'];
  }
  EXPECT_EQ(ws.close_code(), kCloseNormal);
  for (const int count : counts) EXPECT_EQ(count, 20);
}

TEST_F(WebSocketTest, SendThatIsGivenUpInTheMiddleEndsTheConnection) {
  app.get("/ws", with_websocket(
                     [](Request&, WebSocket& ws) -> Task<> {
                       const std::string large(5000, 'z');
                       (void)co_await ws.receive();
                       const auto send = [](WebSocket* to, std::string_view text) -> Task<> {
                         co_await to->send(text);
                       };
                       auto sent = co_await wait_for(send(&ws, large), std::chrono::milliseconds(100));
                       EXPECT_FALSE(sent);
                       const Result<void> next = co_await ws.send("would be taken for a part of it");
                       EXPECT_EQ(next.error(), Error::closed);
                     },
                     {.queue_bytes = 300}));
  auto ws = client().websocket("/ws");
  ws.connection().set_receive_window(400);
  ws.send("go");
  client().run_for(std::chrono::seconds(1));
  EXPECT_TRUE(ws.connection().was_reset());
  expect_all_ended();
}

TEST_F(WebSocketTest, FailingHandlersCloseItWith1011) {
  app.get("/abort", with_websocket([](Request&, WebSocket&) -> Task<> { co_await abort(404, "not here"); }));
  auto aborted = client().websocket("/abort");
  EXPECT_FALSE(aborted.receive());
  EXPECT_EQ(aborted.close_code(), kCloseInternalError);
  EXPECT_TRUE(logged(client(), "/abort: aborted with 404 not here"));
  expect_all_ended();
}

#if MICRODOT_EXCEPTIONS
TEST_F(WebSocketTest, ThrowingHandlersCloseItWith1011) {
  app.get("/throw", with_websocket([](Request&, WebSocket& ws) -> Task<> {
            (void)co_await ws.receive();
            throw std::runtime_error("a mistake");
          }));
  auto ws = client().websocket("/throw");
  ws.send("go");
  EXPECT_FALSE(ws.receive());
  EXPECT_EQ(ws.close_code(), kCloseInternalError);
  EXPECT_TRUE(logged(client(), "/throw: a mistake"));
  expect_all_ended();
}
#endif

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

TEST_F(WebSocketTest, ClientThatTakesEverythingLeavesTheLoopToOthers) {
  app.get("/ws", with_websocket([&](Request&, WebSocket& ws) -> Task<> {
            while (co_await ws.send(std::string(500, 'x'))) {
            }
          }));
  app.get("/", [](Request&) { return "served"; });
  auto ws = client().websocket("/ws");
  EXPECT_EQ(client().get("/").text, "served");
  ws.connection().reset();
  expect_all_ended();
}

TEST(WebSocket, AnyAllocationMayFail) {
  App app{few_streams()};
  app.get("/ws/<name>", with_websocket([](Request& req, WebSocket& ws, std::string_view name) -> Task<> {
            const auto child = [](WebSocket* to, std::string_view text) -> Task<> {
              co_await to->send(text);
            };
            co_await child(&ws, name);
            co_await ws.send(req.args["q"]);
          }));
  TestClient client(app);
  int refused = 0;
  int served = 0;
  // Smaller and smaller heads move the point at which memory ends through all that is taken.
  for (std::size_t size = 6000; size > 2000; size -= 16) {
    const std::string half(size / 3, 'x');
    auto ws = client.websocket("/ws/someone?q=1", {{"X-A", half}, {"X-B", half}, {"X-C", half}});
    if (ws.status_code() != 101) {
      EXPECT_EQ(ws.status_code(), 503);
      ++refused;
    } else if (auto message = ws.receive()) {
      EXPECT_EQ(message->data, "someone");
      ++served;
      while (ws.receive()) {
      }
    } else {
      EXPECT_EQ(ws.close_code(), kCloseInternalError);
      ++refused;
    }
    client.run_for(std::chrono::seconds(3));
    ASSERT_EQ(app.stats().streams, 0U);
    ASSERT_EQ(app.check(), nullptr) << app.check();
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(served, 0);
}

TEST_F(WebSocketTest, ShutdownSaysGoingAway) {
  bool told = false;
  int alive = 0;
  app.get("/ws", with_websocket([&](Request&, WebSocket& ws) -> Task<> {
            while (co_await ws.receive()) {
            }
            told = true;
          }));
  app.get("/other", with_websocket([&](Request&, WebSocket&) -> Task<> {
            const Counted counted(alive);
            co_await sleep_for(std::chrono::hours(1));
          }));
  auto ws = client().websocket("/ws");
  auto other = client().websocket("/other");
  app.shutdown();
  EXPECT_FALSE(ws.receive());
  EXPECT_EQ(ws.close_code(), kCloseGoingAway);
  EXPECT_FALSE(other.receive());
  EXPECT_EQ(other.close_code(), kCloseGoingAway);
  EXPECT_TRUE(told);
  EXPECT_EQ(alive, 0);
}

TEST(WebSocket, ServerThatGoesEndsWhatIsOpen) {
  int alive = 0;
  App app{few_streams()};
  app.get("/ws", with_websocket([&](Request&, WebSocket&) -> Task<> {
            const Counted counted(alive);
            co_await shield(
                [](int* count) -> Task<> {
                  const Counted another(*count);
                  co_await sleep_for(std::chrono::hours(1));
                },
                &alive);
          }));
  {
    TestClient client(app);
    auto ws = client.websocket("/ws");
    client.run_for(std::chrono::seconds(1));
    EXPECT_EQ(alive, 2);
  }
  EXPECT_EQ(alive, 0);
}

TEST(WebSocket, OnATransportThatRefersToItsBytes) {
  App app{few_streams()};
  app.get("/echo", with_websocket(echo, {.queue_bytes = 1300}));
  TestClientOptions options;
  options.sim.refers_to_written_bytes = true;
  options.sim.latency = std::chrono::milliseconds(3);
  TestClient client(app, options);
  auto ws = client.websocket("/echo");
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 10; ++i) ws.send(std::string(static_cast<std::size_t>(i * 90), 'a'));
    for (int i = 0; i < 10; ++i) {
      auto message = ws.receive();
      ASSERT_TRUE(message);
      ASSERT_EQ(message->data, std::string(static_cast<std::size_t>(i * 90), 'a'));
    }
  }
  ws.close();
  EXPECT_FALSE(ws.receive());
  client.run_for(std::chrono::seconds(3));
  EXPECT_EQ(app.stats().streams, 0U);
  EXPECT_EQ(app.stats().connections, 0U);
}

TEST(WebSocket, ManyRandomClientsLeaveNothing) {
  Limits limits = few_streams();
  limits.connections_per_client = limits.connections;
  App app{limits};
  int alive = 0;
  app.get("/echo", with_websocket(
                       [&](Request&, WebSocket& ws) -> Task<> {
                         const Counted counted(alive);
                         while (auto message = co_await ws.receive()) {
                           if (message->data.size() % 3 == 0)
                             co_await sleep_for(std::chrono::milliseconds(20));
                           co_await ws.send(*message);
                         }
                       },
                       {.queue_bytes = 500}));
  TestClient client(app);
  std::vector<TestWebSocket> open;
  for (int round = 0; round < 3000; ++round) {
    const std::uint64_t dice = client.sim().random();
    if (open.size() < 4 && dice % 4 == 0) {
      auto ws = client.websocket("/echo");
      if (ws.status_code() == 101) open.push_back(std::move(ws));
    }
    if (!open.empty()) {
      TestWebSocket& ws = open[dice / 8 % open.size()];
      switch (dice / 64 % 10) {
        case 0: ws.connection().reset(); break;
        case 1: ws.connection().close(); break;
        case 2: ws.close(); break;
        case 3: ws.connection().set_receive_window(dice / 1024 % 600); break;
        case 4: ws.send_frame(WebSocketOpcode::ping, "?"); break;
        case 5: ws.connection().set_segment_size(dice / 1024 % 30 + 1); break;
        case 6: ws.connection().send(std::string(dice / 1024 % 5, '\x81')); break;
        default: ws.send(std::string(dice / 1024 % 900, 'x')); break;
      }
      if (dice / 64 % 10 < 3 || ws.connection().closed())
        open.erase(open.begin() + static_cast<long>(dice / 8 % open.size()));
    }
    client.run_for(std::chrono::milliseconds(dice / 4096 % 50));
    ASSERT_EQ(app.check(), nullptr) << app.check();
  }
  open.clear();
  client.run_for(std::chrono::seconds(40));
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(app.stats().streams, 0U);
  EXPECT_EQ(app.stats().connections, 0U);
}

// Every byte, whatever the sizes, fragments, segments and windows, and whether the handler is quick.
TEST(WebSocket, RandomMessagesComeBackAsTheyAre) {
  App app{few_streams()};
  app.get("/echo", with_websocket(
                       [](Request&, WebSocket& ws) -> Task<> {
                         while (auto message = co_await ws.receive()) {
                           if (message->data.size() % 7 == 0)
                             co_await sleep_for(std::chrono::milliseconds(20));
                           co_await ws.send(*message);
                         }
                       },
                       {.queue_bytes = 500}));
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    TestClientOptions options;
    options.sim.seed = seed;
    options.sim.refers_to_written_bytes = seed % 2 == 0;
    TestClient client(app, options);
    const auto dice = [&](std::size_t sides) { return client.sim().random() % sides; };
    auto ws = client.websocket("/echo");
    ASSERT_EQ(ws.status_code(), 101);
    std::vector<TestMessage> sent;
    std::vector<std::string> pings;
    std::size_t received = 0;
    const auto receive_one = [&] {
      auto message = ws.receive();
      ASSERT_TRUE(message);
      ASSERT_EQ(message->is_text, sent[received].is_text);
      ASSERT_EQ(message->data, sent[received].data);
      ++received;
    };
    for (int i = 0; i < 100; ++i) {
      if (dice(4) == 0) ws.connection().set_segment_size(1 + dice(300));
      if (dice(4) == 0) ws.connection().set_receive_window(dice(2) == 0 ? 1 + dice(400) : SIZE_MAX);
      TestMessage message;
      message.is_text = dice(2) == 0;
      const std::size_t size = dice(3) == 0 ? dice(1001) : dice(130);
      while (message.data.size() < size) {
        message.data += static_cast<char>(message.is_text ? 'a' + dice(26) : dice(256));
      }
      std::string_view rest = message.data;
      auto opcode = message.is_text ? WebSocketOpcode::text : WebSocketOpcode::binary;
      for (bool fin = false; !fin; opcode = WebSocketOpcode::continuation) {
        const std::size_t part = dice(2) == 0 ? rest.size() : dice(rest.size() + 1);
        fin = part == rest.size();
        ws.send_frame(opcode, rest.substr(0, part), fin);
        rest.remove_prefix(part);
        if (dice(5) == 0) {
          pings.push_back(std::string(dice(126), static_cast<char>('A' + dice(26))));
          ws.send_frame(WebSocketOpcode::ping, pings.back());
        }
      }
      sent.push_back(std::move(message));
      while (dice(3) == 0 && received < sent.size()) receive_one();
      if (testing::Test::HasFatalFailure()) return;
    }
    ws.connection().set_receive_window(SIZE_MAX);
    ws.close(4001);
    while (received < sent.size() && !testing::Test::HasFatalFailure()) receive_one();
    EXPECT_FALSE(ws.receive());
    EXPECT_EQ(ws.close_code(), 4001);
    EXPECT_EQ(ws.pongs(), pings);
    client.run_for(std::chrono::seconds(3));
    ASSERT_EQ(app.check(), nullptr) << app.check();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
