#pragma once
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <microdot/async/run.hpp>
#include <microdot/async/task.hpp>
#include <microdot/limits.hpp>
#include <microdot/port/network.hpp>
#include <microdot/router.hpp>
#include <microdot/stats.hpp>

namespace microdot::inline MICRODOT_ABI {

class App;
struct ServerOptions;

namespace detail {
class Exchange;
class Listening;
class Server;
class WorkerThreads;
class Workers;
void run_server_hooks(Listening& listening) noexcept;
void log_outcome(Exchange& exchange, int refused) noexcept;

/// A bool. What writes the lines is a part only of programs that may say `true`.
class DebugOption {
 public:
  constexpr DebugOption(bool on = false) noexcept : log_(on ? log_outcome : nullptr) {}
  constexpr operator bool() const noexcept { return log_ != nullptr; }

 private:
  friend class Server;

  void (*log_)(Exchange& exchange, int refused) noexcept;
};

/// A text. What reads it is a part only of programs that have one.
class NetworkListOption {
 public:
  constexpr NetworkListOption() noexcept = default;
  template <std::convertible_to<std::string_view> Text>
  constexpr NetworkListOption(const Text& text) noexcept
      : text_(text), is_valid_(is_network_list), has_(is_in_networks) {}

  constexpr std::string_view text() const noexcept { return text_; }
  bool is_valid() const noexcept { return is_valid_ == nullptr || is_valid_(text_); }
  bool has(const Endpoint& client) const noexcept { return has_ != nullptr && has_(client, text_); }

 private:
  static bool is_in_networks(const Endpoint& client, std::string_view networks) noexcept {
    return client.is_in(networks);
  }

  std::string_view text_;
  bool (*is_valid_)(std::string_view text) noexcept = nullptr;
  bool (*has_)(const Endpoint& client, std::string_view networks) noexcept = nullptr;
};

#if MICRODOT_HOSTED
Task<Result<void>> serve_with_workers(App& app, ServerOptions options);

/// A number. What serves with several workers is a part only of programs that may name another than 1.
class WorkersOption {
 public:
  constexpr WorkersOption() noexcept = default;
  template <std::integral Number>
  constexpr WorkersOption(Number count) noexcept
      : count_(count<0 || static_cast<std::uint64_t>(count)> UINT32_MAX ? UINT32_MAX
                                                                        : static_cast<std::uint32_t>(count)),
        serve_(count == 1 ? nullptr : serve_with_workers) {}
  constexpr operator std::uint32_t() const noexcept { return count_; }

 private:
  friend class microdot::App;

  std::uint32_t count_ = 1;
  Task<Result<void>> (*serve_)(App& app, ServerOptions options) = nullptr;
};
#endif

}  // namespace detail

/// Where and how to serve.
struct ServerOptions {
  /// An address, "localhost", or "" for every address of IPv4 and IPv6.
  std::string_view host = "0.0.0.0";
  std::uint16_t port = 5000;          ///< 0: the system chooses; see `App::port`.
  detail::DebugOption debug = false;  ///< A bool: one line in the log for each request.
  /// Addresses and networks of reverse proxies, separated by commas: "127.0.0.1, ::1, 10.0.0.0/8". Many
  /// clients come through each, so what one client may have at most is not asked of them. Must stay valid (a
  /// literal).
  detail::NetworkListOption trusted_proxies = {};
#if MICRODOT_HOSTED
  /// For so long a server that is to end serves as before, so that whoever sends clients here sees it coming:
  /// `healthz` says 503, and answers say `Connection: close`. Zero: it ends at once.
  Milliseconds drain = std::chrono::milliseconds(0);
  /// A number: so many loops serve, each in a thread of its own with `Limits` of its own, except the first,
  /// which is the calling one. 0: one for each processor that the process may use. Handlers are called from
  /// all of these threads at once: see docs/guide/server.md. Not for a `StaticApp`.
  detail::WorkersOption workers = {};
#endif
};

/// A web application: routes, hooks, error handlers, and the server for them.
///
///     App app;
///     app.get("/", [](Request&) { return "Hello, World!"; });
///     int main() { return app.run({.host = "127.0.0.1", .port = 5000}); }
///
/// All memory of the server is one block, sized by the limits and taken when the server starts.
class App : public Router {
 public:
  /// On hosts: the block comes from the heap, once, when the server first starts; routes come from the heap.
  explicit App(const Limits& limits = Limits::host()) noexcept;
  App(const App&) = delete;
  App& operator=(const App&) = delete;
  /// The server must not run any more.
  ~App();

  /// Serves until `shutdown`; one line in the log, of level `info`, says where:
  /// "listening on http://127.0.0.1:5000/". Gives an error if it could not start, and says why in one line: a
  /// port that is taken, a static directory that is missing, a route that can't work. May be called again
  /// afterwards.
  Task<Result<void>> start_server(ServerOptions options = {});
  /// Runs the server alone, as `start_server` does, until it is shut down: by `shutdown` or the first
  /// SIGINT or SIGTERM, gracefully. Returns 0, or 1 if it could not start. Blocks; beside other tasks use
  /// `start_server` and `run`.
  int run(ServerOptions options = {});
  /// Ends the server gracefully: it serves on for `ServerOptions::drain`, then accepts no more connections,
  /// closes idle ones at once, lets requests in flight finish until `Limits::shutdown_timeout`, then ends
  /// them. Returns at once; may be called by a handler. With several workers: ends all of them, and may be
  /// called by any thread; else by the server's.
  void shutdown() noexcept;

  /// When the network that the server listens on is lost: its address is gone, its interface is down, or the
  /// system took the listener away. `f()`, plain or a coroutine: the place to set up Wi-Fi anew or to renew a
  /// DHCP lease. The server listens again by itself, hook or not. Runs as the background task
  /// "on_network_lost"; if it fails, `on_task_error` is told. Hooks run one at a time, in order; what came
  /// and went while one ran is not told. One that runs longer than the server is ended with it.
  template <typename F>
  void on_network_lost(F&& hook) {
    add_server_hook(network_lost_, std::forward<F>(hook));
  }
  /// When it is back after that and the server listens again. Else as `on_network_lost`.
  template <typename F>
  void on_network_up(F&& hook) {
    add_server_hook(network_up_, std::forward<F>(hook));
  }

  /// The port that is listened on, also while the network is lost; 0 while the server does not run.
  /// With several workers it may be asked for by any thread, and so may `running` and `stats`.
  std::uint16_t port() const noexcept;
  /// Between a successful start and the end.
  bool running() const noexcept { return port() != 0; }
  const Limits& limits() const noexcept { return limits_; }
  Stats stats() const noexcept;
  /// Looks through the server's lists, pools and timers: null, or what is wrong with them. For tests, between
  /// two turns of the loop. Of several workers: that of the calling thread.
  const char* check() const noexcept;

  /// For answers that don't say what they are; `charset=UTF-8` is added where the text names none. Static
  /// text.
  std::string_view default_content_type = "text/plain";

 protected:
  /// For `StaticApp`: all memory is given.
  App(const Limits& limits, std::span<std::byte> block, std::span<std::byte> registry) noexcept;

 private:
  friend class detail::Listening;
  friend class detail::Server;
  friend class detail::WorkerThreads;
  friend class detail::Dispatch;

  template <typename F>
  void add_server_hook(detail::ServerHook*& first, F&& hook) {
    auto* node = make<detail::ServerHookFor<std::decay_t<F>>>(std::forward<F>(hook));
    if (node == nullptr) return;
    detail::ServerHook** last = &first;
    while (*last != nullptr) last = &(*last)->next;
    *last = node;
    run_server_hooks_ = detail::run_server_hooks;
  }

  /// Whether other threads serve this App, too.
  bool has_workers() const noexcept {
#if MICRODOT_HOSTED
    return workers_.load(std::memory_order_relaxed) != nullptr;
#else
    return false;
#endif
  }

#if MICRODOT_HOSTED
  bool workers_run() const noexcept;
#else
  static bool workers_run() noexcept { return false; }
#endif

  Limits limits_;
  std::span<std::byte> block_;
  // Checks the limits and takes the block, or gives it back. None for a `StaticApp`, whose limits the
  // compiler has checked: so neither the heap nor what can be wrong with limits, in words, is a part of a
  // device's program.
  Result<void> (*acquire_)(App& app, bool release) noexcept = nullptr;
  detail::Server* server_ = nullptr;
  detail::ServerHook* network_lost_ = nullptr;
  detail::ServerHook* network_up_ = nullptr;
  void (*run_server_hooks_)(detail::Listening& listening) noexcept = nullptr;  // of a program that has some
#if MICRODOT_HOSTED
  // Once there were several workers; they have the server then. Stays, since any thread may ask it.
  std::atomic<detail::Workers*> workers_{nullptr};
#endif
};

namespace detail {

/// Fails to compile with the error's name, which says the field.
template <LimitsError kError>
constexpr bool limits_are_valid() noexcept {
  static_assert(kError == LimitsError::none,
                "a field of these Limits is out of range: see the name of kError");
  return true;
}

}  // namespace detail

/// An App whose memory is a part of itself: nothing of it comes from the heap. Background tasks have a pool
/// of their own beside it (see `task_pool`).
///
///     StaticApp<Limits::device()> app;
///     static_assert(decltype(app)::memory() <= 40 * 1024);
template <Limits kLimits>
class StaticApp : public App {
  static_assert(detail::limits_are_valid<kLimits.error()>());

 public:
  StaticApp() noexcept : App(kLimits, block_, registry_) { static_assert(sizeof(StaticApp) == memory()); }
  /// Bytes of all this: `sizeof(StaticApp)`. Nothing else is used.
  static constexpr std::size_t memory() noexcept { return kLimits.memory(); }

 private:
  // With what `memory` counts for the App and it does not need.
  static constexpr std::size_t kBlock =
      kLimits.server_memory() + detail::kAppBytes - detail::align_up(sizeof(App));

  alignas(std::max_align_t) std::byte block_[kBlock];
  alignas(std::max_align_t) std::byte registry_[kLimits.registry_memory()];
};
static_assert(sizeof(App) <= detail::kAppBytes);

}  // namespace microdot::inline MICRODOT_ABI
