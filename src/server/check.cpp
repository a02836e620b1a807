/// What is true of a server between two turns of its loop, whatever clients, network and handlers do.

#include "exchange.hpp"
#include "server.hpp"

namespace microdot::inline MICRODOT_ABI::detail {

const char* Connection::check() const noexcept {
  const bool timed = armed() && deadline_ != TimePoint::max() && Timer::deadline() <= deadline_;
  switch (state_) {
    case State::free:
      if (exchange_ != nullptr || armed() || !tail_.empty() || tail_.has_file())
        return "a free connection holds something";
      return nullptr;
    case State::idle:
    case State::queued:
    case State::tail:
    case State::draining:
      if (exchange_ != nullptr) return "a connection without a request in flight has an exchange";
      if (!timed) return "a connection waits without a deadline";
      return nullptr;
    case State::streaming:
      if (stream_ == nullptr) return "a connection has lost its stream";
      if (deadline_ != TimePoint::max() && !timed) return "a deadline has no timer";
      return stream_->check();
    case State::active:
      if (exchange_ == nullptr || !exchange_->busy()) return "an active connection has no exchange";
      if (deadline_ != TimePoint::max() && !timed) return "a deadline has no timer";
      return nullptr;
    case State::closing:
      if (armed()) return "a closed connection still waits for something";
      return nullptr;
  }
  return "a connection has no state";
}

const char* Exchange::check() const noexcept {
  if (start_ > consumed_ || consumed_ > filled_ || filled_ > in_.size() || out_sent_ > out_size_ ||
      out_size_ > out_.size())
    return "an exchange's buffers are out of bounds";
  if (connection_ == nullptr) {
    if (waiting_ != Waiting::connection) return "a free exchange does not wait for a connection";
    if (request_ || dispatch_ || arena_.used() != 0) return "a free exchange holds a request";
    return nullptr;
  }
  if (connection_->exchange() != this || connection_->state() != Connection::State::active)
    return "an exchange and its connection do not agree";
  const bool reads_body = waiting_ == Waiting::body || body_.waited_for();
  if (reads_body && start_ + parser_.head_bytes() > server_->limits().head_bytes)
    return "a head lies where its body is read to";
  const bool timed = connection_->deadline() != TimePoint::max();
  switch (waiting_) {
    case Waiting::nothing: return strand_.linked() ? nullptr : "an exchange waits for nothing";
    case Waiting::connection: return "a busy exchange waits for a connection";
    case Waiting::handler:
      if (!timed && server_->limits().handler_timeout != Milliseconds{}) return "a handler has no deadline";
      return nullptr;
    case Waiting::head:
    case Waiting::body:
    case Waiting::flush:
    case Waiting::tail: return timed ? nullptr : "a client is waited for without a deadline";
  }
  return "an exchange waits for something unknown";
}

const char* Server::check() noexcept {
  using State = Connection::State;
  if (!running_) return open_ == 0 ? nullptr : "a server that has ended has connections";

  const char* wrong = nullptr;
  std::size_t listed = 0;
  const auto count = [&](List<Connection>& list, State state) {
    std::size_t size = 0;
    list.for_each([&](const Connection& item) {
      ++size;
      if (item.state() != state) wrong = "a connection stands in the wrong list";
    });
    listed += size;
    return size;
  };
  const std::size_t free_connections = count(free_, State::free);
  const std::size_t queued = count(queue_, State::queued);
  const std::size_t idle = count(idle_, State::idle) + count(fresh_, State::idle);
  const std::size_t draining = count(draining_, State::draining);
  count(sending_, State::tail);
  std::size_t unlisted = 0;
  std::size_t active = 0;
  std::size_t closing = 0;
  const std::size_t slots = connection_slots(limits());
  const std::size_t made = connections_made_;
  if (made > slots || exchanges_made_ > limits().exchanges || streams_made_ > limits().streams)
    return "more has been made than there is room for";
  for (std::size_t i = 0; i < made; ++i) {
    const Connection& item = connection(i);
    if (const char* found = item.check()) wrong = found;
    if (item.state() == State::active) ++active;
    if (item.state() == State::closing) ++closing;
    if (!item.linked()) ++unlisted;
  }
  if (wrong != nullptr) return wrong;
  if (listed + unlisted != made) return "a connection stands in no list of the server";
  if (open_ + free_connections != made) return "the open connections are miscounted";
  if (queued_ != queued) return "the queue is miscounted";
  if (idling_ != idle) return "the idle connections are miscounted";
  if (open_ > usable_ + (slots - limits().connections))
    return "more connections are open than the system allows";

  std::size_t free_exchanges = 0;
  free_exchanges_.for_each([&](const Exchange& item) {
    ++free_exchanges;
    if (item.busy()) wrong = "a busy exchange stands among the free ones";
  });
  std::size_t busy = 0;
  for (std::size_t i = 0; i < exchanges_made_; ++i) {
    if (const char* found = exchange(i).check()) wrong = found;
    if (exchange(i).busy()) ++busy;
  }
  std::size_t free_streams = 0;
  free_streams_.for_each([&](const StreamSlot& item) {
    ++free_streams;
    if (item.stream != nullptr || item.arena.used() != 0) wrong = "a free stream slot holds something";
  });
  if (live_ + free_streams != streams_made_) wrong = "the live streams are miscounted";
  if (wrong != nullptr) return wrong;
  if (busy + free_exchanges != exchanges_made_) return "an exchange is lost";
  if (busy_ != busy) return "the busy exchanges are miscounted";
  if (busy != active) return "an exchange has no connection, or a connection no exchange";
  if (queued != 0 && busy != limits().exchanges) {
    queue_.for_each([&](const Connection& item) {
      if (may_have_another(item.transport().peer()))
        wrong = "somebody waits for an exchange while one is free";
    });
    if (wrong != nullptr) return wrong;
  }
  if (queued > limits().queue_length) return "the queue is too long";
  if ((queued != 0 || tiers_.tier() != Tier::normal) && !review_.armed())
    return "nobody looks after those who wait";

  TimePoint before = TimePoint::min();
  queue_.for_each([&](const Connection& item) {
    if (item.deadline() < before) wrong = "the queue is out of order";
    before = item.deadline();
  });
  if (wrong != nullptr) return wrong;

  if (to_end_ && !armed()) return "nothing ends a server that is to end";
  if (shutting_down_) {
    if (listening_.port() != 0 || idle != 0) return "a server that shuts down keeps idle connections";
    if (open_ == 0 && !ended_.is_set() && !app_->has_workers()) return "a shutdown does not end";
    return nullptr;
  }
  if (listening_.port() == 0) return "nobody listens";
  if (!listening_.tries_again()) return "accepting is paused for ever";
  // Who was just answered makes room a little later, where newcomers can wait.
  const bool looks_soon = limits().when_full == WhenFull::wait && review_.armed() &&
                          review_.deadline() <= loop_->now() + kReviewInterval;
  // What is closing wakes the listener when it is closed.
  if (listening_.blocked() && closing == 0 &&
      ((!idle_.empty() && !looks_soon) || draining != 0 || open_ < usable_))
    return "nobody is accepted though a connection could be had";
  return nullptr;
}

}  // namespace microdot::inline MICRODOT_ABI::detail
