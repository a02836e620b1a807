#include <microdot/ext/websocket.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

#include <microdot/http/chars.hpp>
#include <microdot/http/websocket_handshake.hpp>

namespace microdot::inline MICRODOT_ABI {
namespace {

// Before each message in the window: its size, and whether it is text.
using Word = std::uint32_t;
constexpr std::uint32_t kWord = sizeof(Word);
constexpr std::size_t kMaxServerHead = 10;
constexpr std::uint32_t kLeastQueue = 2 + kMaxControlPayload;  // room for any control frame

std::string_view write_head(const WebSocketFrameHead& head,
                            std::array<char, kMaxWebSocketHead>& room) noexcept {
  const std::size_t size = write_websocket_head(head, room);
  return {room.data() + room.size() - size, size};
}

// The code that a Close frame is answered with.
std::uint16_t answer_to(std::uint16_t code) noexcept {
  return code == kCloseNoStatus ? std::uint16_t{kCloseNormal} : code;
}

// The first of `list` that the client offers, "" for none.
std::string_view choose_from(std::string_view list, const HeaderTable& headers) noexcept {
  std::string_view chosen;
  for_each_element(list, [&](std::string_view element) {
    chosen = choose_subprotocol(headers, {&element, 1});
    return chosen.empty();
  });
  return chosen;
}

bool may_connect(std::string_view origins, const Request& request) noexcept {
  bool allowed = is_websocket_origin_allowed(request.headers, request.host);
  for_each_element(origins, [&](std::string_view origin) {
    allowed = allowed || is_websocket_origin_allowed(request.headers, request.host, {&origin, 1});
    return !allowed;
  });
  return allowed;
}

}  // namespace

/// What a WebSocket with compression has beside: at the front of `Limits::compression_memory`.
struct WebSocket::Coding {
  const WebSocketCompression* compression;
  WebSocketCodec* codec = nullptr;
  std::span<char> in = {};     // what has come, as frames
  std::span<char> out = {};    // a message on its way, encoded
  const Send* send = nullptr;  // whose it is
  std::size_t send_bytes = 0;
  // The part of a message that is being decoded: the next bytes of `in`.
  bool has_part = false;
  WebSocketResult part{WebSocketEvent::data};
  Utf8Validator utf8 = {};
};

// The handshake

Response WebSocket::answer(Request& request, const Options& options, detail::StreamStart* start) noexcept {
  const auto refuse = [&](int status, std::string_view reason) {
    if (start != nullptr) start->destroy();
    Response response(reason, status);
    if (status == 426) response.header("Upgrade", "websocket").header("Connection", "Upgrade");
    if (status == 426) response.header("Sec-WebSocket-Version", kWebSocketVersion);
    return response;
  };
  const int minor = request.http_version == "1.0" ? 0 : 1;
  const WebSocketHandshake handshake =
      read_websocket_handshake(parse_method(request.method), minor, request.headers);
  if (handshake.status != 101) return refuse(handshake.status, handshake.reason);
  if (!request.body().empty() || !request.body_kept())
    return refuse(400, "a WebSocket's request has no body");
  if (!may_connect(options.origins, request)) return refuse(403, "pages of this origin may not connect");

  Response response(start, 101);
  std::array<char, kWebSocketAcceptBytes> accept;
  response.header("Upgrade", "websocket").header("Connection", "Upgrade");
  response.header("Sec-WebSocket-Accept", write_websocket_accept(handshake.key, accept));
  const std::string_view protocol = choose_from(options.subprotocols, request.headers);
  if (!protocol.empty()) response.header("Sec-WebSocket-Protocol", protocol);
  return response;
}

WebSocket::WebSocket(detail::Server& server, detail::StreamSlot& slot, const Options& options) noexcept
    : Stream(server, slot,
             {.when_slow = options.when_slow,
              .queue_bytes = options.queue_bytes == 0 ? 0 : std::max(options.queue_bytes, kLeastQueue),
              .keep_alive = options.keep_alive}),
      subprotocol_(options.subprotocols) {
  if (MICRODOT_HOSTED && options.compression != nullptr) {
    const std::span<std::byte> memory = take_compression();
    if (!memory.empty()) coding_ = ::new (static_cast<void*>(memory.data())) Coding{options.compression};
  }
}

bool WebSocket::prepare(Response& answer) noexcept {
  const std::uint32_t bytes = limits().ws_message_bytes;
  // Room for a message of any allowed size, and to read on behind it.
  const std::size_t size = bytes + 2 * kWord + 16;
  auto* const memory = static_cast<char*>(arena().allocate(size));
  if (bytes == 0 || memory == nullptr) return false;
  window_ = {memory, size};
  raw_ = kWord;
  filled_ = kWord;
  decoder_ = WebSocketDecoder({.message_bytes = bytes});
  return coding() == nullptr || begin_coding(answer);
}

void WebSocket::on_begin(std::string_view rest) noexcept {
  subprotocol_ = choose_from(subprotocol_, request().headers);
  heard_ = now();
  // A client has to wait for the answer before it sends (RFC 6455 4.1): there is no place for what one of
  // those that do not sends beyond a message.
  const std::span<char> room = input().subspan(filled_);
  const std::size_t size = std::min<std::size_t>(rest.size(), room.size());
  if (size != rest.size()) {
    begin_close(kCloseTooBig, {});
    return end();
  }
  if (size != 0) std::memcpy(room.data(), rest.data(), size);
  filled_ += static_cast<std::uint32_t>(size);
  digest();
}

// Receiving

void WebSocket::on_input() noexcept {
  if (filled_ == input().size()) make_window_room();
  if (filled_ == input().size() || owes_pong_) return set_reading(false);  // until the handler has received
  const Result<std::size_t> size = read(input().subspan(filled_));
  if (!size) {
    if (size.error() != Error::would_block) lose();
    return;
  }
  // An end without a Close frame; behind one it says nothing more.
  if (*size == 0) return last_read_ || closing_ ? set_reading(false) : lose();
  heard_ = now();
  pinged_ = false;
  filled_ += static_cast<std::uint32_t>(*size);
  digest();
}

// Moves what is used to the window's front, unless the handler has some of it.
void WebSocket::make_window_room() noexcept {
  if (given_ && coding() == nullptr) return;
  const std::uint32_t used = end_ - first_;
  if (first_ != 0 && !given_) {
    std::memmove(window_.data(), window_.data() + first_, used);
    partial_ -= first_;
    first_ = 0;
    end_ = used;
  }
  // What comes next begins with a message's word, unless it continues one.
  std::uint32_t at = partial_ == end_ ? end_ + kWord : end_;
  if (coding() != nullptr) at = 0;
  const std::uint32_t rest = filled_ - raw_;
  if (at >= raw_) return;
  if (rest != 0) std::memmove(input().data() + at, input().data() + raw_, rest);
  raw_ = at;
  filled_ = at + rest;
}

void WebSocket::digest() noexcept {
  while (!owes_pong_ && !last_read_ && !closing_) {
    if (coding() != nullptr && coding()->has_part) {
      if (!decode_part()) break;
      continue;
    }
    if (raw_ == filled_) break;
    const WebSocketResult result = decoder_.decode(input().subspan(raw_, filled_ - raw_));
    raw_ += static_cast<std::uint32_t>(result.consumed);
    if (!take(result)) break;
  }
  if (ready_ != 0 && !given_) wake_reader();
  flush();
}

bool WebSocket::take(const WebSocketResult& result) noexcept {
  switch (result.event) {
    case WebSocketEvent::need_more:
    case WebSocketEvent::pong: return true;
    case WebSocketEvent::data: keep_part(result); return true;
    case WebSocketEvent::ping:
      pong_ = result.payload.data();
      pong_size_ = static_cast<std::uint8_t>(result.payload.size());
      owes_pong_ = !send_control(WebSocketOpcode::pong, {pong_, pong_size_});
      return true;
    case WebSocketEvent::close: {
      const WebSocketClose close = parse_close_payload({result.payload.data(), result.payload.size()});
      close_code_ = close.code;
      close_reason_ = close.reason;
      break;
    }
    case WebSocketEvent::error: close_code_ = decoder_.error_code(); break;
  }
  stop_reading();
  return false;
}

// The messages before it are still received, and answered.
void WebSocket::stop_reading() noexcept {
  last_read_ = true;
  if (ready_ == 0) {
    end_reading();
  } else {
    end_soon();
  }
}

void WebSocket::end_reading() noexcept {
  begin_close(decoder_.error_code() != 0 ? decoder_.error_code() : answer_to(close_code_),
              decoder_.error_reason());
  end();
}

void WebSocket::keep_part(const WebSocketResult& result) noexcept {
  const std::size_t size = result.payload.size();
  if (coding() != nullptr) {
    coding()->part = result;
    coding()->has_part = true;
    raw_ -= static_cast<std::uint32_t>(size);
    return;
  }
  if (partial_ == end_) end_ += kWord;
  if (size != 0) std::memmove(window_.data() + end_, result.payload.data(), size);
  end_ += static_cast<std::uint32_t>(size);
  if (result.end) keep_message(result.opcode == WebSocketOpcode::text);
}

void WebSocket::keep_message(bool is_text) noexcept {
  const Word word = (end_ - partial_ - kWord) << 1 | (is_text ? 1U : 0U);
  std::memcpy(window_.data() + partial_, &word, kWord);
  partial_ = end_;
  ++ready_;
  count_message_in();
}

// The message that was given goes. Whether there is another one, or the end.
bool WebSocket::next_message() noexcept {
  if (given_) {
    Word word = 0;
    std::memcpy(&word, window_.data() + first_, kWord);
    first_ += kWord + (word >> 1);
    given_ = false;
    --ready_;
  }
  if (ready_ != 0 || closing_) return true;
  if (last_read_ && is_open()) end_reading();
  if (!is_open() || reader() != nullptr) return true;
  make_window_room();
  digest();
  set_reading(!owes_pong_);
  return ready_ != 0 || !is_open();
}

Result<Message> WebSocket::take_message() noexcept {
  if (closing_) return Error::closed;
  if (ready_ == 0) return is_open() ? Error::invalid : Error::closed;  // invalid: somebody waits already
  if (given_) return Error::invalid;
  given_ = true;
  Word word = 0;
  std::memcpy(&word, window_.data() + first_, kWord);
  return Message{{window_.data() + first_ + kWord, word >> 1}, (word & 1) != 0};
}

// Sending

std::size_t WebSocket::Send::render(std::size_t skip, std::span<char> room) const noexcept {
  const std::string_view data = ws().coding() != nullptr ? ws().encode(*this) : data_;
  const bool encoded = MICRODOT_HOSTED && form_ == Form::encoded;
  if (!encoded && !room.empty()) form_ = Form::plain;  // as it begins it goes on
  std::array<char, kMaxWebSocketHead> bytes;
  const std::string_view head = write_head({.opcode = opcode_,
                                            .payload_bytes = data.size(),
                                            .rsv = encoded ? std::uint8_t{kRsv1} : std::uint8_t{0}},
                                           bytes);
  const std::size_t size = head.size() + data.size();
  std::size_t rest = size - std::min(skip, size);
  for (std::string_view part : {head, data}) {
    const std::size_t skipped = std::min(skip, part.size());
    skip -= skipped;
    const std::size_t taken = part.substr(skipped).copy(room.data(), room.size());
    room = room.subspan(taken);
    rest -= taken;
  }
  if (encoded && rest == 0) ws().end_encoding(*this, true);
  return size;
}

bool WebSocket::send_control(WebSocketOpcode opcode, std::string_view payload) noexcept {
  std::array<char, kMaxWebSocketHead> bytes;
  const std::string_view head = write_head({.opcode = opcode, .payload_bytes = payload.size()}, bytes);
  std::array<char, kMaxServerHead + kMaxControlPayload> frame;
  std::size_t size = head.copy(frame.data(), head.size());
  size += payload.copy(frame.data() + size, payload.size());
  return append({frame.data(), size});
}

Stream::Queued WebSocket::first_message(std::string_view queued) const noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(queued[i]); };
  // The queue begins with a whole head: it was put there in one piece.
  const bool is_control = (byte(0) & 8) != 0;
  std::size_t size = byte(1) & 127;
  std::size_t head = 2;
  if (size >= 126) {
    const std::size_t digits = size == 126 ? 2 : 8;
    size = 0;
    for (std::size_t i = 0; i < digits; ++i) size = size << 8 | byte(2 + i);
    head += digits;
  }
  return {std::min(head + size, queued.size()), !is_control};
}

// Compression

std::span<char> WebSocket::input() const noexcept { return coding() != nullptr ? coding()->in : window_; }

// Shares its memory out, if there is something to agree on; false if a field of the answer has no room.
bool WebSocket::begin_coding(Response& answer) noexcept {
  const std::size_t in = limits().head_bytes;
  const std::size_t out = limits().ws_message_bytes;
  auto* const memory = reinterpret_cast<std::byte*>(coding_);
  auto* const bytes = reinterpret_cast<char*>(memory + detail::align_up(sizeof(Coding)));
  const std::size_t taken = detail::align_up(detail::align_up(sizeof(Coding)) + in + out);
  const std::span<std::byte> rest(memory + taken, limits().compression_memory() - taken);
  coding_->codec = coding_->compression->agree(request().headers, limits(), may_drop(), rest, answer);
  if (coding_->codec == nullptr) {
    end_coding();
    return true;
  }
  coding_->in = {bytes, in};
  coding_->out = {bytes + in, out};
  raw_ = 0;
  filled_ = 0;
  // What does not get smaller gets a little larger. Decoded messages are measured again.
  const std::uint64_t most = window_.size() + window_.size() / 8;
  decoder_ = WebSocketDecoder({.message_bytes = most, .allowed_rsv = kRsv1});
  return answer.error() == Error::none;
}

void WebSocket::end_coding() noexcept {
  if (coding_->send != nullptr) coding_->send->form_ = Send::Form::plain;
  free_compression(reinterpret_cast<std::byte*>(std::exchange(coding_, nullptr)));
}

void WebSocket::destroy() noexcept {
  if (coding() != nullptr) end_coding();
  this->~WebSocket();
}

// Decodes what is there of a part into the window. False if that ends here, or has to wait for the handler.
bool WebSocket::decode_part() noexcept {
  Coding& coding = *coding_;
  WebSocketResult& part = coding.part;
  const bool decodes = part.rsv != 0;
  const bool checks = decodes && part.opcode == WebSocketOpcode::text;
  const std::size_t limit = limits().ws_message_bytes;
  const auto fail = [&](std::uint16_t code) {
    close_code_ = code;
    stop_reading();
    return false;
  };
  for (;;) {
    // For a message that is alone there is room, for one byte too many and the word before it.
    if (window_.size() - end_ <= kWord) make_window_room();
    if (window_.size() - end_ <= kWord) return false;
    if (partial_ == end_) end_ += kWord;
    const std::size_t before = end_ - partial_ - kWord;
    const std::span<char> room =
        window_.subspan(end_, std::min<std::size_t>(window_.size() - end_, limit + 1 - before));
    const std::string_view in(coding.in.data() + raw_, part.payload.size());
    WebSocketCodec::Decoded decoded{};
    if (decodes) {
      decoded = coding.codec->decode(in, part.end, room);
    } else {
      decoded.used = decoded.made = in.copy(room.data(), room.size());
      decoded.status =
          decoded.used == in.size() ? WebSocketCodec::Status::done : WebSocketCodec::Status::more;
    }
    raw_ += static_cast<std::uint32_t>(decoded.used);
    part.payload = part.payload.subspan(decoded.used);
    if (decoded.status == WebSocketCodec::Status::bad) return fail(kCloseInvalidData);
    if (checks && coding.utf8.check({room.data(), decoded.made}) != decoded.made)
      return fail(kCloseInvalidData);
    if (before + decoded.made > limit) return fail(kCloseTooBig);
    end_ += static_cast<std::uint32_t>(decoded.made);
    if (decoded.status == WebSocketCodec::Status::done) break;
  }
  coding.has_part = false;
  if (!part.end) return true;
  if (!coding.utf8.complete()) return fail(kCloseInvalidData);
  keep_message(part.opcode == WebSocketOpcode::text);
  return true;
}

// What goes into the frame of `send`. There is room for one encoded message at a time.
std::string_view WebSocket::encode(const Send& send) noexcept {
  Coding& coding = *coding_;
  if (coding.send == nullptr && send.form_ == Send::Form::undecided) {
    coding.send_bytes = coding.codec->encode(send.data_, coding.out);
    send.form_ = coding.send_bytes != 0 ? Send::Form::encoded : Send::Form::plain;
    if (coding.send_bytes != 0) coding.send = &send;
  }
  return send.form_ == Send::Form::encoded ? std::string_view(coding.out.data(), coding.send_bytes)
                                           : send.data_;
}

// It lies in the queue now, or never will.
void WebSocket::end_encoding(const Send& send, bool sent) noexcept {
  coding_->send = nullptr;
  send.form_ = Send::Form::plain;
  if (!sent) coding_->codec->discard();
}

// Silence, and the end

Duration WebSocket::on_quiet() noexcept {
  const Duration silent = now() - heard_;
  if (silent < keep_alive()) return keep_alive() - silent;
  // A client that can't be heard, since the handler does not receive, may well be there.
  const bool heard = filled_ != input().size() && !owes_pong_;
  if (pinged_ && heard) {
    count_timeout();
    lose();
    return keep_alive();
  }
  pinged_ = send_control(WebSocketOpcode::ping, {});
  flush();
  return keep_alive();
}

void WebSocket::on_room() noexcept {
  if (owes_pong_ && send_control(WebSocketOpcode::pong, {pong_, pong_size_})) {
    owes_pong_ = false;
    if (!closing_) set_reading(true);
    digest();
  }
  if (owes_close_) send_close();
}

void WebSocket::begin_close(std::uint16_t code, std::string_view reason) noexcept {
  if (closing_) return;
  closing_ = true;
  goodbye_size_ = static_cast<std::uint8_t>(write_close_payload(code, reason, goodbye_));
  send_close();
}

void WebSocket::send_close() noexcept {
  owes_close_ = !send_control(WebSocketOpcode::close, {goodbye_, goodbye_size_});
}

WebSocket::Closing WebSocket::close(std::uint16_t code, std::string_view reason) noexcept {
  if (is_open()) {
    begin_close(code, reason);
    flush();
    end();
  }
  return {};
}

void WebSocket::on_end(End how) noexcept {
  switch (how) {
    case End::returned:
      return begin_close(last_read_ ? answer_to(close_code_) : answer_to(kCloseNoStatus), {});
    case End::failed: return begin_close(kCloseInternalError, {});
    case End::shutdown: return begin_close(kCloseGoingAway, {});
  }
}

}  // namespace microdot::inline MICRODOT_ABI
