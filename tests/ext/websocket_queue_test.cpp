/// What a WebSocket sends to clients that are slow, or read nothing: its queue, and who waits for room in it.

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "websocket_support.hpp"

namespace {

using testing_support::Counted;
using testing_support::WebSocketTest;

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

}  // namespace
