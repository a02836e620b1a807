/// How a WebSocket ends: by its client, its handler, the server, or because nobody is there any more.

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "websocket_support.hpp"

namespace {

using testing_support::Counted;
using testing_support::echo;
using testing_support::few_streams;
using testing_support::logged;
using testing_support::WebSocketTest;

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

}  // namespace
