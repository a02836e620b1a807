/// permessage-deflate (RFC 7692): messages that go both ways. The client's end is
/// zlib with a heap of its own.

#include <microdot/ext/websocket_deflate.hpp>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <zlib.h>

#include <microdot/ext/websocket.hpp>

#include "live_test.hpp"

namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view kOffer = "permessage-deflate; client_max_window_bits";
constexpr std::string_view kTail{"\0\0\xff\xff", 4};

/// A client's end.
class Peer {
 public:
  explicit Peer(int bits = 15, bool takeover = true) : takeover_(takeover) {
    EXPECT_EQ(deflateInit2(&deflate_, 9, Z_DEFLATED, -bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    EXPECT_EQ(inflateInit2(&inflate_, -15), Z_OK);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() {
    deflateEnd(&deflate_);
    inflateEnd(&inflate_);
  }
  std::string compress(std::string_view text) {
    std::string out(deflateBound(&deflate_, text.size()) + 64, '\0');
    deflate_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    deflate_.avail_in = static_cast<uInt>(text.size());
    deflate_.next_out = reinterpret_cast<Bytef*>(out.data());
    deflate_.avail_out = static_cast<uInt>(out.size());
    deflate(&deflate_, Z_SYNC_FLUSH);
    out.resize(out.size() - deflate_.avail_out);
    if (!takeover_) deflateReset(&deflate_);
    if (text.empty()) return std::string(1, '\0');
    EXPECT_TRUE(out.ends_with(kTail));
    return out.substr(0, out.size() - kTail.size());
  }
  std::string decompress(std::string data) {
    data += kTail;
    std::string out(1 << 20, '\0');
    inflate_.next_in = reinterpret_cast<Bytef*>(data.data());
    inflate_.avail_in = static_cast<uInt>(data.size());
    inflate_.next_out = reinterpret_cast<Bytef*>(out.data());
    inflate_.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(inflate(&inflate_, Z_SYNC_FLUSH), Z_OK);
    EXPECT_EQ(inflate_.avail_in, 0U);
    out.resize(out.size() - inflate_.avail_out);
    if (!takeover_) inflateReset(&inflate_);
    return out;
  }
  std::string text_of(const std::optional<TestMessage>& message) {
    if (!message) return "(none)";
    return message->rsv != 0 ? decompress(message->data) : message->data;
  }

 private:
  z_stream deflate_{};
  z_stream inflate_{};
  bool takeover_;
};

Task<> echo_compressed(Request&, WebSocket& ws) {
  while (auto message = co_await ws.receive()) co_await ws.send(*message);
}

Limits compressing() {
  Limits limits = testing_support::few_streams();
  limits.ws_compressed = 2;
  return limits;
}

/// A text that compresses well, but not to nothing.
std::string words(std::size_t size, unsigned seed = 1) {
  std::string text;
  while (text.size() < size) {
    seed = seed * 1103515245 + 12345;
    text += std::array{"temperature ", "humidity ", "21.5 ", "kitchen ", "{}"}[seed >> 16 & 3];
  }
  text.resize(size);
  return text;
}

/// One that does not.
std::string noise(std::size_t size, unsigned seed = 1) {
  std::string bytes;
  while (bytes.size() < size) bytes += static_cast<char>((seed = seed * 1103515245 + 12345) >> 16);
  return bytes;
}

class WebSocketDeflateTest : public testing_support::LiveTest {
 protected:
  WebSocketDeflateTest() : LiveTest(compressing()) {}

  TestWebSocket open(std::string_view url = "/echo", std::string_view offer = kOffer) {
    return client().websocket(url, {{"Sec-WebSocket-Extensions", offer}});
  }
  void send(TestWebSocket& ws, std::string_view text) {
    ws.send_frame(WebSocketOpcode::text, peer.compress(text), true, kRsv1);
  }
  /// The memory of those that compress is all free: as many may do so again.
  void expect_none_compresses() {
    expect_all_ended();
    auto one = open();
    auto two = open();
    EXPECT_NE(one.extensions(), "");
    EXPECT_NE(two.extensions(), "");
  }

  Peer peer{12};
};

TEST_F(WebSocketDeflateTest, MessagesGoBothWays) {
  app.get("/echo", with_websocket(
                       [](Request&, WebSocket& ws) -> Task<> {
                         EXPECT_TRUE(ws.compressed());
                         while (auto message = co_await ws.receive()) co_await ws.send(*message);
                       },
                       {.compression = &kWebSocketDeflate}));
  auto ws = open();
  ASSERT_EQ(ws.status_code(), 101);
  EXPECT_EQ(ws.extensions(), "permessage-deflate; client_max_window_bits=12");
  const std::string text = words(900);
  std::vector<std::size_t> sizes;
  for (int i = 0; i < 5; ++i) {
    send(ws, text);
    const auto message = ws.receive();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->rsv, kRsv1);
    EXPECT_TRUE(message->is_text);
    EXPECT_EQ(peer.decompress(message->data), text);
    sizes.push_back(message->data.size());
  }
  EXPECT_LT(sizes[0], 400U);
  EXPECT_LT(sizes[1], 20U);  // the window is taken over
  EXPECT_EQ(app.stats().messages_in, 5U);
  EXPECT_EQ(app.stats().messages_out, 5U);
}

TEST_F(WebSocketDeflateTest, ExamplesOfTheRfc) {  // 7.2.3
  app.get("/echo", with_websocket(echo_compressed, {.compression = &kWebSocketDeflate}));
  auto ws = open();
  const auto receive = [&](std::string_view bytes, bool fin = true) {
    ws.send_frame(WebSocketOpcode::text, bytes, fin, kRsv1);
  };
  receive("\xf2\x48\xcd\xc9\xc9\x07\x00"sv);
  EXPECT_EQ(ws.receive()->data, "Hello");
  receive("\xf2\x00\x11\x00\x00"sv);  // with the window of before
  EXPECT_EQ(ws.receive()->data, "Hello");
  receive("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"sv);  // not compressed
  EXPECT_EQ(ws.receive()->data, "Hello");
  receive("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"sv);  // a last block
  EXPECT_EQ(ws.receive()->data, "Hello");
  receive("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"sv);  // two blocks
  EXPECT_EQ(ws.receive()->data, "Hello");
  receive("\xf2\x48\xcd"sv, false);  // two frames
  ws.send_frame(WebSocketOpcode::continuation, "\xc9\xc9\x07\x00"sv);
  EXPECT_EQ(ws.receive()->data, "Hello");
  receive("\x00"sv);
  EXPECT_EQ(ws.receive()->data, "");
}

TEST_F(WebSocketDeflateTest, NotAskedForOrNotOfferedItIsPlain) {
  app.get("/plain", with_websocket(echo_compressed));
  app.get("/echo", with_websocket(echo_compressed, {.compression = &kWebSocketDeflate}));
  const std::pair<const char*, const char*> cases[] = {
      {"/plain", "permessage-deflate; client_max_window_bits"},
      {"/echo", "permessage-deflate; nonsense"},
      {"/echo", "permessage-deflate"}};
  for (const auto& [url, offer] : cases) {
    auto ws = open(url, offer);
    EXPECT_EQ(ws.status_code(), 101);
    EXPECT_EQ(ws.extensions(), "");
    ws.send(words(900));
    EXPECT_EQ(ws.receive()->data, words(900));
    ws.send_frame(WebSocketOpcode::text, peer.compress("x"), true, kRsv1);
    EXPECT_FALSE(ws.receive());
    EXPECT_EQ(ws.close_code(), kCloseProtocolError);
  }
  expect_none_compresses();
}

TEST_F(WebSocketDeflateTest, OneMoreIsServedWithout) {
  app.get("/echo", with_websocket(echo_compressed, {.compression = &kWebSocketDeflate}));
  auto one = open();
  auto two = open();
  auto three = open();
  EXPECT_NE(two.extensions(), "");
  EXPECT_EQ(three.status_code(), 101);
  EXPECT_EQ(three.extensions(), "");
  three.send("hello");
  EXPECT_EQ(three.receive()->data, "hello");
  one.close();
  EXPECT_FALSE(one.receive());
  client().run_for(std::chrono::seconds(3));
  EXPECT_NE(open().extensions(), "");
}

TEST_F(WebSocketDeflateTest, WhoIsRefusedKeepsNoMemory) {
  app.get("/echo", with_websocket(echo_compressed, {.compression = &kWebSocketDeflate}));
  app.after_request([](Request& req, Response&) -> std::optional<Response> {
    if (req.args.contains("refuse")) return abort(403);
    return {};
  });
  for (int i = 0; i < 5; ++i) EXPECT_EQ(open("/echo?refuse").status_code(), 403);
  for (int i = 0; i < 5; ++i) {
    auto ws = open();
    EXPECT_NE(ws.extensions(), "") << i;
    ws.connection().reset();
    client().run_for(std::chrono::seconds(3));
  }
  expect_none_compresses();
}

TEST_F(WebSocketDeflateTest, EverySplitGivesTheSame) {
  app.get("/echo", with_websocket(echo_compressed, {.compression = &kWebSocketDeflate}));
  for (std::size_t piece = 1; piece <= 40; ++piece) {
    Peer side{12};
    auto ws = open();
    ws.connection().set_segment_size(piece);
    std::vector<std::string> sent;
    for (unsigned i = 0; i < 20; ++i) {
      sent.push_back(words(i * i * 7 % 1000, i));
      if (i == 7) sent.back() = words(1000);
      if (i % 4 == 3) {
        ws.send(sent.back());
        continue;
      }
      const std::string bytes = side.compress(sent.back());
      if (i % 4 == 0 && bytes.size() > 3) {
        ws.send_frame(WebSocketOpcode::text, bytes.substr(0, 2), false, kRsv1);
        ws.send_frame(WebSocketOpcode::ping, "p");
        ws.send_frame(WebSocketOpcode::continuation, "", false);
        ws.send_frame(WebSocketOpcode::continuation, bytes.substr(2));
      } else {
        ws.send_frame(WebSocketOpcode::text, bytes, true, kRsv1);
      }
    }
    for (const std::string& text : sent) ASSERT_EQ(side.text_of(ws.receive()), text) << piece;
    EXPECT_EQ(ws.pongs().size(), 4U);
    ws.close();
    ASSERT_FALSE(ws.receive());
    ASSERT_EQ(ws.close_code(), kCloseNormal);
    client().run_for(std::chrono::seconds(3));
  }
  expect_none_compresses();
}

TEST_F(WebSocketDeflateTest, SlowHandlerHoldsThemBackUnchanged) {
  app.get("/echo", with_websocket(
                       [](Request&, WebSocket& ws) -> Task<> {
                         while (auto message = co_await ws.receive()) {
                           const std::string kept(message->data);
                           co_await sleep_for(std::chrono::milliseconds(100));
                           EXPECT_EQ(message->data, kept);
                           co_await ws.send(*message);
                         }
                       },
                       {.compression = &kWebSocketDeflate}));
  auto ws = open();
  std::vector<std::string> sent;
  for (unsigned i = 0; i < 100; ++i) {
    sent.push_back(i % 5 == 0 ? std::string(1000, 'a') : words(i * 37 % 1001, i));
    if (i % 3 == 2) {
      ws.send(sent.back());
    } else {
      send(ws, sent.back());
    }
  }
  for (const std::string& text : sent) ASSERT_EQ(peer.text_of(ws.receive()), text);
  ws.send_frame(WebSocketOpcode::ping, "still there");
  send(ws, "and more");
  EXPECT_EQ(peer.text_of(ws.receive()), "and more");
  EXPECT_EQ(ws.pongs().size(), 1U);
}

// Nothing more comes that would make the server look again, however a message ends at the end of the room.
TEST_F(WebSocketDeflateTest, RoomMayEndWithAMessage) {
  app.get("/echo", with_websocket(
                       [](Request&, WebSocket& ws) -> Task<> {
                         co_await sleep_for(std::chrono::milliseconds(10));
                         while (auto message = co_await ws.receive()) co_await ws.send(*message);
                       },
                       {.compression = &kWebSocketDeflate}));
  for (std::size_t size = 90; size < 140; ++size) {
    for (const bool stored : {true, false}) {
      Peer side(12);
      auto ws = open();
      const std::string text = words(size);
      const auto low = static_cast<char>(size);
      ws.send_frame(WebSocketOpcode::text, side.compress(std::string(900, 'a')), true, kRsv1);
      ws.send_frame(WebSocketOpcode::text,
                    stored ? std::string{'\0', low, '\0', static_cast<char>(~low), '\xff'} + text + '\0'
                           : side.compress(text),
                    true, kRsv1);
      const TimePoint before = client().sim().clock().now();
      EXPECT_EQ(side.text_of(ws.receive()), std::string(900, 'a'));
      EXPECT_EQ(side.text_of(ws.receive()), text) << size;
      EXPECT_LT(client().sim().clock().now() - before, std::chrono::seconds(1))
          << size;  // no ping was needed
      ws.close();
      EXPECT_FALSE(ws.receive());
      client().run_for(std::chrono::seconds(3));
    }
  }
}

TEST_F(WebSocketDeflateTest, BytesBehindTheHandshakeAreFrames) {
  app.get("/echo", with_websocket(echo_compressed, {.compression = &kWebSocketDeflate}));
  std::string text =
      "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
      "13\r\n"
      "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  // More than there is room for messages.
  for (int i = 0; i < 200; ++i) text += "\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\x00"sv;
  SimClient connection = testing_support::connect(client());
  connection.send(text);
  client().run_for(std::chrono::seconds(1));
  const std::string_view answer = connection.received();
  std::size_t count = 0;
  for (std::size_t at = 0; (at = answer.find("\x81\x05Hello", at)) != std::string_view::npos; ++at) ++count;
  EXPECT_EQ(count, 200U);
}

TEST_F(WebSocketDeflateTest, WithoutTakeoverEachMessageStandsByItself) {
  static constexpr WebSocketDeflate kAlone(
      {.server_no_context_takeover = true, .client_no_context_takeover = true});
  app.get("/echo", with_websocket(echo_compressed, {.compression = &kAlone}));
  app.get("/asked", with_websocket(echo_compressed, {.compression = &kWebSocketDeflate}));
  for (const char* url : {"/echo", "/asked"}) {
    auto ws = open(url, std::string(kOffer) + "; server_no_context_takeover; client_no_context_takeover");
    EXPECT_EQ(ws.extensions(),
              "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
              "client_max_window_bits=12");
    Peer alone(12, false);
    for (int i = 0; i < 3; ++i) {
      ws.send_frame(WebSocketOpcode::text, alone.compress(words(500)), true, kRsv1);
      const auto message = ws.receive();
      ASSERT_TRUE(message && message->rsv != 0);
      EXPECT_EQ(alone.decompress(message->data), words(500));
    }
    // The window was promised to be empty: what looks back is bad.
    Peer carries(12);
    carries.compress(words(500));
    ws.send_frame(WebSocketOpcode::text, carries.compress(words(500)), true, kRsv1);
    EXPECT_FALSE(ws.receive());
    EXPECT_EQ(ws.close_code(), kCloseInvalidData);
  }
}

TEST_F(WebSocketDeflateTest, AnyWindowThatIsAgreedUpon) {
  Limits limits = compressing();
  limits.ws_window_bits = 15;
  limits.ws_message_bytes = 100'000;
  limits.stream_bytes = 16 * 1024;
  App large{limits};
  large.get("/echo", with_websocket(echo_compressed, {.compression = &kWebSocketDeflate}));
  TestClient user(large);
  for (int bits = 9; bits <= 15; ++bits) {
    Peer side(bits);
    const std::string n = std::to_string(bits);
    const std::string offer =
        "permessage-deflate; server_max_window_bits=" + n + "; client_max_window_bits=" + n;
    auto ws = user.websocket("/echo", {{"Sec-WebSocket-Extensions", offer}});
    ASSERT_NE(ws.extensions().find("server_max_window_bits=" + n), std::string::npos);
    for (unsigned i = 0; i < 4; ++i) {
      const std::string text = words(90'000, i);
      ws.send_frame(WebSocketOpcode::text, side.compress(text), true, kRsv1);
      const auto message = ws.receive();
      ASSERT_TRUE(message && message->rsv != 0);
      EXPECT_EQ(side.decompress(message->data), text);
    }
    ws.close();
    EXPECT_FALSE(ws.receive());
    user.run_for(std::chrono::seconds(3));
  }
}

TEST_F(WebSocketDeflateTest, WindowsAreAsSmallAsWasSaid) {
  app.get("/echo", with_websocket(echo_compressed, {.compression = &kWebSocketDeflate}));
  auto ws = open("/echo", "permessage-deflate; server_max_window_bits=9; client_max_window_bits");
  EXPECT_EQ(ws.extensions(), "permessage-deflate; server_max_window_bits=9; client_max_window_bits=12");
  // A client with exactly this window can read it.
  z_stream small{};
  ASSERT_EQ(inflateInit2(&small, -9), Z_OK);
  for (unsigned i = 0; i < 20; ++i) {
    ws.send(words(990, i));
    auto message = ws.receive();
    ASSERT_TRUE(message && message->rsv != 0);
    std::string in = message->data + std::string(kTail);
    std::string out(1000, '\0');
    small.next_in = reinterpret_cast<Bytef*>(in.data());
    small.avail_in = static_cast<uInt>(in.size());
    small.next_out = reinterpret_cast<Bytef*>(out.data());
    small.avail_out = 10;
    while (small.avail_out != 0) {  // by tens: it has to look back into its window
      ASSERT_EQ(inflate(&small, Z_SYNC_FLUSH), Z_OK);
      if (small.avail_out == 0) small.avail_out = 10;
      if (small.avail_in == 0 && small.total_out == 990) break;
    }
    EXPECT_EQ(out.substr(0, 990), words(990, i));
    small.total_out = 0;
  }
  inflateEnd(&small);
}

TEST_F(WebSocketDeflateTest, MessagesUpToTheLimit) {
  app.get("/echo", with_websocket(echo_compressed, {.compression = &kWebSocketDeflate}));
  for (const bool compressed : {true, false}) {
    for (const std::string& text : {std::string(1000, 'x'), noise(1000)}) {
      auto ws = open();
      Peer side(12);
      const auto send_it = [&](std::string_view bytes) {
        if (compressed) {
          ws.send_frame(WebSocketOpcode::binary, side.compress(bytes), true, kRsv1);
        } else {
          ws.send_binary(bytes);
        }
      };
      send_it(text);
      EXPECT_EQ(side.text_of(ws.receive()), text);
      send_it(text + "y");
      EXPECT_FALSE(ws.receive());
      EXPECT_EQ(ws.close_code(), kCloseTooBig);
      client().run_for(std::chrono::seconds(3));
    }
  }
  expect_none_compresses();
}

TEST_F(WebSocketDeflateTest, BombsStopAtTheLimit) {
  std::size_t largest = 0;
  app.get("/echo", with_websocket(
                       [&](Request&, WebSocket& ws) -> Task<> {
                         while (auto message = co_await ws.receive())
                           largest = std::max(largest, message->data.size());
                       },
                       {.compression = &kWebSocketDeflate}));
  // A megabyte in a thousand bytes; in one frame, and in pieces of a message that never ends.
  const std::string bomb = peer.compress(std::string(1 << 20, 'a'));
  ASSERT_LT(bomb.size(), 1100U);
  for (const std::size_t piece : {bomb.size(), std::size_t{100}}) {
    auto ws = open();
    ws.send("before");
    for (std::size_t at = 0; at < bomb.size(); at += piece)
      ws.send_frame(at == 0 ? WebSocketOpcode::text : WebSocketOpcode::continuation, bomb.substr(at, piece),
                    false, at == 0 ? kRsv1 : 0);
    EXPECT_FALSE(ws.receive());
    EXPECT_EQ(ws.close_code(), kCloseTooBig);
    client().run_for(std::chrono::seconds(3));
  }
  EXPECT_LE(largest, 1000U);
  expect_none_compresses();
}

TEST_F(WebSocketDeflateTest, WhatIsNotDeflateIsClosed) {
  app.get("/echo", with_websocket(echo_compressed, {.compression = &kWebSocketDeflate}));
  const std::string whole = peer.compress(words(500));
  const std::string cases[] = {
      "\xff\xff\xff\xff",                                // no such kind of block
      std::string("\x00\x05\x00\x00\x00hello\x00", 11),  // a length that is not right
      whole.substr(0, whole.size() / 2),                 // ends inside a block
      "",                                                // not even the beginning of one
      std::string("\x02\x07\x00", 3),                    // looks back before the beginning
  };
  for (const std::string& bytes : cases) {
    for (const bool split : {false, true}) {
      auto ws = open();
      ws.send("before");
      if (split && !bytes.empty()) {
        ws.send_frame(WebSocketOpcode::text, bytes.substr(0, 1), false, kRsv1);
        ws.send_frame(WebSocketOpcode::continuation, bytes.substr(1));
      } else {
        ws.send_frame(WebSocketOpcode::text, bytes, true, kRsv1);
      }
      EXPECT_EQ(peer.text_of(ws.receive()), "before");
      EXPECT_FALSE(ws.receive());
      EXPECT_EQ(ws.close_code(), kCloseInvalidData);
      client().run_for(std::chrono::seconds(3));
    }
  }
  expect_none_compresses();
}

TEST_F(WebSocketDeflateTest, BitOnOtherFramesBreaksTheProtocol) {
  app.get("/echo", with_websocket(echo_compressed, {.compression = &kWebSocketDeflate}));
  for (const WebSocketOpcode second : {WebSocketOpcode::continuation, WebSocketOpcode::ping}) {
    auto ws = open();
    const std::string bytes = peer.compress(words(100));
    ws.send_frame(WebSocketOpcode::text, bytes.substr(0, 3), false, kRsv1);
    ws.send_frame(second, bytes.substr(3), true, kRsv1);
    EXPECT_FALSE(ws.receive());
    EXPECT_EQ(ws.close_code(), kCloseProtocolError);
    client().run_for(std::chrono::seconds(3));
  }
}

TEST_F(WebSocketDeflateTest, TextsAreCheckedAfterwards) {
  app.get("/echo", with_websocket(echo_compressed, {.compression = &kWebSocketDeflate}));
  const std::string ascii(100, 'a');
  for (const std::string& text : {ascii + "\xff" + ascii, ascii + "\xe2\x82"}) {
    auto ws = open();
    Peer side(12);
    ws.send_frame(WebSocketOpcode::binary, side.compress(text), true, kRsv1);
    EXPECT_EQ(side.text_of(ws.receive()), text);
    ws.send_frame(WebSocketOpcode::text, side.compress("\xe2\x82\xac"), true, kRsv1);
    EXPECT_EQ(side.text_of(ws.receive()), "\xe2\x82\xac");
    ws.send_frame(WebSocketOpcode::text, side.compress(text), true, kRsv1);
    EXPECT_FALSE(ws.receive());
    EXPECT_EQ(ws.close_code(), kCloseInvalidData);
    client().run_for(std::chrono::seconds(3));
  }
  // At the first byte that can't be, though the message goes on.
  auto ws = open();
  Peer side(12);
  ws.send_frame(WebSocketOpcode::text, side.compress("\xff") + std::string(kTail), false, kRsv1);
  EXPECT_FALSE(ws.receive());
  EXPECT_EQ(ws.close_code(), kCloseInvalidData);
}

TEST_F(WebSocketDeflateTest, WhatDoesNotGetSmallerGoesAsItIs) {
  static constexpr WebSocketDeflate kFrom200({.level = 1, .threshold = 200});
  app.get("/echo", with_websocket(echo_compressed, {.compression = &kFrom200}));
  auto ws = open();
  const auto rsv_of = [&](const std::string& bytes) {
    ws.send_binary(bytes);
    const auto message = ws.receive();
    EXPECT_TRUE(message);
    if (!message) return -1;
    EXPECT_EQ(peer.text_of(message), bytes);
    return int{message->rsv};
  };
  EXPECT_EQ(rsv_of(words(199)), 0);
  EXPECT_EQ(rsv_of(words(200)), kRsv1);
  EXPECT_EQ(rsv_of(noise(900)), 0);
  EXPECT_EQ(rsv_of(words(900)), kRsv1);  // which must not look back into what was not compressed
  EXPECT_EQ(rsv_of(noise(900)), 0);
  EXPECT_EQ(rsv_of(noise(900)), 0);
  EXPECT_EQ(rsv_of(""), 0);
  EXPECT_EQ(rsv_of(words(900)), kRsv1);
}

TEST_F(WebSocketDeflateTest, LargerMessagesThanTheLimitGoAsTheyAre) {
  const std::string large = words(50'000);
  app.get("/ws", with_websocket(
                     [&](Request&, WebSocket& ws) -> Task<> {
                       (void)co_await ws.receive();
                       co_await ws.send(words(900));
                       co_await ws.send(large);
                       co_await ws.send(words(900));
                     },
                     {.queue_bytes = 300, .compression = &kWebSocketDeflate}));
  auto ws = open("/ws");
  ws.connection().set_receive_window(200);
  ws.send("go");
  EXPECT_EQ(peer.text_of(ws.receive()), words(900));
  const auto message = ws.receive();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->rsv, 0);
  EXPECT_EQ(message->data, large);
  EXPECT_EQ(peer.text_of(ws.receive()), words(900));
  EXPECT_FALSE(ws.receive());
  EXPECT_EQ(ws.close_code(), kCloseNormal);
}

TEST_F(WebSocketDeflateTest, WhatWasGivenUpIsNotBuiltUpon) {
  bool given_up = false;
  app.get("/ws",
          with_websocket(
              [&](Request&, WebSocket& ws) -> Task<> {
                const auto send = [](WebSocket* to, std::string_view bytes) -> Task<> {
                  co_await to->send_binary(bytes);
                };
                (void)co_await ws.receive();
                co_await ws.send_binary(noise(700));  // all that the client takes, and a part of the queue
                const std::string text = words(900);
                auto sent = co_await wait_for(send(&ws, text), std::chrono::milliseconds(100));
                given_up = !sent;
                co_await ws.send_binary(text);
              },
              {.queue_bytes = 400, .compression = &kWebSocketDeflate}));
  auto ws = open("/ws");
  ws.connection().set_receive_window(400);
  ws.send("go");
  client().run_for(std::chrono::seconds(1));
  EXPECT_TRUE(given_up);
  ws.connection().set_receive_window(SIZE_MAX);
  EXPECT_EQ(ws.receive()->data, noise(700));
  const auto message = ws.receive();
  ASSERT_TRUE(message && message->rsv != 0);
  EXPECT_EQ(peer.decompress(message->data), words(900));
}

// Several senders, some of whom give up while they wait: what is sent can always be read.
TEST_F(WebSocketDeflateTest, WhoWaitsMayGiveUp) {
  for (const std::uint32_t queue : {150U, 400U, 2000U}) {
    App busy{compressing()};
    busy.get("/ws", with_websocket(
                        [](Request&, WebSocket& ws) -> Task<> {
                          const auto sender = [](WebSocket* to, unsigned seed) -> Task<> {
                            for (unsigned i = 0; i < 40; ++i) {
                              const std::string text =
                                  i % 4 == 1 ? noise(100, i) : words(300 + i * 10, seed + i);
                              const auto send = [](WebSocket* s, std::string_view bytes) -> Task<> {
                                co_await s->send_binary(bytes);
                              };
                              if (i % 3 == 0) {
                                co_await wait_for(send(to, text), std::chrono::milliseconds(30));
                              } else {
                                co_await to->send_binary(text);
                              }
                            }
                          };
                          co_await gather(sender(&ws, 1), sender(&ws, 1000), sender(&ws, 2000));
                        },
                        {.queue_bytes = queue, .compression = &kWebSocketDeflate}));
    TestClient user(busy);
    auto ws = user.websocket("/ws", {{"Sec-WebSocket-Extensions", kOffer}});
    Peer side;
    ws.connection().set_receive_window(queue == 150 ? 100'000 : 600);
    int count = 0;
    int compressed = 0;
    while (auto message = ws.receive()) {
      ++count;
      compressed += message->rsv != 0 ? 1 : 0;
      const std::string text = side.text_of(message);
      EXPECT_TRUE(text.size() == 100 || text.size() >= 300);
      user.run_for(std::chrono::milliseconds(40));
    }
    EXPECT_GT(count, 10);
    EXPECT_GT(compressed, 5);
  }
}

TEST_F(WebSocketDeflateTest, DroppedMessagesAreNotBuiltUpon) {
  app.get("/ws",
          with_websocket(
              [](Request&, WebSocket& ws) -> Task<> {
                for (unsigned i = 0; i < 500; ++i) {
                  co_await ws.send(std::to_string(i) + " " + words(400, i));
                  if (i % 50 == 0) co_await sleep_for(std::chrono::milliseconds(10));
                }
              },
              {.when_slow = WhenSlow::drop_oldest, .queue_bytes = 1000, .compression = &kWebSocketDeflate}));
  auto ws = open("/ws");
  EXPECT_NE(ws.extensions().find("server_no_context_takeover"), std::string::npos);
  ws.connection().set_receive_window(500);
  client().run_for(std::chrono::seconds(1));
  ws.connection().set_receive_window(SIZE_MAX);
  Peer alone(12, false);
  int last = -1;
  int count = 0;
  while (auto message = ws.receive()) {
    EXPECT_NE(message->rsv, 0);
    const std::string text = alone.decompress(message->data);
    const int number = std::stoi(text);
    EXPECT_GT(number, last);
    EXPECT_EQ(text, std::to_string(number) + " " + words(400, static_cast<unsigned>(number)));
    last = number;
    ++count;
  }
  EXPECT_EQ(last, 499);
  EXPECT_LT(count, 100);
}

TEST_F(WebSocketDeflateTest, ClosesAndShutsDownAsOthers) {
  app.get("/echo", with_websocket(echo_compressed, {.compression = &kWebSocketDeflate}));
  auto ws = open();
  send(ws, words(300));
  EXPECT_EQ(peer.text_of(ws.receive()), words(300));
  ws.close(4001, "enough");
  EXPECT_FALSE(ws.receive());
  EXPECT_EQ(ws.close_code(), 4001);
  expect_none_compresses();
  auto other = open();
  app.shutdown();
  EXPECT_FALSE(other.receive());
  EXPECT_EQ(other.close_code(), kCloseGoingAway);
}

TEST(WebSocketDeflate, WithoutMemoryForItThereIsNone) {
  App app{Limits{.streams = 4}};
  app.get("/echo", with_websocket(echo_compressed, {.compression = &kWebSocketDeflate}));
  TestClient client(app);
  auto ws = client.websocket("/echo", {{"Sec-WebSocket-Extensions", kOffer}});
  EXPECT_EQ(ws.status_code(), 101);
  EXPECT_EQ(ws.extensions(), "");
  ws.send("hello");
  EXPECT_EQ(ws.receive()->data, "hello");
}

TEST(WebSocketDeflate, MemoryIsCounted) {
  constexpr Limits kNone{.streams = 8};
  constexpr Limits kSome{.streams = 8, .ws_compressed = 3};
  static_assert(kSome.memory() == kNone.memory() + 3 * kSome.compression_memory());
  static_assert(Limits{.streams = 2, .ws_compressed = 3}.error() ==
                LimitsError::ws_compressed_must_not_exceed_streams);
  static_assert(Limits{.ws_window_bits = 8}.error() == LimitsError::ws_window_bits_must_be_from_9_to_15);
  static_assert(Limits{.ws_window_bits = 16}.error() == LimitsError::ws_window_bits_must_be_from_9_to_15);
  // zlib finds room with every window.
  for (std::uint8_t bits = 9; bits <= 15; ++bits) {
    App app{Limits{.streams = 2,
                   .ws_message_bytes = 1000,
                   .ws_window_bits = bits,
                   .ws_compressed = 2,
                   .head_bytes = 256}};
    app.get("/echo", with_websocket(echo_compressed, {.compression = &kWebSocketDeflate}));
    TestClient client(app);
    auto ws = client.websocket("/echo", {{"Sec-WebSocket-Extensions", kOffer}});
    EXPECT_NE(ws.extensions(), "") << int{bits};
    Peer peer(bits);
    for (unsigned i = 0; i < 100; ++i) {
      ws.send_frame(WebSocketOpcode::text, peer.compress(words(1000, i)), true, kRsv1);
      ASSERT_EQ(peer.text_of(ws.receive()), words(1000, i));
    }
  }
}

TEST(WebSocketDeflate, ManyRandomClientsLeaveNothing) {
  Limits limits = compressing();
  limits.connections_per_client = limits.connections;
  App app{limits};
  int alive = 0;
  app.get("/echo", with_websocket(
                       [&](Request&, WebSocket& ws) -> Task<> {
                         const testing_support::Counted counted(alive);
                         while (auto message = co_await ws.receive()) {
                           if (message->data.size() % 3 == 0)
                             co_await sleep_for(std::chrono::milliseconds(20));
                           co_await ws.send(*message);
                         }
                       },
                       {.queue_bytes = 500, .compression = &kWebSocketDeflate}));
  TestClient client(app);
  struct One {
    TestWebSocket ws;
    std::unique_ptr<Peer> peer;
  };
  std::vector<One> open;
  for (int round = 0; round < 3000; ++round) {
    const std::uint64_t dice = client.sim().random();
    if (open.size() < 4 && dice % 4 == 0) {
      auto ws = client.websocket("/echo", {{"Sec-WebSocket-Extensions", kOffer}});
      if (ws.status_code() == 101) open.push_back({std::move(ws), std::make_unique<Peer>(12)});
    }
    if (!open.empty()) {
      One& one = open[dice / 8 % open.size()];
      const bool codes = !one.ws.extensions().empty();
      const std::size_t number = dice / 1024;
      switch (dice / 64 % 12) {
        case 0: one.ws.connection().reset(); break;
        case 1: one.ws.close(); break;
        case 2: one.ws.connection().set_receive_window(number % 600); break;
        case 3: one.ws.send_frame(WebSocketOpcode::ping, "?"); break;
        case 4: one.ws.connection().set_segment_size(number % 30 + 1); break;
        case 5:
          one.ws.send_frame(WebSocketOpcode::binary, noise(number % 50, dice & 0xffff), true,
                            codes ? kRsv1 : 0);
          break;
        default:
          one.ws.send_frame(WebSocketOpcode::text,
                            codes ? one.peer->compress(words(number % 1000)) : words(number % 1000), true,
                            codes ? kRsv1 : 0);
          break;
      }
      if (dice / 64 % 12 < 2 || one.ws.connection().closed())
        open.erase(open.begin() + static_cast<long>(dice / 8 % open.size()));
    }
    client.run_for(std::chrono::milliseconds(dice / 4096 % 50));
    ASSERT_EQ(app.check(), nullptr) << app.check();
  }
  open.clear();
  client.run_for(std::chrono::seconds(40));
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(app.stats().streams, 0U);
  for (int i = 0; i < 2; ++i) {
    auto ws = client.websocket("/echo", {{"Sec-WebSocket-Extensions", kOffer}});
    EXPECT_NE(ws.extensions(), "");
  }
}

}  // namespace
