#pragma once
/// WebSocket (RFC 6455) for handlers:
///
///     app.get("/echo", with_websocket([](Request&, WebSocket& ws) -> Task<> {
///       while (auto message = co_await ws.receive()) co_await ws.send(*message);
///     }));
///
/// A WebSocket lives in a stream slot (`Limits::streams`), not in an exchange: those that are open for days
/// keep no request waiting. It ends when the handler returns; see `Stream` for what happens to the handler
/// when the client goes.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <microdot/ext/websocket_codec.hpp>
#include <microdot/http/websocket.hpp>
#include <microdot/stream.hpp>

namespace microdot::inline MICRODOT_ABI {

/// A message of a WebSocket.
struct Message {
  std::string_view data;  ///< Valid until the next `receive`.
  bool is_text = true;    ///< Then it is UTF-8.

  operator std::string_view() const noexcept { return data; }
};

/// How a WebSocket is served. Texts must be static.
struct WebSocketOptions {
  WhenSlow when_slow = WhenSlow::wait;  ///< See `StreamOptions`.
  std::uint32_t queue_bytes = 0;        ///< Likewise; at least 127, for a Close frame.
  /// A client that was silent for so long gets a ping; after twice this time it counts as gone. Zero: never.
  Milliseconds keep_alive = std::chrono::seconds(25);
  /// "chat, superchat": what this server speaks, preferred ones first. See `WebSocket::subprotocol`.
  std::string_view subprotocols = {};
  /// "https://example.com, https://example.org": pages of other hosts that may connect; "*": all. Pages of
  /// the request's own host always may, others get 403 (RFC 6455 10.2).
  std::string_view origins = {};
  /// Compresses messages for clients that offer it: `&kWebSocketDeflate` of ext/websocket_deflate.hpp, on
  /// systems that are hosted; `Limits::ws_compressed` says for how many at once. Null: none are compressed.
  const WebSocketCompression* compression = nullptr;
};

/// An open WebSocket. Fragments are put together, masks taken away, pings answered, texts checked for UTF-8;
/// what breaks the protocol is closed with 1002, 1007 or 1009 (`Limits::ws_message_bytes`). All of that goes
/// on while the handler does something else, as far as there is room for what the client sends.
class WebSocket final : public Stream {
 public:
  using Options = WebSocketOptions;

  /// For the library: made by the route.
  WebSocket(detail::Server& server, detail::StreamSlot& slot, const Options& options) noexcept;
  ~WebSocket() = default;

  class Receive;
  class Send;
  /// What `close` gives; awaiting it waits for nothing.
  struct Closing : std::suspend_never {};

  /// `Result<Message> message = co_await ws.receive();` waits for the next message. `closed`: the client has
  /// closed the WebSocket, or is gone, or the server shuts down. One strand may wait at a time.
  [[nodiscard]] Receive receive() noexcept;
  /// Sends a text, which must be UTF-8. It must stay valid until it is sent. See `StreamSend` for the
  /// errors.
  [[nodiscard]] Send send(std::string_view text) noexcept;
  [[nodiscard]] Send send(const char* text) noexcept;
  /// Sends text or binary, as the message is.
  [[nodiscard]] Send send(const Message& message) noexcept;
  [[nodiscard]] Send send_binary(std::string_view bytes) noexcept;
  [[nodiscard]] Send send_binary(std::span<const std::byte> bytes) noexcept;
  /// Closes it: nothing can be sent or received any more, and the handler has `Limits::linger_timeout` to
  /// return. A code that may not be sent is left out; a reason is cut after 123 bytes.
  Closing close(std::uint16_t code = kCloseNormal, std::string_view reason = {}) noexcept;

  /// The subprotocol that was agreed upon; "" for none.
  std::string_view subprotocol() const noexcept { return subprotocol_; }
  /// Whether messages may come and go compressed, since client and server have agreed on it.
  bool compressed() const noexcept { return coding() != nullptr; }
  /// Once `receive` gave `closed`: the code that the client closed it with, `kCloseNoStatus` if it said none,
  /// `kCloseAbnormal` if it just went.
  std::uint16_t close_code() const noexcept { return close_code_; }
  std::string_view close_reason() const noexcept { return close_reason_; }

  /// For the route: what a request is answered. `start` is taken.
  static Response answer(Request& request, const Options& options, detail::StreamStart* start) noexcept;

 private:
  bool prepare(Response& answer) noexcept override;
  void on_begin(std::string_view rest) noexcept override;
  void on_input() noexcept override;
  Duration on_quiet() noexcept override;
  void on_room() noexcept override;
  void on_end(End end) noexcept override;
  bool owes() const noexcept override { return owes_close_; }
  Queued first_message(std::string_view queued) const noexcept override;
  bool expects_more() const noexcept override { return ready_ > (given_ ? 1U : 0U); }
  void destroy() noexcept override;

  bool next_message() noexcept;
  Result<Message> take_message() noexcept;
  void make_window_room() noexcept;
  void digest() noexcept;
  bool take(const WebSocketResult& result) noexcept;
  void keep_part(const WebSocketResult& result) noexcept;
  void keep_message(bool is_text) noexcept;
  void stop_reading() noexcept;
  void end_reading() noexcept;
  void begin_close(std::uint16_t code, std::string_view reason) noexcept;
  void send_close() noexcept;
  bool send_control(WebSocketOpcode opcode, std::string_view payload) noexcept;

  // With compression, in memory that belongs to it.
  struct Coding;
  Coding* coding() const noexcept { return MICRODOT_HOSTED ? coding_ : nullptr; }
  bool begin_coding(Response& answer) noexcept;
  void end_coding() noexcept;
  bool decode_part() noexcept;
  std::string_view encode(const Send& send) noexcept;
  void end_encoding(const Send& send, bool sent) noexcept;
  std::span<char> input() const noexcept;

  // The window: messages that are complete, oldest first, each behind a word that tells its size and kind;
  // then the beginning of one; then bytes that are not decoded yet. A frame's head is longer than such a
  // word, so what is decoded always fits before what is not. Compressed messages grow: with compression the
  // bytes that are not decoded lie elsewhere (`input`), and wait there until the window has room.
  std::span<char> window_;
  std::uint32_t first_ = 0;    // of the oldest message
  std::uint32_t end_ = 0;      // of what is decoded
  std::uint32_t partial_ = 0;  // where the message begins that is not complete; `end_` if there is none
  std::uint32_t raw_ = 0;      // of what is not decoded
  std::uint32_t filled_ = 0;
  std::uint32_t ready_ = 0;  // complete messages
  bool given_ = false;       // the handler has the oldest
  bool pinged_ = false;      // and nothing was heard since
  bool owes_pong_ = false;
  bool owes_close_ = false;
  bool last_read_ = false;  // a Close frame was read, or what breaks the protocol
  bool closing_ = false;    // a Close frame was sent, or is owed
  std::uint8_t pong_size_ = 0;
  std::uint8_t goodbye_size_ = 0;
  std::uint16_t close_code_ = kCloseAbnormal;
  std::string_view close_reason_;
  std::string_view subprotocol_;
  const char* pong_ = nullptr;  // lies in the decoder, which waits
  TimePoint heard_{};
  Coding* coding_ = nullptr;
  WebSocketDecoder decoder_;
  char goodbye_[kMaxControlPayload];  // the payload of the Close frame
};

/// See `WebSocket::receive`.
class WebSocket::Receive {
 public:
  explicit Receive(WebSocket& ws) noexcept : ws_(&ws) {}
  /// Of one that does not wait yet: for `wait_for` and `gather`.
  Receive(Receive&& other) noexcept : ws_(other.ws_) {}
  Receive& operator=(Receive&&) = delete;
  ~Receive() {
    if (strand_ != nullptr && ws_->reader() == strand_) ws_->forget_reader();
  }
  bool await_ready() noexcept { return ws_->next_message(); }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    strand_ = &Strand::running();
    ws_->wait_for_input(handle);
  }
  Result<Message> await_resume() noexcept {
    strand_ = nullptr;
    return ws_->take_message();
  }

 private:
  WebSocket* ws_;
  Strand* strand_ = nullptr;
};

/// See `WebSocket::send`.
class WebSocket::Send final : public StreamSend {
 public:
  Send(WebSocket& ws, std::string_view data, WebSocketOpcode opcode) noexcept
      : StreamSend(ws), data_(data), opcode_(opcode) {}
  Send(Send&& other) noexcept : StreamSend(std::move(other)), data_(other.data_), opcode_(other.opcode_) {}
  Send& operator=(Send&&) = delete;
  ~Send() {
    if (MICRODOT_HOSTED && form_ == Form::encoded) ws().end_encoding(*this, false);
  }

 private:
  friend class WebSocket;
  /// How it is sent. `encoded` as long as the WebSocket's memory for that holds it.
  enum class Form : std::uint8_t { undecided, plain, encoded };

  std::size_t render(std::size_t skip, std::span<char> room) const noexcept override;
  WebSocket& ws() const noexcept { return static_cast<WebSocket&>(stream()); }

  std::string_view data_;
  WebSocketOpcode opcode_;
  mutable Form form_ = Form::undecided;
};

inline WebSocket::Receive WebSocket::receive() noexcept { return Receive(*this); }
inline WebSocket::Send WebSocket::send(std::string_view text) noexcept {
  return Send(*this, text, WebSocketOpcode::text);
}
inline WebSocket::Send WebSocket::send(const char* text) noexcept { return send(std::string_view(text)); }
inline WebSocket::Send WebSocket::send(const Message& message) noexcept {
  return Send(*this, message.data, message.is_text ? WebSocketOpcode::text : WebSocketOpcode::binary);
}
inline WebSocket::Send WebSocket::send_binary(std::string_view bytes) noexcept {
  return Send(*this, bytes, WebSocketOpcode::binary);
}
inline WebSocket::Send WebSocket::send_binary(std::span<const std::byte> bytes) noexcept {
  return send_binary({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

/// A route's handler that opens a WebSocket. `handler` is called as
/// f(Request&, WebSocket&, path arguments…) and returns Task<>; the request is a copy of its head, with what
/// hooks have left in `g`.
///
///     app.get("/rooms/<name>", with_websocket([](Request&, WebSocket& ws, std::string_view name) -> Task<>
///     {…},
///                                             {.when_slow = WhenSlow::drop_oldest}));
template <typename F>
auto with_websocket(F handler, const WebSocketOptions& options = {}) {
  return detail::make_stream_route<WebSocket>(std::move(handler), options);
}

}  // namespace microdot::inline MICRODOT_ABI
