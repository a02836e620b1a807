#include <microdot/http/websocket.hpp>

#include <algorithm>
#include <cstring>

namespace microdot::inline MICRODOT_ABI {
namespace {

constexpr std::uint8_t kFin = 0x80;
constexpr std::uint8_t kRsvBits = kRsv1 | kRsv2 | kRsv3;
constexpr std::uint8_t kMasked = 0x80;
// What the seven bits of the length say when it follows in 16 or 64 bits.
constexpr std::uint8_t kLength16 = 126;
constexpr std::uint8_t kLength64 = 127;

}  // namespace

bool is_valid_close_code(std::uint16_t code) noexcept {
  if (code >= 3000) return code <= 4999;
  return code >= 1000 && code <= 1014 && code != 1004 && code != kCloseNoStatus && code != kCloseAbnormal;
}

WebSocketClose parse_close_payload(std::string_view payload) noexcept {
  if (payload.empty()) return {kCloseNoStatus, {}, 0};
  if (payload.size() == 1) return {0, {}, kCloseProtocolError};
  const auto code = static_cast<std::uint16_t>(static_cast<std::uint8_t>(payload[0]) << 8 |
                                               static_cast<std::uint8_t>(payload[1]));
  const std::string_view reason = payload.substr(2);
  if (!is_valid_close_code(code)) return {code, reason, kCloseProtocolError};
  return {code, reason, is_utf8(reason) ? std::uint16_t{0} : std::uint16_t{kCloseInvalidData}};
}

std::size_t write_close_payload(std::uint16_t code, std::string_view reason,
                                std::span<char, kMaxControlPayload> out) noexcept {
  if (!is_valid_close_code(code) || code == kCloseMandatoryExtension) return 0;
  out[0] = static_cast<char>(code >> 8);
  out[1] = static_cast<char>(code & 0xff);
  if (!is_utf8(reason)) return 2;
  std::size_t size = std::min(reason.size(), out.size() - 2);
  while (size < reason.size() && (reason[size] & 0xc0) == 0x80) --size;
  return 2 + reason.copy(&out[2], size);
}

void apply_websocket_mask(std::span<char> bytes, WebSocketMask mask, std::size_t offset) noexcept {
  using Word = std::size_t;
  char turned[sizeof(Word)];
  for (std::size_t i = 0; i < sizeof turned; ++i) turned[i] = mask[(offset + i) % mask.size()];
  Word key;
  std::memcpy(&key, turned, sizeof key);
  char* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= sizeof(Word); left -= sizeof(Word), p += sizeof(Word)) {
    Word word;
    std::memcpy(&word, p, sizeof word);
    word ^= key;
    std::memcpy(p, &word, sizeof word);
  }
  for (std::size_t i = 0; i < left; ++i) p[i] = static_cast<char>(p[i] ^ turned[i]);
}

std::size_t write_websocket_head(const WebSocketFrameHead& head,
                                 std::span<char, kMaxWebSocketHead> out) noexcept {
  char* p = out.data() + out.size();
  if (head.mask) {
    p -= head.mask->size();
    std::memcpy(p, head.mask->data(), head.mask->size());
  }
  std::size_t length_bytes = 0;
  auto length = static_cast<std::uint8_t>(head.payload_bytes);
  if (head.payload_bytes > 0xffff) {
    length_bytes = 8;
    length = kLength64;
  } else if (head.payload_bytes >= kLength16) {
    length_bytes = 2;
    length = kLength16;
  }
  for (std::size_t i = 0; i < length_bytes; ++i)
    *--p = static_cast<char>(head.payload_bytes >> (8 * i) & 0xff);
  *--p = static_cast<char>(length | (head.mask ? kMasked : 0));
  *--p = static_cast<char>((head.fin ? kFin : 0) | (head.rsv & kRsvBits) |
                           static_cast<std::uint8_t>(head.opcode));
  return static_cast<std::size_t>(out.data() + out.size() - p);
}

void WebSocketDecoder::fail(std::uint16_t code, const char* reason) noexcept {
  error_code_ = code;
  reason_ = reason;
  state_ = State::failed;
}

WebSocketResult WebSocketDecoder::decode(std::span<char> bytes) noexcept {
  WebSocketResult result{WebSocketEvent::need_more};
  std::size_t& at = result.consumed;
  if (state_ == State::closed) at = bytes.size();
  for (;;) {
    if (state_ == State::failed) {
      result.event = WebSocketEvent::error;
      return result;
    }
    if (state_ == State::payload) {
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size() - at));
      const std::span<char> part = bytes.subspan(at, size);
      if (options_.sender == WebSocketSender::client) {
        apply_websocket_mask(part, mask_, phase_);
        phase_ = static_cast<std::uint8_t>((phase_ + size) % mask_.size());
      }
      at += size;
      left_ -= size;
      if (is_control() ? take_control(part, result) : take_data(part, result)) return result;
    } else if (at == bytes.size()) {
      return result;
    } else {
      step(static_cast<std::uint8_t>(bytes[at++]));
    }
  }
}

// The next part of a message. True when there is something to return.
bool WebSocketDecoder::take_data(std::span<char> part, WebSocketResult& result) noexcept {
  const bool end = left_ == 0 && fin_;
  if (message_ == WebSocketOpcode::text && message_rsv_ == 0) {
    const std::size_t good = utf8_.check({part.data(), part.size()});
    if (good != part.size()) {
      result.consumed -= part.size() - good - 1;
      fail(kCloseInvalidData, "text is not UTF-8");
      return false;
    }
    if (end && !utf8_.complete()) {
      fail(kCloseInvalidData, "text ends inside a character");
      return false;
    }
  }
  message_bytes_ += part.size();
  if (left_ == 0) state_ = State::opcode;
  if (part.empty() && !end) return left_ != 0;  // an empty frame, or all bytes were used
  result.event = WebSocketEvent::data;
  result.opcode = message_;
  result.end = end;
  result.rsv = message_rsv_;
  result.payload = part;
  if (end) message_ = WebSocketOpcode::continuation;
  return true;
}

// The next part of a control frame. True when there is something to return.
bool WebSocketDecoder::take_control(std::span<char> part, WebSocketResult& result) noexcept {
  if (!part.empty()) std::memcpy(control_ + control_size_, part.data(), part.size());
  control_size_ = static_cast<std::uint8_t>(control_size_ + part.size());
  if (left_ != 0) return true;
  result.payload = {control_, control_size_};
  state_ = State::opcode;
  if (opcode_ == WebSocketOpcode::ping) {
    result.event = WebSocketEvent::ping;
  } else if (opcode_ == WebSocketOpcode::pong) {
    result.event = WebSocketEvent::pong;
  } else {
    const WebSocketClose close = parse_close_payload({control_, control_size_});
    if (close.error != 0) {
      result.payload = {};
      fail(close.error, close.error == kCloseInvalidData ? "reason of a Close frame is not UTF-8"
                                                         : "invalid code in a Close frame");
      return false;
    }
    result.event = WebSocketEvent::close;
    state_ = State::closed;
  }
  return true;
}

// Takes one byte of a frame's head.
void WebSocketDecoder::step(std::uint8_t byte) noexcept {
  switch (state_) {
    case State::opcode: return step_opcode(byte);
    case State::length: return step_length(byte);
    case State::length_64:
      if (count_ == 8 && byte >= 0x80) return fail(kCloseProtocolError, "length of 64 bits");
      [[fallthrough]];
    case State::length_16:
      left_ = left_ << 8 | byte;
      if (--count_ == 0) end_of_length();
      return;
    default:  // mask
      mask_[mask_.size() - count_] = static_cast<char>(byte);
      if (--count_ == 0) begin_payload();
      return;
  }
}

void WebSocketDecoder::step_opcode(std::uint8_t byte) noexcept {
  const auto rsv = static_cast<std::uint8_t>(byte & kRsvBits);
  opcode_ = static_cast<WebSocketOpcode>(byte & 0x0f);
  fin_ = (byte & kFin) != 0;
  const bool within = message_ != WebSocketOpcode::continuation;
  std::uint8_t allowed_rsv = 0;
  switch (opcode_) {
    case WebSocketOpcode::text:
    case WebSocketOpcode::binary:
      if (within) return fail(kCloseProtocolError, "new message within another");
      allowed_rsv = options_.allowed_rsv;
      break;
    case WebSocketOpcode::continuation:
      if (!within) return fail(kCloseProtocolError, "continuation of no message");
      break;
    case WebSocketOpcode::close:
    case WebSocketOpcode::ping:
    case WebSocketOpcode::pong:
      if (!fin_) return fail(kCloseProtocolError, "fragmented control frame");
      break;
    default: return fail(kCloseProtocolError, "unknown opcode");
  }
  if ((rsv & ~allowed_rsv) != 0) return fail(kCloseProtocolError, "extension bit that was not agreed on");
  if (opcode_ == WebSocketOpcode::text || opcode_ == WebSocketOpcode::binary) {
    message_ = opcode_;
    message_rsv_ = rsv;
    message_bytes_ = 0;
  }
  state_ = State::length;
}

void WebSocketDecoder::step_length(std::uint8_t byte) noexcept {
  if (((byte & kMasked) != 0) != (options_.sender == WebSocketSender::client)) {
    return fail(kCloseProtocolError, "masked by a server, or not by a client");
  }
  const auto length = static_cast<std::uint8_t>(byte & 0x7f);
  if (is_control() && length > kMaxControlPayload) return fail(kCloseProtocolError, "control frame too long");
  if (length < kLength16) {
    left_ = length;
    return end_of_length();
  }
  left_ = 0;
  count_ = length == kLength16 ? 2 : 8;
  state_ = length == kLength16 ? State::length_16 : State::length_64;
}

void WebSocketDecoder::end_of_length() noexcept {
  if ((state_ == State::length_16 && left_ < kLength16) || (state_ == State::length_64 && left_ <= 0xffff)) {
    return fail(kCloseProtocolError, "length not in its shortest form");
  }
  if (!is_control() && left_ > options_.message_bytes - message_bytes_) {
    return fail(kCloseTooBig, "message too large");
  }
  if (options_.sender == WebSocketSender::server) return begin_payload();
  count_ = static_cast<std::uint8_t>(mask_.size());
  state_ = State::mask;
}

void WebSocketDecoder::begin_payload() noexcept {
  phase_ = 0;
  control_size_ = 0;
  state_ = State::payload;
}

}  // namespace microdot::inline MICRODOT_ABI
