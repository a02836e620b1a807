#pragma once
/// What `Exchange::serve` awaits. Each tries first and suspends only if it has to wait; the exchange's events
/// try again and wake it.

#include "exchange.hpp"
#include "server.hpp"

namespace microdot::inline MICRODOT_ABI::detail {

/// Waits for a readable connection.
class Exchange::NextConnection {
 public:
  explicit NextConnection(Exchange& exchange) noexcept : exchange_(&exchange) {}
  bool await_ready() const noexcept { return exchange_->busy(); }
  void await_suspend(std::coroutine_handle<> handle) const noexcept {
    exchange_->wait(Waiting::connection, handle);
  }
  void await_resume() const noexcept {}

 private:
  Exchange* exchange_;
};

/// Reads and parses a request's head. `none`: it is complete; `invalid`: see the parser; `closed`; `timeout`.
class Exchange::ReadHead {
 public:
  explicit ReadHead(Exchange& exchange) noexcept : exchange_(&exchange) {}
  bool await_ready() const noexcept { return exchange_->try_head() != Error::would_block; }
  void await_suspend(std::coroutine_handle<> handle) const noexcept {
    exchange_->start_reading(&Limits::head_timeout);
    exchange_->wait(Waiting::head, handle);
  }
  Error await_resume() const noexcept { return exchange_->error_; }

 private:
  Exchange* exchange_;
};

/// Reads a body that the handler gets as a whole. `none`: it is there, or it is to be streamed.
class Exchange::ReadBody {
 public:
  explicit ReadBody(Exchange& exchange) noexcept : exchange_(&exchange) {}
  bool await_ready() const noexcept { return exchange_->try_body() != Error::would_block; }
  void await_suspend(std::coroutine_handle<> handle) const noexcept {
    exchange_->start_reading(&Limits::body_timeout);
    exchange_->wait(Waiting::body, handle);
  }
  Error await_resume() const noexcept { return exchange_->error_; }

 private:
  Exchange* exchange_;
};

/// A handler's or hook's coroutine, which has run on the handler's strand up to where it waits, ends or is
/// stopped. (At once, so that one which never waits costs little more than a function.)
class Exchange::TaskEnd {
 public:
  explicit TaskEnd(Exchange& exchange) noexcept : exchange_(&exchange) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const noexcept {
    exchange_->wait_for_handler();
    exchange_->wait(Waiting::handler, handle);
  }
  void await_resume() const noexcept { exchange_->connection_->clear_deadline(); }

 private:
  Exchange* exchange_;
};

/// Runs the response's generator on the handler's strand to its next value or its end. In a turn of its own
/// if nothing waits to be sent: a generator that never ends and a client that takes everything at once leave
/// the loop to others. Else at once, so that small pieces leave together; if it waits, what there is leaves.
class Exchange::NextPiece {
 public:
  explicit NextPiece(Exchange& exchange) noexcept : exchange_(&exchange) {}
  bool await_ready() const noexcept {
    return exchange_->out_size_ != 0 && exchange_->run_handler(exchange_->next_piece());
  }
  void await_suspend(std::coroutine_handle<> handle) const noexcept {
    if (exchange_->handler_strand_.is_idle()) {
      exchange_->start_handler(exchange_->next_piece());
    } else {
      exchange_->wait_for_handler();
    }
    exchange_->wait(Waiting::handler, handle);
  }
  void await_resume() const noexcept {}

 private:
  Exchange* exchange_;
};

/// Sends what has been written. Ends early when the client has gone (`gone_`).
class Exchange::Flush {
 public:
  explicit Flush(Exchange& exchange) noexcept : exchange_(&exchange) {}
  bool await_ready() const noexcept { return exchange_->try_flush() != Error::would_block; }
  void await_suspend(std::coroutine_handle<> handle) const noexcept {
    exchange_->start_writing();
    exchange_->wait(Waiting::flush, handle);
  }
  void await_resume() const noexcept {}

 private:
  Exchange* exchange_;
};

/// Sends a part of a file while the exchange stays with the connection.
class Exchange::SendTail {
 public:
  explicit SendTail(Exchange& exchange) noexcept : exchange_(&exchange) {}
  bool await_ready() const noexcept { return exchange_->try_tail() != Error::would_block; }
  void await_suspend(std::coroutine_handle<> handle) const noexcept {
    exchange_->start_writing();
    exchange_->wait(Waiting::tail, handle);
  }
  void await_resume() const noexcept {}

 private:
  Exchange* exchange_;
};

}  // namespace microdot::inline MICRODOT_ABI::detail
