#pragma once
/// An accepted socket: small, because there are many. Owns no buffers; while a request is in flight it has an
/// exchange.

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <string_view>
#include <utility>

#include <microdot/async/timer.hpp>
#include <microdot/base/list.hpp>
#include <microdot/port/network.hpp>

#include "pace.hpp"

namespace microdot::inline MICRODOT_ABI::detail {

class Exchange;
class LiveStream;
class Server;

/// What remains to be sent of a body when its exchange is needed no more: static bytes, or a part of a file.
class Tail {
 public:
  /// Nothing is left to send. A file may still be open.
  bool empty() const noexcept { return size_ == 0; }
  std::uint64_t size() const noexcept { return size_; }
  void set(std::string_view bytes) noexcept {
    file_.close();
    data_ = bytes.data();
    size_ = bytes.size();
  }
  void set(FileReader&& file, std::uint64_t offset, std::uint64_t size) noexcept {
    file_ = std::move(file);
    offset_ = offset;
    size_ = size;
  }
  /// Was sent.
  void remove_prefix(std::uint64_t size) noexcept {
    if (file_) {
      offset_ += size;
    } else {
      data_ += size;
    }
    size_ -= size;
  }
  MICRODOT_CALLED void clear() noexcept { set(std::string_view{}); }

  /// Where they lie in memory: static ones, or a file's (see `Files::data`). Empty if they don't.
  std::string_view bytes() const noexcept {
    if (!file_) return {data_, static_cast<std::size_t>(size_)};
    const std::span<const char> data = file_.data();
    if (data.empty()) return {};
    return {data.data() + offset_, static_cast<std::size_t>(size_)};
  }
  /// Its bytes have to be read, or sent by `Transport::write_file`.
  bool in_file() const noexcept { return size_ != 0 && bytes().empty(); }
  FileReader& file() noexcept { return file_; }
  bool has_file() const noexcept { return static_cast<bool>(file_); }
  std::uint64_t offset() const noexcept { return offset_; }

 private:
  FileReader file_;
  union {
    const char* data_ = nullptr;  // without a file
    std::uint64_t offset_;        // in it
  };
  std::uint64_t size_ = 0;
};

// The timer comes last: what is small lies in the room that it leaves at its end.
class Connection final : public TransportEvents, public ListHook, private Timer {
 public:
  enum class State : std::uint8_t {
    free,       // no socket
    idle,       // between requests
    queued,     // readable, waits for an exchange
    active,     // has an exchange
    tail,       // sends the rest of a body without one
    streaming,  // belongs to a live stream
    draining,   // answered for the last time; takes what the client still sends, so that no reset eats the
                // answer
    closing,    // closed; the port still holds the storage
  };

  explicit Connection(Server& server) noexcept : server_(&server) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Where `Listener::accept` builds the transport, at the beginning.
  void* storage() noexcept { return storage_; }
  /// Starts with an accepted socket, whose transport is in `storage`.
  void open() noexcept;
  /// Ends it now, in order or with a reset. A reset also ends the wait for a port that still holds bytes.
  void close(bool abort) noexcept;
  /// Ends it in order: says so to the client, takes what it still sends for a while, then closes.
  void close_gracefully() noexcept;
  /// Ends it in order now. What the client has sent by now is taken, so that no reset eats the last answer.
  void close_politely() noexcept;

  State state() const noexcept { return state_; }
  bool is_open() const noexcept { return state_ != State::free && state_ != State::closing; }
  /// To one that it may have come to from `idle`: `queued`, `draining` or `closing`.
  void set_state(State state) noexcept;
  /// While it is not free.
  Transport& transport() const noexcept { return *std::launder(reinterpret_cast<Transport*>(storage_)); }
  Exchange* exchange() noexcept { return exchange_; }
  /// It was idle, and is active from now on.
  void set_exchange(Exchange& exchange) noexcept;
  /// It was not, and is idle from now on.
  void set_idle() noexcept;
  /// While `streaming`.
  LiveStream* stream() const noexcept { return stream_; }
  /// It is a stream's from now on, and was active; null: no more, and to be closed.
  void set_stream(LiveStream* stream) noexcept {
    state_ = State::streaming;
    stream_ = stream;
  }
  Tail& tail() noexcept { return tail_; }
  /// How fast the client takes or gives what it is waited for.
  Pace& pace() noexcept { return pace_; }
  /// Whether a request was answered on it.
  bool used() const noexcept { return used_; }
  void set_used() noexcept { used_ = true; }

  /// Waits for the next request.
  void go_idle() noexcept;
  /// Sends the rest of the body, then goes idle, or ends if not `keep_alive`, gracefully if `linger`.
  void go_tail(bool keep_alive, bool linger) noexcept;
  /// The client takes it too slowly, or not at all: resets it.
  void give_up() noexcept;
  /// Sends what is left of the tail. `none` when all is sent; `would_block`; `unsupported` when the file's
  /// bytes have to pass through a buffer; `closed`.
  Error send_tail() noexcept;

  /// When time is up for what happens now. Putting it off costs nothing: the timer is moved when it fires.
  void set_deadline(Duration from_now) noexcept;
  void set_deadline(Milliseconds from_now) noexcept { set_deadline(Duration(from_now)); }
  MICRODOT_CALLED void clear_deadline() noexcept { deadline_ = TimePoint::max(); }
  /// `TimePoint::max()`: never.
  TimePoint deadline() const noexcept { return deadline_; }

  /// See `App::check`.
  const char* check() const noexcept;

 private:
  void on_readable() noexcept override;
  void on_writable() noexcept override;
  void on_gone() noexcept override;
  void on_released() noexcept override;
  void on_timer() noexcept override;

  void continue_tail() noexcept;
  void drain() noexcept;

  /// What becomes of it when its tail is sent.
  enum class Then : std::uint8_t { idle, close_gracefully, close };

  State state_ = State::free;
  Then then_ = Then::idle;
  bool used_ = false;
  Server* server_;
  union {
    Exchange* exchange_ = nullptr;  // while active; else null
    LiveStream* stream_;            // while streaming
  };
  TimePoint deadline_ = TimePoint::max();
  Tail tail_;
  Pace pace_;
  alignas(void*) mutable std::byte storage_[kTransportBytes];  // mutable: as if it lay behind a pointer
};

}  // namespace microdot::inline MICRODOT_ABI::detail
