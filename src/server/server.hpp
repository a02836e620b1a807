#pragma once
/// The running server of an App: its pools, its listener and its life from start to shutdown. Lies at the
/// front of the App's block; connections and exchanges follow.

#include <cstddef>
#include <cstdint>
#include <span>

#include <microdot/app.hpp>
#include <microdot/async/event.hpp>
#include <microdot/async/loop.hpp>
#include <microdot/http/date.hpp>

#include "connection.hpp"
#include "exchange.hpp"

namespace microdot::inline MICRODOT_ABI::detail {

class Server final : private ListenerEvents, private ExitListener, private Timer {
 public:
  /// Lays the server out in `block`, which has `limits.memory()` bytes.
  static Server* create(App& app, std::span<std::byte> block) noexcept;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  void destroy() noexcept;

  /// Checks the routes, listens, and gets ready to serve. Says in the log why it can't.
  Result<void> start(const ServerOptions& options) noexcept;
  /// Begins to end: see `App::shutdown`.
  void shutdown() noexcept;
  /// Set when all connections are closed after a shutdown.
  Event& ended() noexcept { return ended_; }
  /// Ends everything at once.
  void stop() noexcept;

  App& app() noexcept { return *app_; }
  Loop& loop() noexcept { return *loop_; }
  const Limits& limits() const noexcept { return app_->limits(); }
  std::uint16_t port() const noexcept { return port_; }
  Stats stats() const noexcept;
  bool debug() const noexcept { return debug_; }
  bool shutting_down() const noexcept { return shutting_down_; }
  /// The line "Date: …\r\n", or "" where the time is not known.
  std::string_view date_line() noexcept;
  /// The head of a plain 200 up to "Content-Length: ", whose value and end are missing; "" where the App's
  /// default content type is too long to be kept.
  std::string_view usual_head() noexcept;
  void count_request() noexcept { ++requests_; }

  // What connections report.

  /// Has something to read: give it an exchange, or queue it.
  void want_exchange(Connection& connection) noexcept;
  /// Waits for an exchange no more.
  void leave_queue(Connection& connection) noexcept;
  /// Waited too long for one.
  void refuse_queued(Connection& connection) noexcept;
  /// Became idle.
  void now_idle(Connection& connection) noexcept;
  /// Was answered for the last time.
  void now_draining(Connection& connection) noexcept;
  /// Is closed and may be used for another socket.
  void free_connection(Connection& connection) noexcept;
  /// Serves nobody any more.
  void free_exchange(Exchange& exchange) noexcept;
  /// Whether a connection that was just answered should rather go.
  bool short_of_connections() const noexcept;

 private:
  Server(App& app, std::span<std::byte> block) noexcept;
  ~Server() = default;

  void on_acceptable() noexcept override;
  void on_exit_requested() noexcept override { shutdown(); }
  void on_timer() noexcept override;
  Connection* take_connection(bool evict) noexcept;
  void pause_accepting(Error error) noexcept;
  void resume_accepting() noexcept;
  void check_ended() noexcept;
  Connection& connection(std::size_t i) const noexcept;
  Exchange& exchange(std::size_t i) const noexcept;

  App* app_;
  Loop* loop_ = nullptr;
  std::byte* connections_ = nullptr;
  std::byte* exchanges_ = nullptr;
  Listener* listener_ = nullptr;
  alignas(void*) std::byte listener_storage_[kListenerBytes];
  List<Connection> free_;
  List<Connection> fresh_;  // have not sent anything yet
  List<Connection> idle_;   // between requests, longest idle first
  List<Connection> draining_;
  List<Connection> queue_;  // first come first
  List<Exchange> free_exchanges_;
  Event ended_;
  DateField date_;
  TimePoint date_checked_{};
  std::int64_t unix_seconds_ = 0;
  std::int64_t usual_head_second_ = -1;
  std::string_view usual_head_type_;
  char usual_head_[160];
  std::uint8_t usual_head_size_ = 0;
  std::uint64_t accepted_ = 0;
  std::uint64_t requests_ = 0;
  std::uint64_t refused_ = 0;
  std::uint32_t queued_ = 0;
  std::uint32_t open_ = 0;    // connections that are not free
  std::uint32_t usable_ = 0;  // connections that the system has descriptors for
  std::uint16_t port_ = 0;
  bool debug_ = false;
  bool shutting_down_ = false;
  bool running_ = false;
  bool accepting_paused_ = false;   // by an error of accept, until the timer fires
  bool accepting_blocked_ = false;  // no connection is free or idle
  bool accept_failed_ = false;      // said so in the log
};

}  // namespace microdot::inline MICRODOT_ABI::detail
