/// A live stream: how it begins, what its connection tells it, how messages leave, and how it ends.

#include <microdot/stream.hpp>

#include <algorithm>
#include <cstring>

#include <microdot/base/text.hpp>

#include "exchange.hpp"
#include "server.hpp"

namespace microdot::inline MICRODOT_ABI {

using detail::Connection;
using detail::Server;

namespace {

constexpr std::uint32_t kBurstBytes = 256 * 1024;
// What a message counts that nobody gets any more.
constexpr std::uint32_t kClosedBytes = 4096;

}  // namespace

// How it begins

namespace detail {

static_assert(sizeof(StreamSlot) <= kStreamBytes);

int StreamStart::open(Exchange& exchange) noexcept {
  Server& server = *exchange.server_;
  const auto refuse = [&](StreamSlot* slot, std::string_view reason) {
    FixedText<160> line;
    line.append(exchange.request_->path).append(": ").append(reason);
    server.loop().port().log().write(LogLevel::error, line.view());
    if (slot != nullptr && slot->stream != nullptr) {
      slot->stream->stop();
    } else if (slot != nullptr) {
      server.free_stream(*slot);
    }
    return 503;
  };
  constexpr std::string_view kTooSmall = "out of memory: see Limits::stream_bytes";
  if (server.limits().streams == 0) return refuse(nullptr, "no streams: see Limits::streams");
  StreamSlot* const slot = server.take_stream(exchange.connection_->transport().peer());
  if (slot == nullptr) return 503;
  Arena& arena = slot->arena;
  const ArenaScope scope(arena);
  Stream* const stream = make(server, *slot);
  if (stream == nullptr) return refuse(slot, kTooSmall);
  slot->stream = stream;

  // The head's copy, and its fields; all views follow.
  const std::string_view head = exchange.head_text();
  const std::size_t count = exchange.parser_.headers().size();
  const std::string_view copy = arena.copy(head);
  void* const fields = arena.allocate(count * sizeof(HeaderField) + 1);
  auto* const queue = static_cast<char*>(arena.allocate(stream->queue_.size()));
  if (copy.data() == nullptr || fields == nullptr || queue == nullptr) return refuse(slot, kTooSmall);
  stream->queue_ = {queue, stream->queue_.size()};
  stream->parser_ = exchange.parser_;
  stream->parser_.move_to({static_cast<HeaderField*>(fields), count}, copy.data());
  Request& before = *exchange.request_;
  Request& request =
      stream->request_.emplace(before.app, stream->parser_, nullptr, arena, before.client_addr);
  request.scheme = before.scheme;
  request.url_prefix = before.url_prefix;
  request.route = before.route;
  const auto prepare = [&] {
    const ArenaScope answer_scope(exchange.arena_);
    return stream->prepare(exchange.dispatch_->response());
  };
  if (request.take_failure() != 0 || !prepare()) return refuse(slot, kTooSmall);
  if (!before.move_objects(request))
    return refuse(slot, "an object of the request can't be moved, or has no room: see Limits::stream_bytes");
#if MICRODOT_EXCEPTIONS
  try {
    stream->task_ = call(*stream, request);
  } catch (...) {
    return refuse(slot, current_exception_text());
  }
#else
  stream->task_ = call(*stream, request);
#endif
  if (!stream->task_.valid()) return refuse(slot, kTooSmall);
  stream->held_ = exchange.dispatch_->hand_over_count();
  exchange.stream_ = stream;
  return 0;
}

}  // namespace detail

Stream::Stream(Server& server, detail::StreamSlot& slot, const StreamOptions& options) noexcept
    : server_(&server), slot_(&slot), options_(options), handler_(*this, slot.arena) {
  const std::uint32_t size =
      options.queue_bytes != 0 ? options.queue_bytes : server.limits().stream_bytes / 4;
  queue_ = {static_cast<char*>(nullptr), size};
}

void Stream::begin(Connection& connection, std::string_view rest) noexcept {
  connection_ = &connection;
  connection.set_stream(this);
  connection.clear_deadline();
  connection.transport().set_interest(true, false);
  state_ = State::open;
  sent_at_ = now();
  if (options_.keep_alive != Milliseconds{}) quiet_at_ = now() + Duration(options_.keep_alive);
  handler_.start(server_->loop(), task_.handle());
  on_begin(rest);
  if (server_->shutting_down()) end_handler(End::shutdown);
  schedule();
}

const Limits& Stream::limits() const noexcept { return server_->limits(); }
TimePoint Stream::now() const noexcept { return server_->loop().now(); }
std::span<std::byte> Stream::take_compression() noexcept { return server_->take_compression(); }
void Stream::free_compression(std::byte* memory) noexcept { server_->free_compression(memory); }
void Stream::count_message_in() noexcept { server_->count_message_in(); }
void Stream::count_timeout() noexcept { server_->count_timeout(); }
void Stream::describe(TextBuilder& text) const noexcept {
  if (!request_) return;
  text.append(request_->method).append(' ').append(request_->url_prefix).append(request_->route);
}

std::uint32_t Stream::task_limit() const noexcept { return server_->limits().background_tasks; }

// What its connection tells it. Once the handler has run the stream may be gone.

void Stream::on_readable() noexcept {
  if (!reading_) return connection_->transport().set_interest(false, writing_);
  woken_ = nullptr;
  on_input();
  if (state_ == State::flushing) return wind_up();
  schedule();
  if (woken_ == nullptr) return;
  const Connection& connection = *connection_;
  in_turn_ = true;
  woken_->run_now();
  if (connection.stream() != this) return;
  in_turn_ = false;
  if (sent_ != queued_end_) flush();
}

void Stream::on_writable() noexcept {
  woken_ = nullptr;
  blocked_ = false;
  pump();
  if (state_ == State::flushing) return wind_up();
  schedule();
}

void Stream::on_gone() noexcept {
  lose();
  if (state_ == State::flushing) return wind_up();
  schedule();
}

void Stream::on_deadline() noexcept {
  const TimePoint time = now();
  if (time >= stuck_at_) {
    count_timeout();
    lose();
  } else if (time >= quiet_at_) {
    quiet_at_ = state_ == State::open ? time + on_quiet() : TimePoint::max();
  }
  if (state_ == State::flushing) return wind_up();
  if (time >= end_at_) {
    end_at_ = TimePoint::max();
    handler_.stop({.cause = Stop::Cause::canceled, .status = 0, .reason = {}});
  }
  schedule();
}

void Stream::schedule() noexcept {
  if (connection_ == nullptr) return;
  const TimePoint next = std::min({quiet_at_, stuck_at_, end_at_});
  if (next == TimePoint::max()) {
    connection_->clear_deadline();
  } else if (next != connection_->deadline()) {
    connection_->set_deadline(next - now());
  }
}

// Reading

Result<std::size_t> Stream::read(std::span<char> room) noexcept {
  if (gone_) return Error::closed;
  Result<std::size_t> size = connection_->transport().read(room);
  if (size) server_->count_in(*size);
  return size;
}

void Stream::on_input() noexcept {
  char bytes[256];
  const Result<std::size_t> size = read(bytes);
  if (size && *size == 0) set_reading(false);
  if (!size && size.error() != Error::would_block) lose();
}

void Stream::set_reading(bool wanted) noexcept {
  if (reading_ == wanted) return;
  reading_ = wanted;
  if (!gone_) connection_->transport().set_interest(reading_, writing_);
}

void Stream::wait_for_input(std::coroutine_handle<> handle) noexcept {
  reader_ = &Strand::running();
  reader_->park(handle);
}

void Stream::wake_reader() noexcept {
  if (reader_ == nullptr) return;
  woken_ = std::exchange(reader_, nullptr);
  woken_->wake();
}

// Writing: messages go through the queue, and to the transport as soon as it takes them

bool StreamSend::await_ready() noexcept { return error_ != Error::none || stream_->begin_send(*this); }

void StreamSend::await_suspend(std::coroutine_handle<> handle) noexcept {
  Strand& strand = Strand::running();
  strand.park(handle);
  if (taken_) return strand.wake();
  strand_ = &strand;
  stream_->senders_.push_back(*this);
}

// The client has got a part of the message: nothing can follow it.
void StreamSend::stop_waiting() noexcept {
  if (done_ != 0 && linked()) stream_->lose();
}

bool Stream::begin_send(StreamSend& send) noexcept {
  if (state_ != State::open) {
    send.error_ = Error::closed;
    return may_go_on(send, kClosedBytes);
  }
  const bool alone = senders_.empty();
  const std::size_t size = send.render(0, {});
  if (size > queue_.size()) return alone && send_pieces(send) && may_go_on(send, size);
  if (alone && (has_room(size) || make_room(size))) {
    send.render(0, queue_.subspan(queued_end_));
    queued_end_ += static_cast<std::uint32_t>(size);
    server_->count_message_out();
    if (!expects_more()) {
      flush();
    } else if (!writing_ && !in_turn_) {
      writing_ = true;
      connection_->transport().set_interest(reading_, true);
    }
    if (gone_) send.error_ = Error::closed;
    return may_go_on(send, size);
  }
  switch (options_.when_slow) {
    case WhenSlow::wait: return false;
    case WhenSlow::drop_oldest:
      ++dropped_;
      server_->count_message_dropped();
      return may_go_on(send, size);
    case WhenSlow::close:
      server_->count_slow_stream();
      lose();
      send.error_ = Error::closed;
      return true;
  }
  return true;
}

// To a client that takes everything at once, or nothing any more, a handler could send for ever: it leaves
// the loop to others in between.
bool Stream::may_go_on(StreamSend& send, std::size_t size) noexcept {
  burst_ += static_cast<std::uint32_t>(size);
  if (burst_ < kBurstBytes) return true;
  burst_ = 0;
  send.taken_ = true;
  return false;
}

// A message that is larger than the queue. True when all of it is there, or nobody takes it any more.
bool Stream::send_pieces(StreamSend& send) noexcept {
  for (;;) {
    if (gone_) {
      send.error_ = Error::closed;
      return true;
    }
    if (!has_room(1)) make_room(1);
    const std::span<char> room = queue_.subspan(queued_end_);
    if (room.empty()) return false;
    const std::size_t size = send.render(send.done_, room);
    const std::size_t piece = std::min(room.size(), size - send.done_);
    send.done_ += piece;
    queued_end_ += static_cast<std::uint32_t>(piece);
    kept_ = queued_end_ - sent_;
    flush();
    if (send.done_ == size) {
      server_->count_message_out();
      return true;
    }
  }
}

// Makes room at the queue's end, if that can be.
bool Stream::make_room(std::size_t size) noexcept {
  flush();
  if (has_room(size)) return true;
  // Not before the transport has let go of what was sent.
  if (!gone_ && sent_ != 0 && connection_->transport().drained()) {
    std::memmove(queue_.data(), queue_.data() + sent_, queued_end_ - sent_);
    queued_end_ -= sent_;
    sent_ = 0;
    if (has_room(size)) return true;
  }
  return options_.when_slow == WhenSlow::drop_oldest && drop_oldest(size);
}

// Drops messages of which nothing was sent, the oldest first.
bool Stream::drop_oldest(std::size_t size) noexcept {
  const auto message_at = [&](std::size_t at) {
    return first_message({queue_.data() + at, queued_end_ - at});
  };
  const std::size_t needed = size - (queue_.size() - queued_end_);
  std::size_t found = 0;
  for (std::size_t at = sent_ + kept_; at < queued_end_ && found < needed;) {
    const Queued message = message_at(at);
    if (message.droppable) found += message.size;
    at += message.size;
  }
  if (found < needed) return false;  // then none of them need go
  char* const queue = queue_.data();
  std::size_t from = sent_ + kept_;
  std::size_t to = from;
  for (std::size_t dropped = 0; dropped < needed;) {
    const Queued message = message_at(from);
    if (message.droppable) {
      dropped += message.size;
      ++dropped_;
      server_->count_message_dropped();
    } else {
      std::memmove(queue + to, queue + from, message.size);
      to += message.size;
    }
    from += message.size;
  }
  std::memmove(queue + to, queue + from, queued_end_ - from);
  queued_end_ -= static_cast<std::uint32_t>(from - to);
  return true;
}

bool Stream::append(std::string_view bytes) noexcept {
  if (gone_ || (!senders_.empty() && senders_.front().done_ != 0)) return false;
  if (!has_room(bytes.size()) && !make_room(bytes.size())) return false;
  std::memcpy(queue_.data() + queued_end_, bytes.data(), bytes.size());
  queued_end_ += static_cast<std::uint32_t>(bytes.size());
  return true;
}

void Stream::note_sent(std::size_t size) noexcept {
  server_->count_out(size);
  sent_at_ = now();
  // Which messages are whole is asked only where some may be dropped.
  if (options_.when_slow == WhenSlow::drop_oldest) {
    std::size_t left = size;
    std::size_t at = sent_;
    while (left != 0) {
      if (kept_ == 0) kept_ = first_message({queue_.data() + at, queued_end_ - at}).size;
      const std::size_t part = std::min(left, kept_);
      kept_ -= part;
      left -= part;
      at += part;
    }
  }
  sent_ += static_cast<std::uint32_t>(size);
}

void Stream::flush() noexcept {
  if (gone_ || blocked_) return;
  Transport& transport = connection_->transport();
  bool moved = false;
  while (sent_ != queued_end_) {
    const ConstBuffer piece{queue_.data() + sent_, queued_end_ - sent_};
    const Result<std::size_t> size = transport.write({&piece, 1}, false);
    if (!size) {
      if (size.error() != Error::would_block) return lose();
      blocked_ = true;
      break;
    }
    note_sent(*size);
    moved = true;
  }
  const bool drained = transport.drained();
  if (sent_ == queued_end_ && drained) sent_ = queued_end_ = 0;
  const bool pending = sent_ != queued_end_ || !drained;
  if (!pending) {
    stuck_at_ = TimePoint::max();
  } else if (moved || stuck_at_ == TimePoint::max()) {
    stuck_at_ = now() + Duration(limits().write_timeout);
  }
  // Left on until it tells for nothing: a queue that fills and empties all the time costs no calls for that.
  if (pending && !writing_) {
    writing_ = true;
    transport.set_interest(reading_, true);
  }
  if (stuck_at_ < connection_->deadline()) schedule();
}

// There may be room: what waits goes on.
void Stream::pump() noexcept {
  flush();
  if (gone_) return;
  while (!senders_.empty()) {
    StreamSend& send = senders_.front();
    const std::size_t size = send.render(0, {});
    if (size > queue_.size()) {
      if (!send_pieces(send)) break;
    } else {
      if (!has_room(size) && !make_room(size)) break;
      send.render(0, queue_.subspan(queued_end_));
      queued_end_ += static_cast<std::uint32_t>(size);
      server_->count_message_out();
      flush();
    }
    if (gone_) return;
    finish_send(send, send.error_);
  }
  on_room();
  flush();
  if (!gone_ && writing_ && sent_ == queued_end_ && connection_->transport().drained()) {
    writing_ = false;
    connection_->transport().set_interest(reading_, false);
  }
}

void Stream::finish_send(StreamSend& send, Error error) noexcept {
  send.unlink();
  send.error_ = error;
  std::exchange(send.strand_, nullptr)->wake();
}

// How it ends

void Stream::lose() noexcept {
  if (gone_) return;
  gone_ = true;
  stuck_at_ = TimePoint::max();
  if (connection_ != nullptr) connection_->transport().set_interest(false, false);
  end_handler(End::returned);
}

void Stream::end() noexcept { end_handler(End::returned); }

void Stream::end_soon() noexcept {
  end_at_ = now() + Duration(limits().linger_timeout);
  schedule();
}

void Stream::shutdown() noexcept {
  if (connection_ == nullptr || state_ == State::flushing) return;
  end_handler(End::shutdown);
  schedule();
}

void Stream::end_handler(End how) noexcept {
  const bool first = state_ == State::open;
  if (first) {
    state_ = State::ending;
    end_ = how;
    quiet_at_ = TimePoint::max();
  }
  // A message in the middle is sent to its end, as long as there is somebody who takes it.
  bool told = false;
  senders_.for_each([&](StreamSend& send) {
    told = true;
    if (gone_ || send.done_ == 0) finish_send(send, Error::closed);
  });
  if (reader_ != nullptr) {
    told = true;
    wake_reader();
  }
  if (!first) return;
  // If it is the handler that runs now, it learns of it by its next call.
  Strand* const running = Strand::current();
  if (told || (running != nullptr && &running->outermost() == &handler_) || expects_more()) {
    end_at_ = now() + Duration(limits().linger_timeout);
  } else {
    handler_.stop({.cause = Stop::Cause::canceled, .status = 0, .reason = {}});
  }
  schedule();
}

void Stream::on_finished(Strand&) noexcept {
#if MICRODOT_EXCEPTIONS
  if (task_.handle().promise().exception()) {
    end_ = End::failed;
    FixedText<256> line;
    line.append(request_->method).append(" ").append(request_->path).append(": ");
    try {
      std::rethrow_exception(task_.handle().promise().take_exception());
    } catch (const Abort& abort) {
      line.append("aborted with ").append(abort.status_code());
    } catch (...) {
      line.append(detail::current_exception_text());
    }
    server_->loop().port().log().write(LogLevel::error, line.view());
  }
#endif
  wind_up();
}

void Stream::on_stopped(Strand& strand) noexcept {
  const Stop& stop = strand.stop_reason();
  if (stop.cause != Stop::Cause::canceled) {
    end_ = End::failed;
    FixedText<256> line;
    line.append(request_->method).append(" ").append(request_->path).append(": ");
    if (stop.cause == Stop::Cause::no_memory) {
      line.append("out of memory: see Limits::stream_bytes");
    } else {
      line.append("aborted with ").append(stop.status).append(" ").append(stop.reason);
    }
    server_->loop().port().log().write(LogLevel::error, line.view());
  }
  wind_up();
}

// The handler runs no more. What is left is sent, then the connection is closed and the slot free.
void Stream::wind_up() noexcept {
  if (state_ != State::flushing) {
    handler_.reset();
    task_.destroy();
    state_ = State::flushing;
    quiet_at_ = end_at_ = TimePoint::max();
    reader_ = nullptr;
    if (!gone_) on_end(end_);
    set_reading(false);
    flush();
  }
  if (gone_ || (sent_ == queued_end_ && !owes() && connection_->transport().drained())) return release();
  schedule();
}

void Stream::release() noexcept {
  Connection& connection = *connection_;
  const bool gone = gone_;
  free_slot();
  if (gone) {
    connection.close(true);
  } else {
    connection.close_gracefully();
  }
}

void Stream::stop() noexcept {
  handler_.reset();
  gone_ = true;  // what is destroyed with the frames must not speak to the client
  state_ = State::flushing;
  task_.destroy();
  free_slot();
}

void Stream::free_slot() noexcept {
  Server& server = *server_;
  detail::StreamSlot& slot = *slot_;
  if (connection_ != nullptr) connection_->set_stream(nullptr);
  if (held_ != nullptr) detail::count_down_together(*held_);
  destroy();
  server.free_stream(slot);
}

const char* Stream::check() const noexcept {
  if (sent_ > queued_end_ || queued_end_ > queue_.size()) return "a stream's queue is out of bounds";
  if (state_ == State::opening) return connection_ == nullptr ? nullptr : "a stream has begun too early";
  if (connection_ == nullptr || connection_->stream() != this)
    return "a stream and its connection do not agree";
  if (gone_ && state_ == State::open) return "a stream without a client is open";
  if (state_ == State::ending && end_at_ == TimePoint::max() &&
      handler_.stop_reason().cause == Stop::Cause::none)
    return "a stream that ends has no deadline";
  if (state_ == State::flushing && stuck_at_ == TimePoint::max())
    return "a stream's farewell has no deadline";
  return nullptr;
}

}  // namespace microdot::inline MICRODOT_ABI
