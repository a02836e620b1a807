/// WebSockets on another transport, with failing memory, and in many random lives.

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "websocket_support.hpp"

namespace {

using testing_support::Counted;
using testing_support::echo;
using testing_support::few_streams;
using testing_support::WebSocketTest;

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
