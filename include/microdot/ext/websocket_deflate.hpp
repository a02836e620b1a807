#pragma once
/// permessage-deflate (RFC 7692) over zlib: messages of WebSockets, compressed. Link
/// microdot::websocket_deflate (microdot::websocket_deflate_noexcept), say how many WebSockets may compress
/// at once, and for which routes:
///
///     #include <microdot/ext/websocket_deflate.hpp>
///     App app{Limits{.ws_compressed = 20}};
///     app.get("/chat", with_websocket(chat, {.compression = &kWebSocketDeflate}));
///
/// Clients that do not offer it, and those for whom no memory is left, are served without. zlib takes all its
/// memory from the App's (`Limits::compression_memory`), none from the heap.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <microdot/ext/websocket_codec.hpp>

namespace microdot::inline MICRODOT_ABI {

/// What was agreed upon, as the answer says it (RFC 7692 7.1).
struct DeflateAgreement {
  bool server_no_context_takeover = false;  ///< The server compresses each message by itself.
  bool client_no_context_takeover = false;  ///< The client does.
  /// Bits of the window that the server compresses with, from 8 to 15; none: it is not said, which means 15.
  std::optional<std::uint8_t> server_max_window_bits = {};
  std::optional<std::uint8_t> client_max_window_bits = {};  ///< Likewise of the client.

  friend bool operator==(const DeflateAgreement&, const DeflateAgreement&) = default;
};

/// What a server wants of an agreement.
struct DeflateWishes {
  std::uint8_t window_bits = 15;            ///< The most that it has room for, from 9 to 15; both ways.
  bool server_no_context_takeover = false;  ///< It keeps nothing from one message to the next.
  bool client_no_context_takeover = false;  ///< It asks clients to keep nothing.
};

/// Reads the offers in a request's Sec-WebSocket-Extensions fields and accepts the first one that can be:
/// offers with a parameter that is unknown, stands there twice or has a wrong value are declined (RFC 7692
/// 7), as are those that let the client look back further than there is room for, or the server less than
/// zlib can. None if there is nothing to accept.
std::optional<DeflateAgreement> agree_on_deflate(const HeaderTable& request,
                                                 const DeflateWishes& wishes) noexcept;

/// Room for any agreement.
inline constexpr std::size_t kDeflateAgreementBytes = 128;

/// Writes the value of the answer's Sec-WebSocket-Extensions into `out`. Returns the text within `out`.
std::string_view write_deflate_agreement(const DeflateAgreement& agreement,
                                         std::span<char, kDeflateAgreementBytes> out) noexcept;

struct WebSocketDeflateOptions {
  int level = 6;                 ///< From 1, the fastest, to 9, the smallest.
  std::uint32_t threshold = 64;  ///< Messages below so many bytes are sent as they are.
  /// Every message is compressed by itself: worse, but nothing is carried over.
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;  ///< Clients are asked for the same.
};

/// permessage-deflate for `WebSocketOptions::compression`. Must live as long as its routes.
///
/// Messages that do not get smaller are sent as they are, as are those above `Limits::ws_message_bytes`. What
/// clients send is inflated piece by piece into the room for messages: `ws_message_bytes` is of inflated
/// bytes, and nothing is inflated beyond it. Data that is not deflate's is closed with 1007.
class WebSocketDeflate final : public WebSocketCompression {
 public:
  using Options = WebSocketDeflateOptions;

  constexpr explicit WebSocketDeflate(const Options& options = {}) noexcept : options_(options) {}

  WebSocketCodec* agree(const HeaderTable& request, const Limits& limits, bool drops,
                        std::span<std::byte> memory, Response& answer) const noexcept override;

 private:
  Options options_;
};

/// With the options' defaults.
inline constexpr WebSocketDeflate kWebSocketDeflate{};

}  // namespace microdot::inline MICRODOT_ABI
