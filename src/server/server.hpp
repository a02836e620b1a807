#pragma once
/// The running server of an App: its pools, and its life from start to shutdown. Lies at the front of the
/// App's block; connections and exchanges follow.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <microdot/app.hpp>
#include <microdot/async/event.hpp>
#include <microdot/async/loop.hpp>
#include <microdot/base/text.hpp>
#include <microdot/http/date.hpp>
#include <microdot/stream.hpp>

#include "connection.hpp"
#include "exchange.hpp"
#include "listening.hpp"
#include "tiers.hpp"

namespace microdot::inline MICRODOT_ABI::detail {

class Server final : private ExitListener, private Timer {
 public:
  /// Lays the server out in `block`, which has `limits.server_memory()` bytes.
  static Server* create(App& app, std::span<std::byte> block) noexcept;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  void destroy() noexcept;

  /// Of several workers that serve the App, which one this is.
  struct Place {
    std::uint32_t worker = 0;
    std::uint32_t workers = 1;
  };
  /// Checks the routes, listens, and gets ready to serve. Says in the log why it can't.
  Result<void> start(const ServerOptions& options, Place place = {0, 1}) noexcept;
  /// Says in the log where it listens.
  void announce() noexcept;
  /// Begins to end: see `App::shutdown`.
  void shutdown() noexcept;
  /// Set when all connections are closed after a shutdown.
  Event& ended() noexcept { return ended_; }
  /// After a start.
  bool has_ended() const noexcept { return !running_ || (shutting_down_ && open_ == 0); }
  /// Of several workers, the one that speaks for all; also an only one.
  bool is_first() const noexcept { return is_first_; }
  /// What is listened on, as text that needs no resolver.
  std::string_view host() const noexcept { return listening_.host(); }
  /// Ends everything at once.
  void stop() noexcept;

  App& app() noexcept { return *app_; }
  Loop& loop() noexcept { return *loop_; }
  const Limits& limits() const noexcept { return app_->limits(); }
  std::uint16_t port() const noexcept { return listening_.port(); }
  Stats stats() const noexcept;
  /// See `App::check`.
  const char* check() noexcept;
  /// One line in the log for a request, if that is wanted. `refused`: the status that a wrong head was
  /// answered with, else 0.
  void log(Exchange& exchange, int refused) const noexcept {
    if (log_ != nullptr) log_(exchange, refused);
  }
  bool shutting_down() const noexcept { return shutting_down_; }
  /// Also before that, while it serves on: answers say so.
  bool to_end() const noexcept { return to_end_; }
  /// The line "Date: …\r\n", or "" where the time is not known.
  std::string_view date_line() noexcept {
    if (loop_->now() >= date_due_) make_usual_head();
    return date_line_;
  }
  /// Room for a usual head.
  static constexpr std::size_t kUsualHeadBytes = 128;
  /// Writes the head of a plain 200 up to "Content-Length: ", whose value and end are missing. `out` has
  /// `kUsualHeadBytes`. Returns the bytes written; 0 where the App's default content type is too long.
  std::size_t write_usual_head(char* out) noexcept {
    // The type's bytes are compared with those that were written: the App's may have changed where they are.
    const std::string_view type = app_->default_content_type;
    if (loop_->now() >= date_due_ || type.size() != usual_head_type_size_ ||
        !same_bytes(type.data(), usual_head_ + usual_head_type_at_, type.size())) {
      make_usual_head();
    }
    std::memcpy(out, usual_head_, kUsualHeadBytes);  // all of it: a constant size is a few moves
    return usual_head_size_;
  }
  void count_answer(int status) noexcept {
    count_up(stats_.requests);
    if (status >= 400) count_up(status < 500 ? stats_.client_errors : stats_.server_errors);
  }
  void count_answer(int status, Duration took) noexcept {
    count_answer(status);
    stats_.latency.add(took);
  }
  void count_in(std::size_t bytes) noexcept { count_up(stats_.bytes_in, bytes); }
  void count_out(std::size_t bytes) noexcept { count_up(stats_.bytes_out, bytes); }
  void count_timeout() noexcept { count_up(stats_.timed_out); }
  void count_message_in() noexcept { count_up(stats_.messages_in); }
  void count_message_out() noexcept { count_up(stats_.messages_out); }
  void count_message_dropped() noexcept { count_up(stats_.messages_dropped); }
  void count_slow_stream() noexcept { count_up(stats_.slow_streams); }

  // What the listener asks for and reports; see admission.cpp.

  /// A connection for a newcomer, if there may be one; `evict`: others may have to go for it.
  Connection* take_connection(bool evict) noexcept;
  /// What was taken is not needed.
  void give_back(Connection& connection) noexcept { free_.push_front(connection); }
  /// What was taken has a socket now: serves the newcomer or refuses it.
  void admit(Connection& connection) noexcept;
  /// Closes a connection that waits for nothing of ours. False if there is none.
  bool make_room() noexcept;
  /// Something has changed that the tier depends on.
  void review() noexcept;

  // What connections report; see admission.cpp.

  /// Has something to read: give it an exchange, or queue it.
  void want_exchange(Connection& connection) noexcept;
  /// Waits for an exchange no more.
  void leave_queue(Connection& connection) noexcept;
  /// Waited too long for one.
  void refuse_queued(Connection& connection) noexcept;
  /// Is idle from now on, or no more: how many are is for statistics.
  void count_idle() noexcept { count_up(idling_); }
  void uncount_idle() noexcept { count_down(idling_); }
  /// Became idle.
  void now_idle(Connection& connection) noexcept;
  /// Waits for its client to take the rest of a body; may be said again.
  void now_sending(Connection& connection) noexcept;
  /// Was answered for the last time.
  void now_draining(Connection& connection) noexcept;
  /// Is closed and may be used for another socket.
  void free_connection(Connection& connection) noexcept;
  /// Serves nobody any more.
  void free_exchange(Exchange& exchange) noexcept;
  /// Memory for a live stream of `client`, if there is some for it.
  StreamSlot* take_stream(const Endpoint& client) noexcept;
  /// Nothing of the stream is left in it.
  void free_stream(StreamSlot& slot) noexcept;
  /// `Limits::compression_memory` bytes for a WebSocket that compresses; none if others have them all.
  std::span<std::byte> take_compression() noexcept;
  void free_compression(std::byte* memory) noexcept;
  /// Whether a connection that was just answered should rather go.
  bool short_of_connections() const noexcept;
  /// Whether a connection waits for an exchange: because all are taken, or because its client has its share.
  bool somebody_waits() const noexcept { return queued_ != 0; }
  /// Whether connections wait until an exchange comes free (not only for their own share of them).
  bool others_wait() const noexcept { return queued_ != 0 && busy_ == limits().exchanges; }

 private:
  Server(App& app, std::span<std::byte> block) noexcept;
  ~Server() = default;

  void on_exit_requested() noexcept override;
  void on_timer() noexcept override;
  void close_down() noexcept;
  void check_ended() noexcept;
  /// Reads the clock, and makes what says the time: the date line and the usual head.
  void make_usual_head() noexcept;

  bool over_client_cap(const Endpoint& client) const noexcept;
  bool is_proxy(const Endpoint& client) const noexcept { return trusted_proxies_.has(client); }
  bool may_have_another(const Endpoint& client) const noexcept;
  void serve_queue() noexcept;
  Exchange& lend_exchange(Connection& connection) noexcept;
  bool may_wait(const Endpoint& client) noexcept;
  void refuse(Connection& connection) noexcept;
  void refuse_its_own(Connection& connection) noexcept;
  void forfeit_slow() noexcept;
  Tier wanted_tier() const noexcept;
  void look_again() noexcept;
  /// How long until the next look, where time alone may change something.
  static constexpr Duration kReviewInterval = std::chrono::milliseconds(100);
  /// Whether time alone may let somebody make room.
  bool may_get_old() const noexcept { return !fresh_.empty() || !idle_.empty() || !sending_.empty(); }
  void on_review() noexcept;

  /// Looks after things again and again while they are not as they should be.
  class Review final : public Timer {
   public:
    explicit Review(Server& server) noexcept : server_(&server) {}

   private:
    void on_timer() noexcept override { server_->on_review(); }
    Server* server_;
  };

  // What a burst has left; see tidy.cpp.

  /// `item` is free again, and the next to be taken.
  template <typename T>
  void make_free(List<T>& free, T& item) noexcept {
    if (MICRODOT_HOSTED && !free.empty() && free.front().rested() != kAtRest) tidy_soon();
    free.push_front(item);
  }
  void tidy_soon() noexcept;
  void tidy() noexcept;
  bool unmake_connections() noexcept;
  template <typename T>
  bool rest(List<T>& free, std::size_t size) noexcept;
  /// What `rested` says of something free whose memory was given back.
  static constexpr std::uint8_t kAtRest = 2;
  /// Memory that is given back in one go; less is not worth it.
  static constexpr std::size_t kWorthwhile = 64 * 1024;
  bool many_unused() const noexcept { return (connections_made_ - open_) * kConnectionBytes >= kWorthwhile; }

  // Those that have been made so far. The others are when they are needed first: memory that nobody has used
  // is not touched.
  Connection& connection(std::size_t i) const noexcept;
  Exchange& exchange(std::size_t i) const noexcept;
  StreamSlot& stream_slot(std::size_t i) const noexcept;
  // A free one; there must be one, in use are fewer than there may be.
  Connection& take_free_connection() noexcept;
  /// Null: its coroutine finds no room in its arena, and no other's would.
  Exchange* take_free_exchange() noexcept;
  StreamSlot& take_free_stream() noexcept;

  App* app_;
  Loop* loop_ = nullptr;
  std::byte* connections_ = nullptr;
  std::byte* exchanges_ = nullptr;
  std::byte* streams_ = nullptr;
  std::byte* free_compressions_ = nullptr;  // each begins with where the next one is
  void (*log_)(Exchange& exchange, int refused) noexcept = nullptr;
  // As in an Exchange, what is small comes first.
  std::uint32_t queued_ = 0;
  std::uint32_t busy_ = 0;    // exchanges that are not free
  std::uint32_t live_ = 0;    // streams
  std::uint32_t open_ = 0;    // connections that are not free
  std::uint32_t idling_ = 0;  // connections that are idle
  std::uint32_t usable_ = 0;  // connections that the system has descriptors for
  std::uint32_t connections_made_ = 0;
  std::uint32_t most_open_ = 0;  // connections, since `tidy` looked
  std::uint32_t exchanges_made_ = 0;
  std::uint32_t streams_made_ = 0;
  bool to_end_ = false;  // asked to
  bool shutting_down_ = false;
  bool running_ = false;
#if MICRODOT_HOSTED
  bool is_first_ = true;
  Duration drain_{0};
#else
  static constexpr bool is_first_ = true;
  static constexpr Duration drain_{0};
#endif
  bool refused_lately_ = false;  // since the last review
  bool full_lately_ = false;     // likewise: no connection was left for a newcomer
  Pressure pressure_ = Pressure::none;
  List<Connection> free_;
  List<Connection> fresh_;    // have not sent anything yet
  List<Connection> idle_;     // between requests, longest idle first
  List<Connection> sending_;  // the rest of a body, without an exchange
  List<Connection> draining_;
  List<Connection> queue_;  // first come first
  List<Exchange> free_exchanges_;
  List<StreamSlot> free_streams_;
  Review review_{*this};
  Tiers tiers_;
  Stats stats_;  // totals; the rest is filled in when it is asked for
  NetworkListOption trusted_proxies_;
  Event ended_;
  DateField date_;
  std::string_view date_line_;
  TimePoint date_due_ = TimePoint::min();  // when to read the clock again
  char usual_head_[kUsualHeadBytes] = {};
  std::uint8_t usual_head_size_ = 0;
  std::uint8_t usual_head_type_at_ = 0;  // the content type in it
  std::uint8_t usual_head_type_size_ = 0;
  Listening listening_{*this};
};

inline void Connection::set_state(State state) noexcept {
  assert(state == State::queued || state == State::draining || state == State::closing);
  if (state_ == State::idle) server_->uncount_idle();
  state_ = state;
}
inline void Connection::set_exchange(Exchange& exchange) noexcept {
  assert(state_ == State::idle);
  server_->uncount_idle();
  state_ = State::active;
  exchange_ = &exchange;
}
inline void Connection::set_idle() noexcept {
  assert(state_ != State::idle);
  server_->count_idle();
  state_ = State::idle;
}

}  // namespace microdot::inline MICRODOT_ABI::detail
