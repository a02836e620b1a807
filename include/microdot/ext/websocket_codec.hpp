#pragma once
/// What an extension that codes messages gives to a WebSocket: ext/websocket_deflate.hpp has the usual one.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <microdot/http/header_table.hpp>
#include <microdot/limits.hpp>
#include <microdot/response.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Codes the messages of one WebSocket, both ways, in memory of its own. Coded messages have RSV1 set in
/// their first frame.
class WebSocketCodec {
 public:
  enum class Status : std::uint8_t {
    done,  ///< All of it is decoded; with `end` the message, too.
    more,  ///< The room is used up: there may be more.
    bad,   ///< Final: these are no bytes of such a message.
  };
  struct Decoded {
    std::size_t used;  ///< Bytes of `in`.
    std::size_t made;  ///< Bytes in `room`.
    Status status;
  };
  /// Decodes `in`, the next bytes of a message, into `room`, which is not empty; `end`: its last ones.
  virtual Decoded decode(std::string_view in, bool end, std::span<char> room) noexcept = 0;

  /// Encodes a message into `room`. Returns the bytes written; 0: it goes as it is, since it is too small,
  /// does not get smaller or has no room.
  virtual std::size_t encode(std::string_view message, std::span<char> room) noexcept = 0;
  /// What was encoded last is not sent: what follows must not build upon it.
  virtual void discard() noexcept = 0;

 protected:
  ~WebSocketCodec() = default;
};

/// Agrees with clients on a codec: see `WebSocketOptions::compression`.
class WebSocketCompression {
 public:
  /// Makes a codec in `memory` as one of the offers in `request` wants it, and tells so in `answer`; null,
  /// and nothing told, if none of them can be accepted. `drops`: messages may get lost that were encoded.
  virtual WebSocketCodec* agree(const HeaderTable& request, const Limits& limits, bool drops,
                                std::span<std::byte> memory, Response& answer) const noexcept = 0;

 protected:
  ~WebSocketCompression() = default;
};

}  // namespace microdot::inline MICRODOT_ABI
