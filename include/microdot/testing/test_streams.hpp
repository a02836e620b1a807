#pragma once
/// The client's end of live streams, for tests: what `TestClient::websocket` and `TestClient::events` give.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <microdot/http/websocket.hpp>
#include <microdot/testing/sim_port.hpp>

namespace microdot::inline MICRODOT_ABI {

class TestClient;

/// A client's end of a live stream. Moves the simulator on while it waits. Must not outlive its TestClient.
class TestStream {
 public:
  /// The status of the answer: of a refusal, or what began the stream (101, 200); 0 if none came.
  int status_code() const noexcept { return status_code_; }
  /// The server has ended the connection, and all that it sent was received.
  bool ended() const noexcept { return connection_.closed() && connection_.received().empty(); }
  /// The connection itself: to stall it, cut it, or send bytes as they are.
  SimClient& connection() noexcept { return connection_; }

 protected:
  TestStream(TestClient& client, SimClient connection, int status_code) noexcept
      : client_(&client), connection_(std::move(connection)), status_code_(status_code) {}
  TestStream(TestStream&&) noexcept = default;
  TestStream& operator=(TestStream&&) noexcept = default;
  ~TestStream() = default;

  /// Lets things happen until more is received, or it is `deadline`. False if nothing more comes.
  bool wait(TimePoint deadline);
  /// When the client's patience ends.
  TimePoint patience() const;

  TestClient* client_;
  SimClient connection_;
  int status_code_;
};

/// A message that a TestWebSocket received.
struct TestMessage {
  std::string data;
  bool is_text = true;
  std::uint8_t rsv = 0;  ///< Of `WebSocketRsv`: then `data` is as the extension has coded it.
};

/// The client's end of a WebSocket. Answers pings, puts fragments together, and says why it was closed.
///
///     auto ws = client.websocket("/echo");
///     ws.send("hello");
///     EXPECT_EQ(ws.receive()->data, "hello");
class TestWebSocket : public TestStream {
 public:
  /// For `TestClient::websocket`.
  TestWebSocket(TestClient& client, SimClient connection, int status_code, std::string subprotocol,
                std::string extensions)
      : TestStream(client, std::move(connection), status_code),
        decoder_({.message_bytes = UINT32_MAX,
                  .sender = WebSocketSender::server,
                  .allowed_rsv = extensions.empty() ? std::uint8_t{0} : std::uint8_t{kRsv1}}),
        subprotocol_(std::move(subprotocol)),
        extensions_(std::move(extensions)) {}

  bool connected() const noexcept { return status_code_ == 101 && !closed_; }
  const std::string& subprotocol() const noexcept { return subprotocol_; }
  /// What the server accepted of the Sec-WebSocket-Extensions that were sent; the test itself codes messages.
  const std::string& extensions() const noexcept { return extensions_; }

  void send(std::string_view text) { send_frame(WebSocketOpcode::text, text); }
  void send_binary(std::string_view bytes) { send_frame(WebSocketOpcode::binary, bytes); }
  /// Any frame; `fin` false: more of the message follows; `rsv`: of `WebSocketRsv`.
  void send_frame(WebSocketOpcode opcode, std::string_view payload, bool fin = true, std::uint8_t rsv = 0);
  /// Says that it closes; `receive` then gives what still comes.
  void close(std::uint16_t code = kCloseNormal, std::string_view reason = {});
  /// The next message, once it is there; none when the WebSocket has been closed, or nothing comes within the
  /// client's `timeout` (pings and pongs don't count).
  std::optional<TestMessage> receive();

  /// After the end: the server's code, `kCloseNoStatus` if it said none, `kCloseAbnormal` if it just went.
  std::uint16_t close_code() const noexcept { return close_code_; }
  const std::string& close_reason() const noexcept { return close_reason_; }
  /// Pings and pongs that came.
  std::size_t pings() const noexcept { return pings_; }
  const std::vector<std::string>& pongs() const noexcept { return pongs_; }
  /// Leaves pings without an answer from now on, as a machine that has gone does.
  void ignore_pings() noexcept { answers_ = false; }

 private:
  bool take(const WebSocketResult& result);

  WebSocketDecoder decoder_;
  std::string subprotocol_;
  std::string extensions_;
  TestMessage message_;
  std::string close_reason_;
  std::vector<std::string> pongs_;
  std::size_t pings_ = 0;
  std::uint16_t close_code_ = kCloseAbnormal;
  bool answers_ = true;
  bool closed_ = false;
  bool said_close_ = false;
};

/// An event that TestEvents received.
struct TestEvent {
  std::string data;
  std::string event = "message";
  std::string id;  ///< The last one that was sent, as a browser keeps it.
};

/// The client's end of Server-Sent Events, read as browsers do (WHATWG HTML 9.2.6).
///
///     auto events = client.events("/ticks");
///     EXPECT_EQ(events.next()->data, "1");
class TestEvents : public TestStream {
 public:
  /// For `TestClient::events`.
  TestEvents(TestClient& client, SimClient connection, int status_code) noexcept
      : TestStream(client, std::move(connection), status_code) {}

  /// The next event, once it is there; none when the stream has ended, or nothing comes within the client's
  /// `timeout` (comments don't count).
  std::optional<TestEvent> next();
  /// Leaves.
  void close() { connection_ = {}; }
  /// Milliseconds of the last "retry"; 0 if none came.
  std::uint64_t retry() const noexcept { return retry_; }
  /// Comments that came.
  const std::vector<std::string>& comments() const noexcept { return comments_; }

 private:
  std::optional<std::string> line(TimePoint deadline);

  std::string id_;
  std::uint64_t retry_ = 0;
  std::vector<std::string> comments_;
};

}  // namespace microdot::inline MICRODOT_ABI
