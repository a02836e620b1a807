/// Live streams in worlds where everything goes wrong that can: a seed decides what, when and how often.

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <microdot/ext/sse.hpp>
#include <microdot/ext/websocket.hpp>

#include "../app/support.hpp"

namespace {

/// The same numbers for the same seed.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15U + 1) {}
  std::size_t below(std::size_t bound) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::size_t>(state_ >> 11) % bound;
  }
  bool one_in(std::size_t chances) { return below(chances) == 0; }

 private:
  std::uint64_t state_;
};

class Faults final : public SimFaults {
 public:
  Faults(std::uint64_t seed, bool some) : dice_(seed), some_(some) {}
  std::size_t read_limit(unsigned, std::size_t available) noexcept override {
    return some_ && dice_.one_in(3) ? dice_.below(available) + 1 : available;
  }
  std::size_t write_limit(unsigned, std::size_t offered) noexcept override {
    return some_ && dice_.one_in(3) ? dice_.below(offered + 1) : offered;
  }
  Duration delay(unsigned, SimDirection) noexcept override {
    return std::chrono::milliseconds(some_ && dice_.one_in(4) ? dice_.below(40) : 0);
  }
  std::uint64_t reset_after(unsigned, SimDirection) noexcept override {
    return some_ && dice_.one_in(5) ? dice_.below(4000) : kNever;
  }

 private:
  Dice dice_;
  bool some_;
};

/// What tells a number: with as much behind it as the number says, so that a part that is missing shows.
std::string tick(int number) {
  return std::to_string(number) + std::string(static_cast<std::size_t>(number * 37 % 140), '.');
}

/// What the handlers begin must end.
struct Counts {
  int frames = 0;
  int requests = 0;
};

class World {
 public:
  explicit World(std::uint64_t seed) : dice_(seed), faults_(seed + 1, !dice_.one_in(4)), app_(limits(dice_)) {
    const WhenSlow policy[] = {WhenSlow::wait, WhenSlow::drop_oldest, WhenSlow::close};
    when_slow_ = policy[dice_.below(3)];
    const auto queue = static_cast<std::uint32_t>(150 + dice_.below(1200));
    app_.before_request([this](Request& req) -> std::optional<Response> {
      ++counts_.requests;
      req.on_end([this, live = std::make_unique<int>(1)] {
        if (live) --counts_.requests;
      });
      return {};
    });
    app_.get("/", [](Request&) { return "plain"; });
    app_.get("/echo/<int:pause>", with_websocket(
                                      [this](Request&, WebSocket& ws, int pause) -> Task<> {
                                        const testing_support::Counted counted(counts_.frames);
                                        while (auto message = co_await ws.receive()) {
                                          if (pause != 0)
                                            co_await sleep_for(std::chrono::milliseconds(pause));
                                          co_await ws.send(*message);
                                        }
                                      },
                                      {.queue_bytes = queue, .keep_alive = std::chrono::seconds(3)}));
    app_.get("/ticks",
             with_websocket(
                 [this](Request&, WebSocket& ws) -> Task<> {
                   const testing_support::Counted counted(counts_.frames);
                   Channel<int>::Subscription<3> subscription(channel_, when_slow_);
                   while (auto number = co_await subscription.next()) {
                     const std::string text = tick(*number);
                     if (!co_await ws.send(text)) co_return;
                   }
                 },
                 {.when_slow = when_slow_, .queue_bytes = queue, .keep_alive = std::chrono::seconds(2)}));
    app_.get("/events",
             with_sse(
                 [this](Request&, SSE& sse) -> Task<> {
                   const testing_support::Counted counted(counts_.frames);
                   Channel<int>::Subscription<3> subscription(channel_);
                   while (auto number = co_await subscription.next()) {
                     const std::string id = std::to_string(*number);
                     const std::string text = tick(*number);
                     if (!co_await sse.send(text, "tick", id)) co_return;
                   }
                 },
                 {.when_slow = when_slow_, .queue_bytes = queue, .keep_alive = std::chrono::seconds(2)}));
    TestClientOptions options;
    options.sim.faults = &faults_;
    options.sim.refers_to_written_bytes = dice_.one_in(2);
    options.sim.latency = std::chrono::milliseconds(dice_.below(3));
    client_.emplace(app_, options);
  }

  void live() {
    for (int step = 0; step < 150 && !testing::Test::HasFatalFailure(); ++step) {
      if (sockets_.size() < 5 && dice_.one_in(3)) open();
      if (!sockets_.empty()) act(sockets_[dice_.below(sockets_.size())]);
      for (std::size_t i = dice_.below(5); i != 0; --i) channel_.publish(++number_);
      client_->run_for(std::chrono::milliseconds(dice_.below(20)));
      for (Socket& socket : sockets_) look(socket);
      std::erase_if(sockets_, [](const Socket& socket) { return socket.left; });
      ASSERT_EQ(app_.check(), nullptr) << app_.check();
    }
    if (dice_.one_in(3)) {
      app_.shutdown();
      client_->run_for(std::chrono::seconds(8));
      EXPECT_FALSE(app_.running());
    } else {
      sockets_.clear();
      client_->run_for(std::chrono::seconds(40));
      EXPECT_EQ(client_->sim().open_transports(), 0U);
      EXPECT_EQ(app_.check(), nullptr) << app_.check();
    }
    EXPECT_EQ(app_.stats().streams, 0U);
    EXPECT_EQ(counts_.frames, 0);
    EXPECT_EQ(counts_.requests, 0);
    EXPECT_EQ(channel_.subscribers(), 0U);
  }

 private:
  enum class Kind { echo, ticks, events };
  struct Socket {
    Kind kind = Kind::echo;
    SimClient connection;
    std::string received;          // of the server's frames, not decoded yet
    std::deque<std::string> sent;  // echoes that are to come
    WebSocketDecoder decoder{{.message_bytes = 100'000, .sender = WebSocketSender::server}};
    std::string message;
    int last = -1;
    bool open = false;
    bool left = false;
    bool fair = true;  // reads, and breaks nothing
  };

  static Limits limits(Dice& dice) {
    Limits limits;
    limits.connections = limits.connections_per_client = 8;
    limits.exchanges = 2;
    limits.streams = static_cast<std::uint32_t>(1 + dice.below(4));
    limits.stream_bytes = static_cast<std::uint32_t>(4000 + dice.below(6000));
    limits.ws_message_bytes = static_cast<std::uint32_t>(300 + dice.below(1000));
    limits.write_timeout = std::chrono::seconds(5);
    return limits;
  }

  void open() {
    Socket socket;
    socket.kind = static_cast<Kind>(dice_.below(3));
    socket.connection = client_->sim().connect(80);
    std::string head = "GET ";
    head += socket.kind == Kind::echo    ? "/echo/" + std::to_string(dice_.one_in(2) ? 0 : dice_.below(40))
            : socket.kind == Kind::ticks ? "/ticks"
                                         : "/events";
    head += " HTTP/1.1\r\nHost: a\r\n";
    if (socket.kind != Kind::events) {
      head +=
          "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    }
    if (dice_.one_in(3)) socket.connection.set_segment_size(dice_.below(60) + 1);
    socket.connection.send(head + "\r\n");
    sockets_.push_back(std::move(socket));
  }

  void send(Socket& socket, WebSocketOpcode opcode, std::string_view payload, bool fin) {
    const WebSocketMask mask = {'a', 'b', 'c', 'd'};
    std::array<char, kMaxWebSocketHead> head;
    const std::size_t size = write_websocket_head(
        {.opcode = opcode, .payload_bytes = payload.size(), .fin = fin, .mask = mask}, head);
    std::string frame(head.end() - size, head.end());
    frame += payload;
    apply_websocket_mask(std::span(frame).subspan(size), mask);
    socket.connection.send(frame);
  }

  void act(Socket& socket) {
    switch (dice_.below(14)) {
      case 0:
        socket.connection.reset();
        socket.left = true;
        return;
      case 1:
        socket.connection.close();
        socket.left = true;
        return;
      case 2:
        socket.connection.set_receive_window(dice_.below(300));
        socket.fair = false;
        return;
      case 3: socket.connection.set_receive_window(SIZE_MAX); return;
      default: break;
    }
    if (socket.kind == Kind::events || !socket.open) return;
    switch (dice_.below(10)) {
      case 0: return send(socket, WebSocketOpcode::ping, "are you there?", true);
      case 1:
        if (dice_.one_in(3)) {
          socket.fair = false;
          return send(socket, WebSocketOpcode::close, "", true);
        }
        return;
      case 2:
        if (dice_.one_in(6)) {
          socket.fair = false;
          return socket.connection.send(std::string(dice_.below(8), '\xff'));
        }
        return;
      default: break;
    }
    std::string text(dice_.below(dice_.one_in(4) ? app_.limits().ws_message_bytes : 100),
                     static_cast<char>('a' + dice_.below(26)));
    if (socket.fair && socket.kind == Kind::echo) socket.sent.push_back(text);
    if (dice_.one_in(4)) {
      const std::size_t half = text.size() / 2;
      send(socket, WebSocketOpcode::text, std::string_view(text).substr(0, half), false);
      if (dice_.one_in(2)) send(socket, WebSocketOpcode::ping, "", true);
      send(socket, WebSocketOpcode::continuation, std::string_view(text).substr(half), true);
    } else {
      send(socket, WebSocketOpcode::text, text, true);
    }
  }

  void look(Socket& socket) {
    if (socket.left) return;
    socket.received += socket.connection.received();
    socket.connection.consume(socket.connection.received().size());
    if (!socket.open) {
      const std::size_t end = socket.received.find("\r\n\r\n");
      if (end != std::string::npos) {
        const std::string status = socket.received.substr(9, 3);
        ASSERT_TRUE(status == "101" || status == "200" || status == "503" || status == "408")
            << socket.received;
        socket.open = status == "101" || status == "200";
        if (!socket.open) socket.left = true;
        socket.received.erase(0, end + 4);
      }
    }
    if (socket.open && socket.kind != Kind::events) decode(socket);
    if (socket.open && socket.kind == Kind::events) read_events(socket);
    if (socket.connection.closed()) socket.left = true;
  }

  void decode(Socket& socket) {
    std::span<char> rest(socket.received);
    for (;;) {
      const WebSocketResult result = socket.decoder.decode(rest);
      rest = rest.subspan(result.consumed);
      ASSERT_NE(result.event, WebSocketEvent::error) << socket.decoder.error_reason();
      if (result.event == WebSocketEvent::need_more) break;
      if (result.event == WebSocketEvent::ping) send(socket, WebSocketOpcode::pong, "", true);
      if (result.event != WebSocketEvent::data) continue;
      socket.message.append(result.payload.data(), result.payload.size());
      if (result.end) got(socket, std::exchange(socket.message, {}));
    }
    socket.received.clear();
  }

  void got(Socket& socket, const std::string& message) {
    if (socket.kind == Kind::ticks) return got_number(socket, message);
    if (socket.sent.empty()) return;  // sent while it was not fair
    ASSERT_EQ(message, socket.sent.front());
    socket.sent.pop_front();
  }

  void got_number(Socket& socket, const std::string& text) {
    const int number = std::stoi(text);
    ASSERT_EQ(text, tick(number));
    ASSERT_GT(number, socket.last);
    socket.last = number;
  }

  void read_events(Socket& socket) {
    for (std::size_t end; (end = socket.received.find("\n\n")) != std::string::npos;) {
      const std::string event = socket.received.substr(0, end);
      socket.received.erase(0, end + 2);
      if (event == ":") continue;
      const std::size_t data = event.find("\ndata: ");
      ASSERT_NE(data, std::string::npos) << event;
      const std::string text = event.substr(data + 7);
      ASSERT_EQ(event, "id: " + std::to_string(std::stoi(text)) + "\nevent: tick\ndata: " + text);
      got_number(socket, text);
    }
  }

  Dice dice_;
  Faults faults_;
  Counts counts_;
  Channel<int> channel_;
  int number_ = 0;
  WhenSlow when_slow_;
  App app_;
  std::optional<TestClient> client_;
  std::vector<Socket> sockets_;
};

TEST(LiveWorlds, NothingIsLostLeakedOrMixedUp) {
  for (std::uint64_t seed = 1; seed <= 250; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed);
    world.live();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
