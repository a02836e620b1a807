/// How a request is served, from top to bottom: `Exchange::serve`. Above it, the connection that lends itself
/// to it.

#include "connection.hpp"

#include <algorithm>

#include <microdot/async/sleep.hpp>
#include <microdot/stream.hpp>

#include "exchange.hpp"
#include "serve_awaiters.hpp"
#include "server.hpp"

namespace microdot::inline MICRODOT_ABI::detail {

static_assert(sizeof(Connection) <= kConnectionBytes && kConnectionBytes % alignof(Connection) == 0);

namespace {

constexpr std::size_t kTailBytesAtOnce = 256 * 1024;

}  // namespace

// bytes → parser → request → route → hooks → handler → response → writer → bytes → keep-alive or close

Task<> Exchange::serve() {
  for (;;) {
    co_await NextConnection(*this);
    do {
      if (const Error error = co_await ReadHead(*this); error != Error::none) {
        co_await Flush(*this);
        refuse_head(error);
        break;
      }
      begin_request();
      if (body_.wanted_first()) {
        if (const Error error = co_await ReadBody(*this); error != Error::none) refuse_body(error);
      }
      find_route();
      do {
        while (!gone_ && dispatch_->call()) {
          if (dispatch_->pending()) {
            if (!run_handler(dispatch_->task())) co_await TaskEnd(*this);
            if (!finish_call()) continue;
          }
          dispatch_->take();
        }
        // The head leaves with a stream's first piece, so that one which fails before it is an error like any
        // other.
        if (begins_stream()) co_await NextPiece(*this);
      } while (stream_failed());
      if (gone_) break;

      while (!begin_response()) co_await Flush(*this);
      while (more_body()) {
        if (wants_piece()) {
          if (!std::exchange(piece_ready_, false)) co_await NextPiece(*this);
          dispatch_->response().append_piece(*this);
          // More may leave with it, but not wait for what takes its time.
          if (wants_piece() && ++pieces_ < kPiecesAtOnce && !server_->loop().run_is_long()) continue;
          pieces_ = 0;
        }
        co_await Flush(*this);
        if (tail_pending()) {
          if (leave_tail()) break;
          co_await SendTail(*this);
        }
      }
      if (!pending_.empty()) co_await Flush(*this);
      if (end_request()) {
        send_early();
        co_await yield();
      }
    } while (keep_alive_ && !gone_ && !buffered().empty());
    co_await Flush(*this);
    release();
  }
}

// Connection

void Connection::open() noexcept {
  used_ = false;
  set_idle();
  set_deadline(server_->limits().first_timeout);
  server_->now_idle(*this);
}

void Connection::close(bool abort) noexcept {
  if (state_ == State::free) return;
  if (state_ == State::queued) server_->leave_queue(*this);
  unlink();
  disarm();
  tail_.clear();
  exchange_ = nullptr;
  set_state(State::closing);
  if (transport().close(abort)) on_released();
}

void Connection::on_released() noexcept {
  state_ = State::free;
  server_->free_connection(*this);
}

void Connection::close_gracefully() noexcept {
  set_state(State::draining);
  exchange_ = nullptr;
  tail_.clear();
  pace_.restart();
  transport().shutdown_write();
  transport().set_interest(true, false);
  set_deadline(server_->limits().linger_timeout);
  server_->now_draining(*this);
}

void Connection::go_idle() noexcept {
  exchange_ = nullptr;
  if (server_->shutting_down()) return close_politely();
  used_ = true;
  set_idle();
  transport().set_interest(true, false);
  transport().set_idle();
  set_deadline(server_->limits().keep_alive_timeout);
  server_->now_idle(*this);
}

void Connection::go_tail(bool keep_alive, bool linger) noexcept {
  exchange_ = nullptr;
  then_ = keep_alive ? Then::idle : linger ? Then::close_gracefully : Then::close;
  state_ = State::tail;
  pace_.restart();
  continue_tail();
}

Error Connection::send_tail() noexcept {
  // A client that takes everything at once leaves the loop to others in between.
  std::size_t budget = kTailBytesAtOnce;
  while (!tail_.empty() && budget != 0) {
    const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(tail_.size(), budget));
    Result<std::size_t> sent = Error::unsupported;
    if (const std::string_view bytes = tail_.bytes(); !bytes.empty()) {
      const ConstBuffer piece{bytes.data(), most};
      sent = transport().write({&piece, 1}, false);
    } else {
      sent = transport().write_file(tail_.file(), tail_.offset(), most);
      // A file that has become shorter can't be answered as promised any more.
      if (sent && *sent == 0) return Error::closed;
    }
    if (!sent) return sent.error();
    tail_.remove_prefix(*sent);
    budget -= *sent;
    pace_.move(*sent);
    server_->count_out(*sent);
  }
  if (!tail_.empty()) return Error::would_block;
  return transport().drained() ? Error::none : Error::would_block;
}

void Connection::continue_tail() noexcept {
  switch (send_tail()) {
    case Error::none:
      tail_.clear();
      unlink();
      if (then_ == Then::idle) return go_idle();
      return then_ == Then::close_gracefully ? close_gracefully() : close(false);
    case Error::would_block: {
      const Limits& limits = server_->limits();
      const TimePoint now = server_->loop().now();
      pace_.begin_wait(now);
      if (pace_.too_slow(now, limits.write_timeout, limits.write_rate)) return give_up();
      transport().set_interest(false, true);
      server_->now_sending(*this);
      return set_deadline(limits.write_timeout);
    }
    default: return close(true);
  }
}

void Connection::drain() noexcept {
  char bytes[512];
  while (pace_.moved() < server_->limits().linger_bytes) {
    const Result<std::size_t> size = transport().read(bytes);
    if (!size && size.error() == Error::would_block) return;
    if (!size || *size == 0) return close(false);
    pace_.move(*size);
  }
  // Enough taken. The rest stays with TCP, and the client has until the deadline to read the answer.
  transport().set_interest(false, false);
}

void Connection::close_politely() noexcept {
  char bytes[512];
  for (pace_.restart(); pace_.moved() < server_->limits().linger_bytes;) {
    const Result<std::size_t> size = transport().read(bytes);
    if (!size || *size == 0) break;
    pace_.move(*size);
  }
  close(false);
}

void Connection::set_deadline(Duration from_now) noexcept {
  deadline_ = server_->loop().now() + from_now;
  if (!armed() || Timer::deadline() > deadline_) server_->loop().timers().arm(*this, deadline_);
}

void Connection::on_timer() noexcept {
  if (deadline_ == TimePoint::max()) return;
  if (server_->loop().now() < deadline_) return server_->loop().timers().arm(*this, deadline_);
  deadline_ = TimePoint::max();
  switch (state_) {
    case State::active: return exchange_->on_deadline();
    case State::streaming: return stream_->on_deadline();
    case State::queued: return server_->refuse_queued(*this);
    case State::idle:
    case State::draining: return close(false);
    case State::tail: return give_up();
    case State::free:
    case State::closing: return;
  }
}

void Connection::give_up() noexcept {
  server_->count_timeout();
  close(true);
}

void Connection::on_readable() noexcept {
  switch (state_) {
    case State::idle: return server_->want_exchange(*this);
    case State::active: return exchange_->on_readable();
    case State::streaming: return stream_->on_readable();
    case State::draining: return drain();
    case State::queued: return transport().set_interest(false, false);
    case State::tail: return transport().set_interest(false, true);
    case State::free:
    case State::closing: return;
  }
}

void Connection::on_writable() noexcept {
  if (state_ == State::active) return exchange_->on_writable();
  if (state_ == State::streaming) return stream_->on_writable();
  if (state_ == State::tail) return continue_tail();
}

void Connection::on_gone() noexcept {
  if (state_ == State::active) return exchange_->on_gone();
  if (state_ == State::streaming) return stream_->on_gone();
  // If both sides have ended it, the answer may still be on its way.
  close(state_ != State::draining);
}

}  // namespace microdot::inline MICRODOT_ABI::detail
