/// The second half of an exchange: from the response to bytes on their way.

#include <algorithm>
#include <cstring>

#include <microdot/http/chunked.hpp>
#include <microdot/http/response_writer.hpp>
#include <microdot/http/status.hpp>

#include "../field_lines.hpp"
#include "exchange.hpp"
#include "server.hpp"

namespace microdot::inline MICRODOT_ABI::detail {

namespace {

constexpr std::uint16_t kRequestsInTurn = 64;

}  // namespace

inline bool Exchange::wants_keep_alive() const noexcept {
  if (!keep_alive_ || !body_.complete() || server_->to_end() || server_->short_of_connections()) return false;
  // A client that never stops pipelining has had its turn when somebody waits, be it for his address's share.
  return turn_ < kRequestsInTurn || !server_->somebody_waits();
}

// The answer that most are, in one piece: 200, text that fits, no fields of its own. False if this is
// another.
inline bool Exchange::write_usual(const Response& response) noexcept {
  constexpr std::string_view kEnd = "\r\n\r\n";
  if (response.status_code != 200 || !response.is_plain() || refusal_ != 0 ||
      parser_.method() == Method::head || parser_.version_minor() == 0 || !wants_keep_alive()) {
    return false;
  }
  const std::string_view body = response.body();
  const std::span<char> room = out_room();
  if (body.empty() || room.size() < Server::kUsualHeadBytes + kMaxDecimal + kEnd.size() + body.size())
    return false;
  char* at = room.data();
  const std::size_t head_size = server_->write_usual_head(at);
  // A larger one is sent from where it lies, without this exchange if that takes long. Asked here, not
  // above: there GCC copies the body with `rep movs`, which costs small ones 30 instructions.
  if (head_size == 0 || body.size() > kSmallBody) return false;
  at += head_size;
  at += write_decimal(at, body.size());
  std::memcpy(at, kEnd.data(), kEnd.size());
  at += kEnd.size();
  std::memcpy(at, body.data(), body.size());
  out_size_ += static_cast<std::uint32_t>(at + body.size() - room.data());
  body_bytes_ = body.size();
  return true;
}

inline void Exchange::begin_body() noexcept {
  Response& response = dispatch_->response();
  switch (response.body_kind()) {
    case Response::BodyKind::generator: sending_ = Sending::generator; return;
    case Response::BodyKind::source: sending_ = Sending::source; return;
    case Response::BodyKind::file: return begin_file_part(response.file_offset(), response.file_size());
    case Response::BodyKind::stream: return;
    default: break;
  }
  const std::string_view body = response.body();
  body_bytes_ = body.size();
  if (goes_with_head(body.size())) {
    put(body);
  } else if (response.body_kind() == Response::BodyKind::view && !holds(body) && !request_->has_objects()) {
    // Static: sent from where it lies, without the exchange if that takes long.
    connection_->tail().set(body);
  } else {
    pending_ = body;
  }
}

// Writes the head, and the body if it is small. False if there is no room behind earlier answers.
MICRODOT_STEP bool Exchange::begin_response() noexcept {
  if (gone_) return true;
  connection_->pace().restart();
  body_.continue_sent();  // the final answer stands for it (RFC 9110 10.1.1)
  Response& response = dispatch_->response();
  if (write_usual(response)) return true;
  if (response.error() != Error::none) {
    const int status = response.error() == Error::no_memory ? 503 : 500;
    if (status == 500) server_->loop().port().log().write(LogLevel::error, "a response field is not valid");
    response = Response(error_text(status), status);
  }
  if (response.body_kind() == Response::BodyKind::stream) {
    if (response.status_code >= 300) {
      response.set_body({});  // a hook has made something else of it
    } else if (parser_.method() != Method::head && !open_stream(response)) {
      response = Response(error_text(503), 503, {{"Retry-After", "1"}});
    }
  }
  if (refusal_ != 0 && refusal_ != 405) keep_alive_ = false;
  keep_alive_ = wants_keep_alive();

  const bool bodiless = has_no_content(response.status_code);
  std::optional<std::uint64_t> length;
  switch (response.body_kind()) {
    case Response::BodyKind::generator:
      chunked_ = parser_.version_minor() != 0;
      if (!chunked_) keep_alive_ = false;
      break;
    case Response::BodyKind::file:
    case Response::BodyKind::source: length = response.file_size(); break;
    case Response::BodyKind::stream: keep_alive_ = keep_alive_ && parser_.method() == Method::head; break;
    default: length = response.body().size(); break;
  }
  if (bodiless) {
    length.reset();
    chunked_ = false;
  }
  if (!write_head(length)) {
    if (out_size_ != 0) return false;
    if (stream_ != nullptr) std::exchange(stream_, nullptr)->stop();
    response = Response(error_text(500), 500);
    chunked_ = false;
    server_->loop().port().log().write(LogLevel::error,
                                       "a response head is larger than Limits::response_bytes");
    if (!write_head(response.body().size())) lose_client();
  }
  if (!gone_ && !bodiless && parser_.method() != Method::head) begin_body();
  return true;
}

// Once: the head may have to be written again.
inline bool Exchange::open_stream(Response& response) noexcept {
  return stream_ != nullptr || response.stream()->open(*this) == 0;
}

bool Exchange::holds(std::string_view bytes) const noexcept {
  const auto within = [&](const void* begin, std::size_t size) {
    const auto at = reinterpret_cast<std::uintptr_t>(bytes.data());
    const auto start = reinterpret_cast<std::uintptr_t>(begin);
    return at >= start && at < start + size;
  };
  // The parts of an exchange's memory lie behind it, in one piece.
  return within(this, server_->limits().exchange_memory());
}

// Whether the field is not sent: the framing is ours (RFC 9112 6), and so is the time. "close" is a wish.
inline bool Exchange::take_framing(const Header& field) noexcept {
  if (FieldLines::kind_of(field.name) != FieldLines::kFraming) return false;
  if (!equals_ignore_case(field.name, "Connection")) return true;
  if (equals_ignore_case(field.value, "Upgrade")) return false;
  if (equals_ignore_case(field.value, "close")) keep_alive_ = false;
  return true;
}

bool Exchange::write_head(std::optional<std::uint64_t> content_length) noexcept {
  Response& response = dispatch_->response();
  ResponseHead head(out_room());
  head.status(response.status_code);
  head.raw(server_->date_line());
  const ResponseHeaders& fields = response.headers();  // checked when they were set
  const std::uint32_t kinds = FieldLines::kinds(fields);
  if ((kinds & FieldLines::kFraming) == 0) {
    head.raw(FieldLines::all(fields));
  } else {
    fields.for_each([&](const Header& field) {
      if (!take_framing(field)) head.raw(FieldLines::line(field));
    });
  }
  const bool has_body = content_length ? *content_length != 0 : !has_no_content(response.status_code);
  if ((kinds & FieldLines::kContentType) == 0 && has_body) {
    head.text_type(server_->app().default_content_type);
  }
  if (chunked_) {
    head.chunked();
  } else if (content_length) {
    head.content_length(*content_length);
  }
  const bool upgrades = response.status_code == 101;  // its fields say how the connection goes on
  if (!keep_alive_ && !upgrades) {
    head.connection_close();
  } else if (parser_.version_minor() == 0) {
    head.connection_keep_alive();
  }
  const Result<std::string_view> bytes = head.finish();
  if (!bytes) return false;
  out_size_ += static_cast<std::uint32_t>(bytes->size());
  return true;
}

// Whether something of the response must be sent before the next one can be begun.
MICRODOT_STEP bool Exchange::more_body() noexcept {
  if (gone_) return false;
  if (!pending_.empty() || tail_pending()) return true;
  if (sending_ == Sending::source) {
    BodyPiece piece;
    if (!dispatch_->response().source()->next(piece)) {
      sending_ = Sending::nothing;
      return out_size_ != 0;
    }
    append(piece.bytes);
    if (piece.file_size != 0) begin_file_part(piece.file_offset, piece.file_size);
    return true;
  }
  return sending_ != Sending::nothing;
}

void Exchange::append(std::string_view bytes) noexcept {
  body_bytes_ += bytes.size();
  if (bytes.size() <= out_room().size()) {
    put(bytes);
  } else {
    pending_ = bytes;
  }
}

// Not before there is room for the head of a chunk.
bool Exchange::wants_piece() const noexcept {
  return sending_ == Sending::generator && pending_.empty() && out_.size() - out_size_ >= kMaxChunkHead;
}

std::coroutine_handle<> Exchange::next_piece() noexcept {
  dispatch_->response().generator().promise().clear();
  return dispatch_->response().generator();
}

void append_piece(Exchange& exchange) noexcept {
  exchange.connection_->clear_deadline();
  const auto generator = exchange.dispatch_->response().generator();
  // A piece that found no room is missing. Those before it leave: the client learns that there was an answer.
  const auto cut_short = [&exchange] {
    exchange.try_flush();
    exchange.lose_client();
  };
  if (exchange.handler_stopped() || exchange.request_->take_failure() != 0) return cut_short();
  if (generator.done()) {
    exchange.sending_ = Exchange::Sending::nothing;
#if MICRODOT_EXCEPTIONS
    if (generator.promise().exception()) {
      // The head is written: only an answer cut short tells the client.
      exchange.dispatch_->log_exception(generator.promise().exception());
      return cut_short();
    }
#endif
    if (exchange.chunked_) exchange.append(kLastChunk);
    return;
  }
  const std::string_view piece = *generator.promise().value();
  if (!piece.empty()) exchange.append_chunk(piece);  // an empty chunk would end the body
}

inline void Exchange::append_chunk(std::string_view piece) noexcept {
  body_bytes_ += piece.size();
  if (chunked_) {
    char text[kMaxChunkHead];
    const std::size_t size = write_chunk_head(piece.size(), text);
    put({text + kMaxChunkHead - size, size});
    suffix_ = kChunkEnd;
  }
  if (piece.size() + suffix_.size() > out_room().size()) {
    pending_ = piece;
    return;
  }
  put(piece);
  put(std::exchange(suffix_, {}));
}

void Exchange::begin_file_part(std::uint64_t offset, std::uint64_t size) noexcept {
  body_bytes_ += size;
  const FileReader& file = dispatch_->response().file();
  if (pending_.empty() && goes_with_head(size)) {  // not past bytes that wait beside the buffer
    const std::span<char> room = out_room().first(static_cast<std::size_t>(size));
    std::size_t have = 0;
    while (have < room.size()) {
      const Result<std::size_t> read = file.read(offset + have, room.subspan(have));
      if (!read || *read == 0) return lose_client();
      have += *read;
    }
    out_size_ += static_cast<std::uint32_t>(size);
    return;
  }
  connection_->tail().set(std::move(dispatch_->response().file()), offset, size);
}

Error Exchange::try_flush() noexcept {
  if (gone_) return Error::closed;
  for (;;) {
    ConstBuffer pieces[4];
    std::size_t count = 0;
    if (out_sent_ != out_size_) pieces[count++] = {out_.data() + out_sent_, out_size_ - out_sent_};
    if (!pending_.empty()) pieces[count++] = {pending_.data(), pending_.size()};
    if (!suffix_.empty()) pieces[count++] = {suffix_.data(), suffix_.size()};
    if (count == 0) break;
    // Bytes that lie in memory go with what is before them as far as the client takes them.
    Tail& tail = connection_->tail();
    const std::string_view bytes = sending_ == Sending::source ? std::string_view{} : tail.bytes();
    if (!bytes.empty()) pieces[count++] = {bytes.data(), bytes.size()};
    const bool more = bytes.empty() && !tail.empty();
    const Result<std::size_t> sent = connection_->transport().write({pieces, count}, more);
    if (!sent) {
      if (sent.error() != Error::would_block) lose_client();
      return sent.error();
    }
    connection_->pace().move(*sent);
    server_->count_out(*sent);
    std::size_t left = *sent;
    const std::size_t of_out = std::min<std::size_t>(left, out_size_ - out_sent_);
    out_sent_ += static_cast<std::uint32_t>(of_out);
    left -= of_out;
    const std::size_t of_pending = std::min(left, pending_.size());
    pending_.remove_prefix(of_pending);
    left -= of_pending;
    const std::size_t of_suffix = std::min(left, suffix_.size());
    suffix_.remove_prefix(of_suffix);
    left -= of_suffix;
    tail_sent_ = static_cast<std::uint32_t>(left);
    if (left != 0) tail.remove_prefix(left);
  }
  if (Tail& tail = connection_->tail(); tail.empty() && tail.has_file()) {
    if (!connection_->transport().drained())
      return Error::would_block;  // its bytes are valid while it is open
    tail.clear();
  }
  // What was sent of the tail behind them lies elsewhere: the buffer need not wait for that.
  if (connection_->transport().undrained() > tail_sent_) return Error::would_block;
  out_size_ = out_sent_ = 0;
  tail_sent_ = kNothingOfOurs;
  return Error::none;
}

Error Exchange::try_tail() noexcept {
  for (;;) {
    if (gone_) return Error::closed;
    if (out_size_ != 0) {
      const Error error = try_flush();
      if (error != Error::none) return error;
    }
    Tail& tail = connection_->tail();
    Error error = sendfile_ || !tail.in_file() ? connection_->send_tail() : Error::unsupported;
    if (error == Error::unsupported) {
      sendfile_ = false;
      const std::span<char> room =
          out_room().first(static_cast<std::size_t>(std::min<std::uint64_t>(out_room().size(), tail.size())));
      const Result<std::size_t> read = tail.file().read(tail.offset(), room);
      if (!read || *read == 0) {
        lose_client();
        return Error::closed;
      }
      out_size_ = static_cast<std::uint32_t>(*read);
      tail.remove_prefix(*read);
      continue;
    }
    if (error == Error::none) {
      // The file may have further parts to be sent.
      if (sending_ == Sending::source) dispatch_->response().file() = std::move(tail.file());
      tail.clear();
    } else if (error != Error::would_block) {
      lose_client();
    }
    return error;
  }
}

// What is left of the response needs no exchange: static bytes, or a file that the transport takes. Then
// somebody else may have it while they are sent.
bool Exchange::leave_tail() noexcept {
  if (gone_ || sending_ != Sending::nothing || !buffered().empty() || !body_.leftover().empty()) return false;
  if (!sendfile_ && connection_->tail().in_file()) return false;
  if (dispatch_->limited()) return false;  // it counts until all is sent
  const Error error = connection_->send_tail();
  if (error == Error::would_block) return true;
  if (error == Error::unsupported) sendfile_ = false;
  if (error == Error::closed || error == Error::io) lose_client();
  return false;
}

void Exchange::start_writing() noexcept {
  connection_->transport().set_interest(false, true);
  begin_wait(&Limits::write_timeout, &Limits::write_rate);
}

}  // namespace microdot::inline MICRODOT_ABI::detail
