#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <microdot/async/run.hpp>
#include <microdot/async/task.hpp>
#include <microdot/limits.hpp>
#include <microdot/router.hpp>

namespace microdot::inline MICRODOT_ABI {

namespace detail {
class Server;
}

/// Where and how to serve.
struct ServerOptions {
  /// An address, "localhost", or "" for every address of IPv4 and IPv6.
  std::string_view host = "0.0.0.0";
  std::uint16_t port = 5000;  ///< 0: the system chooses; see `App::port`.
  bool debug = false;         ///< One line in the log for each request.
};

/// What is in use now, for tests and monitoring.
struct Stats {
  std::uint32_t connections = 0;       ///< Accepted sockets.
  std::uint32_t exchanges = 0;         ///< Requests in flight.
  std::uint32_t queued = 0;            ///< Connections that wait for an exchange.
  std::uint64_t accepted = 0;          ///< Connections since the start.
  std::uint64_t requests = 0;          ///< Answered since the start.
  std::uint64_t refused = 0;           ///< Answered 503 because an exchange did not come free in time.
  std::uint32_t arena_high_water = 0;  ///< Most bytes that one request has used of its arena.
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

  /// Serves until `shutdown`. Gives an error if it could not start, and says why in the log: a port that is
  /// taken, a static directory that is missing, a route that can't work. May be called again afterwards.
  Task<Result<void>> start_server(ServerOptions options = {});
  /// Runs the server alone and says where in the log, until it is shut down: by `shutdown` or the first
  /// SIGINT or SIGTERM, gracefully. Returns 0, or 1 if it could not start. Blocks; beside other tasks use
  /// `start_server` and `run`.
  int run(ServerOptions options = {});
  /// Ends the server gracefully: it accepts no more connections, closes idle ones at once, lets requests in
  /// flight finish until `Limits::shutdown_timeout`, then ends them. Returns at once; may be called by a
  /// handler.
  void shutdown() noexcept;

  /// The port that is listened on; 0 while the server does not run.
  std::uint16_t port() const noexcept;
  /// Between a successful start and the end.
  bool running() const noexcept { return port() != 0; }
  const Limits& limits() const noexcept { return limits_; }
  Stats stats() const noexcept;

  /// For answers that don't say what they are; `charset=UTF-8` is added where the text names none. Static
  /// text.
  std::string_view default_content_type = "text/plain";

 protected:
  /// For `StaticApp`: all memory is given.
  App(const Limits& limits, std::span<std::byte> block, std::span<std::byte> registry) noexcept;

 private:
  friend class detail::Server;

  Limits limits_;
  std::span<std::byte> block_;
  void (*release_)(std::byte* block) noexcept = nullptr;
  std::byte* (*acquire_)(std::size_t size) noexcept = nullptr;
  detail::Server* server_ = nullptr;
  bool announces_ = false;  // the address, in the log, when the server starts
};

/// An App whose memory is a part of itself: nothing comes from the heap.
///
///     StaticApp<Limits{.connections = 12, .exchanges = 3}> app;
///     static_assert(decltype(app)::memory() <= 48 * 1024);
template <Limits kLimits>
class StaticApp : public App {
  static_assert(kLimits.check() == nullptr,
                "StaticApp: see Limits::check() for the field that is out of range");

 public:
  StaticApp() noexcept : App(kLimits, block_, registry_) {}
  /// Bytes of the server's block. Routes and hooks lie beside it, in `kLimits.handler_bytes`.
  static constexpr std::size_t memory() noexcept { return kLimits.memory(); }

 private:
  alignas(std::max_align_t) std::byte block_[kLimits.memory()];
  alignas(std::max_align_t) std::byte registry_[kLimits.handler_bytes];
};

}  // namespace microdot::inline MICRODOT_ABI
