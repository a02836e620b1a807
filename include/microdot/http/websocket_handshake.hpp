#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <microdot/base/config.hpp>
#include <microdot/http/header_table.hpp>
#include <microdot/http/method.hpp>

/// The opening handshake of WebSocket, as a server sees it (RFC 6455 4.2). Its frames: http/websocket.hpp.
namespace microdot::inline MICRODOT_ABI {

/// The version that is spoken: the value of Sec-WebSocket-Version, which a 426 has to carry beside
/// `Upgrade: websocket` (RFC 6455 4.2.2, RFC 9110 15.5.22).
inline constexpr std::string_view kWebSocketVersion = "13";

/// What a request for a WebSocket gets.
struct WebSocketHandshake {
  std::uint16_t status;     ///< 101; 400 for a malformed handshake; 426 for none, or one of another version.
  std::string_view reason;  ///< What was wrong, in a few words (static storage); "" with 101.
  std::string_view key;     ///< With 101 the Sec-WebSocket-Key, a view of the head; otherwise "".
};

/// Reads a client's handshake (RFC 6455 4.2.1): GET in HTTP/1.1 or later, Upgrade with "websocket",
/// Connection with "Upgrade", one Sec-WebSocket-Version, which is 13, and one Sec-WebSocket-Key, which is
/// base64 of 16 bytes.
WebSocketHandshake read_websocket_handshake(Method method, int version_minor,
                                            const HeaderTable& headers) noexcept;

/// Bytes of a Sec-WebSocket-Accept.
inline constexpr std::size_t kWebSocketAcceptBytes = 28;

/// Writes the Sec-WebSocket-Accept that answers `key` (RFC 6455 4.2.2 5) into `out`; `key` is that of a
/// handshake that got 101. Returns the text within `out`.
std::string_view write_websocket_accept(std::string_view key,
                                        std::span<char, kWebSocketAcceptBytes> out) noexcept;

/// The first of `supported` that the client offers in its Sec-WebSocket-Protocol fields, to answer in that
/// field; "" for none of them, which is answered without the field (RFC 6455 4.2.2). Names are
/// case-sensitive.
std::string_view choose_subprotocol(const HeaderTable& headers,
                                    std::span<const std::string_view> supported) noexcept;

/// Whether scripts of the page that asks may use this server (RFC 6455 10.2): browsers let any page open any
/// WebSocket, with the user's cookies, and leave the refusal (403) to the server. True without an Origin, for
/// then it is no browser; when it names the host and port of `host`, the request's own; and when it is in
/// `allowed`, where each entry is an origin such as "https://example.com", compared without case, or "*" for
/// any. The scheme of the request's own origin is not compared, since a proxy may have ended TLS.
bool is_websocket_origin_allowed(const HeaderTable& headers, std::string_view host,
                                 std::span<const std::string_view> allowed = {}) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
