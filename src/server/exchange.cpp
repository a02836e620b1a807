/// An exchange: its life, what its connection tells it, and requests up to their handlers. How responses
/// leave is in exchange_response.cpp; how it all goes together in connection.cpp.

#include "exchange.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <microdot/base/text.hpp>
#include <microdot/http/response_writer.hpp>
#include <microdot/http/status.hpp>

#include "server.hpp"

namespace microdot::inline MICRODOT_ABI::detail {

static_assert(sizeof(Exchange) <= kExchangeBytes);
static_assert(sizeof(HeaderField) == kHeaderFieldBytes);

Exchange::Exchange(Server& server, const Memory& memory) noexcept
    : server_(&server),
      in_(memory.in),
      out_(memory.response),
      arena_(memory.arena),
      strand_(*this, arena_),
      handler_strand_(*this, arena_),
      parser_(memory.fields, {.max_readline = static_cast<std::uint16_t>(
                                  std::min<std::uint32_t>(server.limits().max_readline, 65535)),
                              .head_bytes = static_cast<std::uint16_t>(server.limits().head_bytes)}),
      body_(*this, memory.body) {}

bool Exchange::start() noexcept {
  const ArenaScope scope(arena_);
  serving_ = serve();
  if (!serving_.valid() || &Arena::owner_of(serving_.handle().address()) != &arena_) return false;
  arena_.seal();
  strand_.start(server_->loop(), serving_.handle());
  waiting_ = Waiting::connection;  // one may be assigned before the coroutine runs
  return true;
}

void Exchange::stop() noexcept {
  handler_strand_.reset();
  strand_.reset();
  dispatch_.reset();
  request_.reset();
  serving_.destroy();
  stream_ = nullptr;  // the server stops it
  connection_ = nullptr;
}

void Exchange::assign(Connection& connection) noexcept {
  connection_ = &connection;
  connection.set_exchange(*this);
  connection.clear_deadline();
  filled_ = start_ = consumed_ = 0;
  out_size_ = out_sent_ = 0;
  tail_sent_ = kNothingOfOurs;
  pending_ = {};  // not in one: the compiler would read what it has just written in another width
  suffix_ = {};
  may_read_ = true;
  gone_ = false;
  linger_ = true;
  keep_alive_ = true;
  turn_ = 0;  // with what lies beside it: one store
  pieces_ = 0;
  rested_ = 0;
  parser_.reset();
  connection.pace().restart();
  wake(Waiting::connection);
}

void Exchange::wait(Waiting what, std::coroutine_handle<> handle) noexcept {
  waiting_ = what;
  strand_.park(handle);
}

void Exchange::wake(Waiting what) noexcept {
  if (waiting_ != what) return;
  waiting_ = Waiting::nothing;
  if (connection_->pace().waiting()) connection_->pace().end_wait(server_->loop().now());
  strand_.wake();
}

// Events of the connection

void Exchange::on_readable() noexcept {
  may_read_ = true;
  switch (waiting_) {
    case Waiting::head:
      if (try_head() != Error::would_block) wake(Waiting::head);
      return;
    case Waiting::body:
      if (try_body() != Error::would_block) return wake(Waiting::body);
      return begin_wait(&Limits::body_timeout, &Limits::body_rate);
    case Waiting::handler:
      if (!body_.waited_for()) break;
      body_.retry();
      if (body_.waited_for()) return begin_wait(&Limits::body_timeout, &Limits::body_rate);
      connection_->pace().end_wait(server_->loop().now());
      return limit_handler();
    default: break;
  }
  // Nobody reads now: the client's bytes stay with TCP until somebody does.
  connection_->transport().set_interest(
      false, waiting_ == Waiting::flush || waiting_ == Waiting::tail || out_size_ != out_sent_);
}

void Exchange::on_writable() noexcept {
  if (waiting_ == Waiting::flush) {
    if (try_flush() != Error::would_block) return wake(Waiting::flush);
  } else if (waiting_ == Waiting::tail) {
    if (try_tail() != Error::would_block) return wake(Waiting::tail);
  } else {
    // Earlier answers, or "100 Continue": they don't wait for what comes next.
    const bool blocked = try_flush() == Error::would_block;
    if (gone_) return on_gone();
    if (!blocked && body_.owes_continue()) return on_readable();  // there is room for it now
    const bool reads = waiting_ == Waiting::head || waiting_ == Waiting::body || body_.waited_for();
    return connection_->transport().set_interest(reads, blocked);
  }
  begin_wait(&Limits::write_timeout, &Limits::write_rate);
}

// It is the client's turn, until the deadline: now, if it was too slow on the whole. Again after any
// progress.
void Exchange::begin_wait(Milliseconds Limits::*timeout, std::uint32_t Limits::*rate) noexcept {
  const Limits& limits = server_->limits();
  const TimePoint now = server_->loop().now();
  connection_->pace().begin_wait(now);
  const bool slow = connection_->pace().too_slow(now, limits.*timeout, limits.*rate);
  connection_->set_deadline(slow ? Milliseconds{} : limits.*timeout);
}

bool Exchange::too_slow(Milliseconds grace) const noexcept {
  const Limits& limits = server_->limits();
  const auto slower_than = [&](std::uint32_t rate) {
    return connection_->pace().too_slow(server_->loop().now(), grace, rate);
  };
  switch (waiting_) {
    case Waiting::head:
    case Waiting::body: return slower_than(limits.body_rate);
    case Waiting::handler: return body_.waited_for() && slower_than(limits.body_rate);
    case Waiting::flush:
    case Waiting::tail: return slower_than(limits.write_rate);
    default: return false;
  }
}

void Exchange::on_gone() noexcept {
  lose_client();
  error_ = Error::closed;
  if (waiting_ == Waiting::handler) {
    // A handler that waits for the client's bytes is told; any other wait is ended.
    if (!body_.interrupt(Error::closed)) {
      return handler_strand_.stop({.cause = Stop::Cause::canceled, .status = 0, .reason = {}});
    }
    return connection_->set_deadline(server_->limits().linger_timeout);
  }
  wake(waiting_);
}

void Exchange::on_deadline() noexcept {
  server_->count_timeout();
  switch (waiting_) {
    case Waiting::head:
    case Waiting::body: error_ = Error::timeout; return wake(waiting_);
    case Waiting::handler:
      if (body_.interrupt(Error::timeout)) return limit_handler();
      return handler_strand_.stop(
          {.cause = Stop::Cause::abort, .status = 503, .reason = "handler timed out"});
    case Waiting::flush:
    case Waiting::tail: lose_client(); return wake(waiting_);
    case Waiting::connection:
    case Waiting::nothing: return;
  }
}

void Exchange::on_finished(Strand& strand) noexcept {
  if (&strand == &handler_strand_) wake(Waiting::handler);
}

void Exchange::on_stopped(Strand& strand) noexcept {
  if (&strand != &handler_strand_) return;
  body_.forget_waiter();
  wake(Waiting::handler);
}

std::uint32_t Exchange::task_limit() const noexcept { return server_->limits().background_tasks; }

// Reading

Error Exchange::put_continue() noexcept {
  if (out_room().size() < kContinue.size()) {
    const Error error = try_flush();
    if (error == Error::would_block) connection_->transport().set_interest(true, true);
    if (error != Error::none) return error;
  }
  put(kContinue);
  body_.continue_sent();
  return Error::none;
}

MICRODOT_STEP Result<std::size_t> Exchange::read_transport(std::span<char> room) noexcept {
  if (gone_) return Error::closed;
  if (body_.owes_continue()) {
    if (const Error error = put_continue(); error != Error::none) return error;
  }
  // What the client waits for before it sends more must not wait here.
  if (out_size_ != out_sent_) {
    const Error error = try_flush();
    if (error != Error::none && error != Error::would_block) return error;
    if (error == Error::would_block) connection_->transport().set_interest(true, true);
  }
  Result<std::size_t> size = connection_->transport().read(room);
  if (size) {
    connection_->pace().move(*size);
    server_->count_in(*size);
  }
  return size;
}

void Exchange::want_body() noexcept { start_reading(&Limits::body_timeout); }

Error Exchange::try_head() noexcept {
  for (;;) {
    const ParseStatus status = parser_.parse({in_.data() + start_, filled_ - start_});
    if (status == ParseStatus::complete) {
      consumed_ = start_ + static_cast<std::uint32_t>(parser_.head_bytes());
      // Several requests may lie where bodies are read to. One that has a body must not.
      if (parser_.has_body() && consumed_ > server_->limits().head_bytes) {
        move_to_front();
        continue;
      }
      return error_ = Error::none;
    }
    if (status == ParseStatus::error) return error_ = Error::invalid;
    // A pipelined head that lies across the buffer's end.
    if (start_ != 0 && filled_ == in_.size()) move_to_front();
    // One read for each time the client's bytes were announced: a client that never stops sending leaves the
    // loop to others in between.
    if (!std::exchange(may_read_, false)) return error_ = flush_before_waiting();
    const Result<std::size_t> size = read_transport(in_.subspan(filled_));
    if (!size) return error_ = size.error();
    if (*size == 0) return error_ = Error::closed;
    filled_ += static_cast<std::uint32_t>(*size);
  }
}

// The request in hand; what the parser knows of it follows when it parses again.
void Exchange::move_to_front() noexcept {
  std::memmove(in_.data(), in_.data() + start_, filled_ - start_);
  filled_ -= start_;
  start_ = consumed_ = 0;
}

Error Exchange::flush_before_waiting() noexcept {
  if (gone_) return Error::closed;
  if (out_size_ != out_sent_) {
    const Error error = try_flush();
    if (error != Error::none && error != Error::would_block) return error;
  }
  return Error::would_block;
}

Error Exchange::try_body() noexcept { return error_ = body_.collect(); }

void Exchange::start_reading(Milliseconds Limits::*timeout) noexcept {
  connection_->transport().set_interest(true, out_size_ != out_sent_);
  begin_wait(timeout, &Limits::body_rate);
}

void Exchange::refuse_head(Error error) noexcept {
  keep_alive_ = false;
  int status = 0;
  if (error == Error::invalid) {
    status = parser_.error_status();
  } else if (error == Error::timeout && filled_ > start_) {
    status = 408;
  } else {
    // Closed, or idle for too long: nobody waits for an answer.
    if (error == Error::closed) linger_ = false;
    if (error != Error::closed && error != Error::timeout) lose_client();
    return;
  }
  char text[128];
  ResponseHead head(text);
  head.status(status).raw("Content-Length: 0\r\nConnection: close\r\n");
  const Result<std::string_view> answer = head.finish();
  if (!answer || answer->size() > out_room().size()) return lose_client();
  connection_->pace().restart();  // how slowly the head came says nothing about how the answer is taken
  put(*answer);
  server_->count_answer(status);
  server_->log(*this, status);
}

// Request → response

MICRODOT_STEP void Exchange::begin_request() noexcept {
  const Limits& limits = server_->limits();
  began_ = server_->loop().now();
  connection_->pace().restart();
  connection_->pace().move(buffered().size());  // of the body, if that is not all here
  request_.emplace(server_->app(), parser_, &body_, arena_, connection_->transport().peer());
  dispatch_.emplace(server_->app(), *request_, parser_.method());
  refusal_ = request_->take_failure();
  body_.begin(parser_, limits.max_content_length, limits.max_body_length);
  keep_alive_ = parser_.keep_alive();
  body_bytes_ = 0;
  sending_ = Sending::nothing;
  chunked_ = false;
  if (parser_.content_length().value_or(0) > limits.max_content_length) refusal_ = 413;
  if (parser_.method() == Method::connect) refusal_ = 501;  // no proxy
  if (refusal_ != 0) body_.give_up();
}

void Exchange::refuse_body(Error error) noexcept {
  if (error == Error::closed && gone_) return;
  refusal_ = error == Error::timeout ? 408 : body_.error_status() != 0 ? body_.error_status() : 400;
  // A client that ended its side in the middle of the body is still told.
  body_.give_up();
}

MICRODOT_STEP void Exchange::find_route() noexcept {
  connection_->clear_deadline();
  if (refusal_ != 0) {
    dispatch_->refuse(refusal_);
  } else {
    dispatch_->route();
  }
  served_method_ = parser_.method();
  served_route_ = dispatch_->route_entry();
}

void Exchange::describe(TextBuilder& text) const noexcept {
  text.append(to_string(served_method_)).append(' ');
  if (served_route_ == nullptr) {
    text.append("(no route)");
    return;
  }
  // Asked for seldom, so each request keeps no more than its route, which lasts.
  bool found = false;
  server_->app().for_each_route([&](const RouteStats& route) {
    if (found || route.pattern.data() != served_route_->pattern.data()) return;
    found = true;
    for (const std::string_view prefix : route.prefixes) text.append(prefix);
    text.append(route.pattern);
    if (route.directory) text.append("/*");
  });
}

void Exchange::start_handler(std::coroutine_handle<> task) noexcept {
  limit_handler();
  // Earlier answers go out as soon as this one takes longer than the loop's turn.
  if (out_size_ != out_sent_) connection_->transport().set_interest(false, true);
  handler_strand_.start(server_->loop(), task);
}

MICRODOT_STEP bool Exchange::run_handler(std::coroutine_handle<> task) noexcept {
  return handler_strand_.run_inside(server_->loop(), task);
}

void Exchange::wait_for_handler() noexcept {
  if (!body_.waited_for()) limit_handler();
  if (out_size_ != out_sent_) connection_->transport().set_interest(body_.waited_for(), true);
}

void Exchange::limit_handler() noexcept {
  const Milliseconds timeout = server_->limits().handler_timeout;
  if (timeout.count > 0) {
    connection_->set_deadline(timeout);
  } else {
    connection_->clear_deadline();
  }
}

// Answers don't wait for what comes next.
void Exchange::send_early() noexcept {
  if (out_size_ == out_sent_) return;
  if (try_flush() == Error::would_block) connection_->transport().set_interest(false, true);
}

MICRODOT_STEP bool Exchange::finish_call() noexcept {
  if (!handler_stopped()) return dispatch_->finish();
  // One that was stopped at once, by another strand of its own, may have waited for the client.
  body_.forget_waiter();
  connection_->clear_deadline();
  dispatch_->stopped(handler_strand_.stop_reason());
  return true;
}

MICRODOT_STEP bool Exchange::begins_stream() noexcept {
  const Response& response = dispatch_->response();
  piece_ready_ = response.body_kind() == Response::BodyKind::generator && !gone_ &&
                 parser_.method() != Method::head && !has_no_content(response.status_code);
  return piece_ready_;
}

MICRODOT_STEP bool Exchange::stream_failed() noexcept {
  if (!piece_ready_ || gone_) return false;
  connection_->clear_deadline();
  if (handler_stopped()) {
    body_.forget_waiter();
    dispatch_->stream_stopped(handler_strand_.stop_reason());
    return true;
  }
  if (const int status = request_->take_failure(); status != 0) {
    dispatch_->refuse(status);
    return true;
  }
#if MICRODOT_EXCEPTIONS
  const auto generator = dispatch_->response().generator();
  if (generator.done() && generator.promise().exception()) {
    dispatch_->stream_threw(generator.promise().exception());
    return true;
  }
#endif
  return false;
}

// The end

MICRODOT_STEP bool Exchange::end_request() noexcept {
  connection_->clear_deadline();
  connection_->pace().restart();
  if (++turn_ == 0) turn_ = static_cast<std::uint16_t>(-kRequestsAtOnce);
  server_->count_answer(dispatch_->response().status_code, server_->loop().now() - began_);
  server_->log(*this, 0);
  const std::string_view leftover = body_.leftover();
  const bool more = keep_alive_ && (consumed_ != filled_ || !leftover.empty());
  // Whose time it was must be clear before the next one's begins.
  const bool over = more && (server_->loop().end_run(this) || turn_ % kRequestsAtOnce == 0);
  drop_request();
  if (!leftover.empty()) {
    // The next request's first bytes came with the end of a chunked body.
    std::memmove(in_.data(), leftover.data(), leftover.size());
    filled_ = static_cast<std::uint32_t>(leftover.size());
    consumed_ = 0;
  }
  if (consumed_ == filled_) consumed_ = filled_ = 0;
  start_ = consumed_;
  parser_.reset();
  return over;
}

inline void Exchange::drop_request() noexcept {
  dispatch_.reset();
  request_.reset();
  body_.give_up();  // a later request owes nothing for this one
  arena_.reset();
}

void Exchange::release() noexcept {
  drop_request();
  Connection& connection = *std::exchange(connection_, nullptr);
  LiveStream* const stream = std::exchange(stream_, nullptr);
  if (stream != nullptr && !gone_) {
    stream->begin(connection, {in_.data() + consumed_, filled_ - consumed_});
    return server_->free_exchange(*this);
  }
  if (stream != nullptr) stream->stop();
  if (gone_) {
    connection.close(true);
  } else if (!connection.tail().empty() || connection.tail().has_file()) {  // or it has not arrived yet
    connection.go_tail(keep_alive_, linger_);
  } else if (keep_alive_) {
    connection.go_idle();
  } else if (linger_) {
    connection.close_gracefully();
  } else {
    connection.close(false);
  }
  server_->free_exchange(*this);
}

void log_outcome(Exchange& exchange, int refused) noexcept {
  FixedText<256> line;
  if (refused != 0) {
    line.append("bad request: ");
    line.append(refused == 408 ? "timed out" : exchange.parser_.error_reason());
    line.append(" (").append(refused).append(")");
  } else {
    const Request& request = *exchange.request_;
    char address[Endpoint::kMaxText];
    // What the client chose is cut, so that the outcome has room.
    line.append(request.client_addr.format_address(address)).append(" ");
    line.append(request.method.substr(0, 16)).append(" ");
    line.append(request.url.substr(0, 128)).append(request.url.size() > 128 ? "... " : " ");
    line.append(exchange.dispatch_->response().status_code).append(" ").append(exchange.body_bytes_);
  }
  exchange.server_->loop().port().log().write(LogLevel::info, line.view());
}

}  // namespace microdot::inline MICRODOT_ABI::detail
