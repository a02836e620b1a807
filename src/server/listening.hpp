#pragma once
/// The server's listener under supervision: it accepts, pauses when the system is short of something, and
/// listens again, for as long as it takes, when the listener or its address is lost.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <microdot/app.hpp>
#include <microdot/async/spawn.hpp>
#include <microdot/async/timer.hpp>
#include <microdot/base/text.hpp>
#include <microdot/port/network.hpp>

namespace microdot::inline MICRODOT_ABI::detail {

class Listening final : private ListenerEvents, private NetworkEvents, private Timer {
 public:
  explicit Listening(Server& server) noexcept : server_(&server) {}
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;
  ~Listening() { stop(); }

  /// Listens. Only here a failure is the caller's: what comes later is dealt with.
  Result<void> start(std::string_view host, std::uint16_t port, PortSharing sharing) noexcept;
  /// Listens no more, and begins no more hooks.
  void close() noexcept;
  /// The same, and ends the hook that runs.
  void stop() noexcept;
  /// A connection was closed, or may be evicted for a newcomer: whatever was missing may be there again.
  void resume() noexcept;

  /// What is or will be listened on; 0 when closed.
  std::uint16_t port() const noexcept { return local_.port; }
  const Endpoint& local() const noexcept { return local_; }
  /// What is listened on, as text that needs no resolver.
  std::string_view host() const noexcept { return host_.view(); }
  /// No connection is free for a newcomer who waits.
  bool blocked() const noexcept { return state_ == State::blocked; }
  /// The system gives no connections.
  bool paused() const noexcept { return state_ == State::paused || state_ == State::lost; }
  /// What is paused or lost does not stay so.
  bool tries_again() const noexcept { return !paused() || armed(); }
  /// Clients have to wait: no connection is free, or the system is short of something.
  bool short_of_connections() const noexcept { return state_ == State::blocked || state_ == State::paused; }

 private:
  class HookTask;

  enum class State : std::uint8_t {
    closed,     // before the start and after the end
    accepting,  //
    blocked,    // no connection is free or idle: until `resume`
    paused,     // the system is short of descriptors or memory: until the timer or `resume`
    lost,       // there is no listener: until the timer or the network's return
  };

  void on_acceptable() noexcept override;
  void on_network_changed() noexcept override;
  void on_timer() noexcept override;

  void pause(Error error) noexcept;
  void recovered() noexcept;
  void lose_listener(Error error) noexcept;
  Result<void> listen(std::string_view host, std::uint16_t port) noexcept;
  void try_again() noexcept;
  void try_later() noexcept;
  void check_network(Error reason) noexcept;
  void run_hooks() noexcept;
  friend void run_server_hooks(Listening& listening) noexcept;
  void say(LogLevel level, std::string_view what, Error error) noexcept;

  Server* server_;
  Listener* listener_ = nullptr;
  alignas(void*) std::byte storage_[kListenerBytes];
  // For listening again: an address, and perhaps the interface that it belongs to ("fe80::1%eth0"), whose
  // name has up to 15 bytes on Linux.
  FixedText<Endpoint::kMaxText + 16> host_;
  Endpoint local_;
  TaskNode* hook_node_ = nullptr;  // of hook_task_
  TaskHandle hook_task_;
  ServerHook* next_hook_ = nullptr;
  std::uint8_t failures_ = 0;  // in a row
  State state_ = State::closed;
#if MICRODOT_HOSTED
  PortSharing sharing_ = PortSharing::none;
#else
  static constexpr PortSharing sharing_ = PortSharing::none;
#endif
  bool cannot_accept_ = false;   // said so in the log
  bool made_room_ = false;       // a connection was closed for its descriptor, since `accept` worked
  bool lost_ = false;            // the network
  bool told_lost_ = false;       // to hooks
  bool address_seen_ = false;    // it was there once
  Error address_ = Error::none;  // what `check_address` said last
};

}  // namespace microdot::inline MICRODOT_ABI::detail
