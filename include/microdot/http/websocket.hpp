#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <microdot/base/config.hpp>
#include <microdot/http/utf8.hpp>

/// The frames of WebSocket (RFC 6455 5 to 8), for both ends. The handshake: http/websocket_handshake.hpp.
namespace microdot::inline MICRODOT_ABI {

/// What a frame is (RFC 6455 5.2).
enum class WebSocketOpcode : std::uint8_t {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10
};

/// Status codes of a Close frame (RFC 6455 7.4.1 and IANA's registry). Codes from 3000 are for libraries,
/// from 4000 for applications.
enum WebSocketCloseCode : std::uint16_t {
  kCloseNormal = 1000,
  kCloseGoingAway = 1001,
  kCloseProtocolError = 1002,
  kCloseUnsupportedData = 1003,
  kCloseNoStatus = 1005,  ///< Stands for a Close frame without a code; never sent.
  kCloseAbnormal = 1006,  ///< Stands for a connection that ended without a Close frame; never sent.
  kCloseInvalidData = 1007,
  kClosePolicyViolation = 1008,
  kCloseTooBig = 1009,
  kCloseMandatoryExtension = 1010,  ///< Sent by clients only.
  kCloseInternalError = 1011,
  kCloseServiceRestart = 1012,
  kCloseTryAgainLater = 1013,
  kCloseBadGateway = 1014,
};

/// Whether a Close frame may carry `code` (RFC 6455 7.4.2): a registered one of 1000 to 1014, or 3000 to
/// 4999.
bool is_valid_close_code(std::uint16_t code) noexcept;

/// Bytes of a control frame's payload, at most (RFC 6455 5.5).
inline constexpr std::size_t kMaxControlPayload = 125;

/// What a Close frame says (RFC 6455 5.5.1).
struct WebSocketClose {
  std::uint16_t code;       ///< `kCloseNoStatus` for an empty payload.
  std::string_view reason;  ///< UTF-8, a view of the payload; often "".
  std::uint16_t error;      ///< 0, or the code to fail with: 1002, or 1007 when the reason is not UTF-8.
};

/// Reads the payload of a Close frame. With an error, the other members mean nothing.
WebSocketClose parse_close_payload(std::string_view payload) noexcept;

/// Writes the payload of a server's Close frame into `out` and returns its size: nothing when `code` may not
/// be sent (not valid, or `kCloseMandatoryExtension`). A reason that is too long is cut behind a code point;
/// one that is not UTF-8 is left out.
std::size_t write_close_payload(std::uint16_t code, std::string_view reason,
                                std::span<char, kMaxControlPayload> out) noexcept;

/// The key that a client masks a frame's payload with (RFC 6455 5.3).
using WebSocketMask = std::array<char, 4>;

/// Masks or unmasks `bytes`, which begin at `offset` of their frame's payload.
void apply_websocket_mask(std::span<char> bytes, WebSocketMask mask, std::size_t offset = 0) noexcept;

/// Bits of a frame's head that belong to extensions; permessage-deflate uses the first (RFC 7692 6).
enum WebSocketRsv : std::uint8_t { kRsv1 = 0x40, kRsv2 = 0x20, kRsv3 = 0x10 };

/// The head of a frame that is to be sent.
struct WebSocketFrameHead {
  WebSocketOpcode opcode = WebSocketOpcode::text;
  std::uint64_t payload_bytes = 0;  ///< Below 2^63; at most `kMaxControlPayload` for control frames.
  bool fin = true;                  ///< The last frame of its message. Always for control frames.
  std::uint8_t rsv = 0;             ///< Of `WebSocketRsv`.
  std::optional<WebSocketMask> mask = std::nullopt;  ///< A client has to mask, a server must not.
};

/// Room for any head of a frame. A server's, without a mask, has at most 10 bytes; with up to 125 bytes of
/// payload 2.
inline constexpr std::size_t kMaxWebSocketHead = 14;

/// Writes `head` at the END of `out`, so that a payload that lies right behind `out` follows it. Returns the
/// bytes written.
std::size_t write_websocket_head(const WebSocketFrameHead& head,
                                 std::span<char, kMaxWebSocketHead> out) noexcept;

/// What one call of `WebSocketDecoder::decode` found.
enum class WebSocketEvent : std::uint8_t {
  need_more,  ///< All bytes were used.
  data,       ///< A part of a message, of any size.
  ping,       ///< A whole Ping frame, to be answered with a Pong of the same payload.
  pong,       ///< A whole Pong frame.
  close,      ///< A whole and valid Close frame. All that follows is used and dropped (RFC 6455 5.5.1).
  error,      ///< Final: send a Close frame with the decoder's `error_code()` and end the connection.
};

struct WebSocketResult {
  WebSocketEvent event;
  /// With `data`: text or binary, of the whole message.
  WebSocketOpcode opcode = WebSocketOpcode::binary;
  /// With `data`: this is the message's end. Its last part may be empty, the others are not.
  bool end = false;
  /// With `data`: the extension bits of the message's first frame.
  std::uint8_t rsv = 0;
  /// Bytes used from the front, up to and with the one that was wrong.
  std::size_t consumed = 0;
  /// Unmasked. With `data` it lies in the bytes given; with a control frame in the decoder, until the next
  /// call.
  std::span<char> payload = {};
};

/// Whose frames a decoder reads.
enum class WebSocketSender : std::uint8_t { client, server };

struct WebSocketDecoderOptions {
  std::uint64_t message_bytes = 16 * 1024;  ///< Payload of one message, as it is sent. Above: 1009.
  /// Frames of a client must be masked and those of a server must not (RFC 6455 5.1).
  WebSocketSender sender = WebSocketSender::client;
  /// Extension bits that the first frame of a message may have. A text with such a bit is not checked for
  /// UTF-8: that is for the extension, once it has decoded it.
  std::uint8_t allowed_rsv = 0;
};

/// Reads frames in place, in pieces of any size, and puts messages together (RFC 6455 5.4).
///
///     std::span<char> rest = {buffer, bytes_read};
///     for (;;) {
///       const WebSocketResult r = decoder.decode(rest);
///       rest = rest.subspan(r.consumed);
///       if (r.event == WebSocketEvent::need_more) break;  // read again into the same buffer
///       if (r.event == WebSocketEvent::error) return fail(decoder.error_code());
///       …
///     }
///
/// Strict: unknown opcodes and bits, missing masks, lengths that are not in their shortest form, control
/// frames that are fragmented or long, and messages whose frames don't fit together are 1002; text that is
/// not UTF-8 is 1007 at its first byte that cannot be; a message above its limit is 1009 once a frame says
/// so. The outcome does not depend on how the bytes were split, but for the sizes of a message's parts.
/// Control frames may stand within messages.
class WebSocketDecoder {
 public:
  using Options = WebSocketDecoderOptions;

  WebSocketDecoder() noexcept = default;
  explicit WebSocketDecoder(Options options) noexcept : options_(options) {}

  /// Starts over, for the next connection.
  void reset() noexcept { *this = WebSocketDecoder(options_); }

  /// Reads `bytes`, the next part of the connection, up to the next event.
  WebSocketResult decode(std::span<char> bytes) noexcept;

  /// After `error`: the code to close with (1002, 1007 or 1009) and what was wrong (static storage).
  std::uint16_t error_code() const noexcept { return error_code_; }
  std::string_view error_reason() const noexcept { return reason_; }

 private:
  enum class State : std::uint8_t { opcode, length, length_16, length_64, mask, payload, closed, failed };

  void step(std::uint8_t byte) noexcept;
  void step_opcode(std::uint8_t byte) noexcept;
  void step_length(std::uint8_t byte) noexcept;
  void end_of_length() noexcept;
  void begin_payload() noexcept;
  bool take_data(std::span<char> part, WebSocketResult& result) noexcept;
  bool take_control(std::span<char> part, WebSocketResult& result) noexcept;
  bool is_control() const noexcept { return opcode_ >= WebSocketOpcode::close; }
  [[gnu::cold, gnu::noinline]] void fail(std::uint16_t code, const char* reason) noexcept;

  std::uint64_t left_ = 0;           // of the frame's payload, or of its length as far as it was read
  std::uint64_t message_bytes_ = 0;  // of the message's payload so far
  Options options_;
  const char* reason_ = "";
  std::uint16_t error_code_ = 0;
  State state_ = State::opcode;
  WebSocketOpcode opcode_ = WebSocketOpcode::continuation;   // of the frame
  WebSocketOpcode message_ = WebSocketOpcode::continuation;  // of the message; continuation between messages
  std::uint8_t message_rsv_ = 0;
  bool fin_ = false;
  std::uint8_t count_ = 0;         // bytes to come of the length or the mask
  std::uint8_t phase_ = 0;         // where in the mask the payload goes on
  std::uint8_t control_size_ = 0;  // bytes in control_
  Utf8Validator utf8_;             // between messages as new, for texts end complete
  WebSocketMask mask_ = {};
  char control_[kMaxControlPayload];
};

}  // namespace microdot::inline MICRODOT_ABI
