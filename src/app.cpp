#include <microdot/app.hpp>

#include <cstdlib>

#include "server/server.hpp"
#include "server/workers.hpp"

namespace microdot::inline MICRODOT_ABI {

namespace {

/// Ends the server when the coroutine that runs it is ended.
class ServerScope {
 public:
  explicit ServerScope(detail::Server*& server) noexcept : server_(&server) {}
  ServerScope(const ServerScope&) = delete;
  ServerScope& operator=(const ServerScope&) = delete;
  ~ServerScope() { std::exchange(*server_, nullptr)->destroy(); }

 private:
  detail::Server** server_;
};

Result<void> refuse(std::string_view reason, Error error) noexcept {
  Loop::current().port().log().write(LogLevel::error, reason);
  return Result<void>::logged(error);
}

}  // namespace

App::App(const Limits& limits) noexcept
    : limits_(limits), acquire_([](App& app, bool release) noexcept -> Result<void> {
        if (release) {
          std::free(app.block_.data());
          return {};
        }
        if (const char* reason = app.limits_.check()) return refuse(reason, Error::invalid);
        if (!app.block_.empty()) return {};
        const std::size_t size = app.limits_.server_memory();
        auto* block = static_cast<std::byte*>(std::malloc(size));
        if (block == nullptr)
          return refuse("no memory for the server: see Limits::memory()", Error::no_memory);
        app.block_ = {block, size};
        return {};
      }) {}

App::App(const Limits& limits, std::span<std::byte> block, std::span<std::byte> registry) noexcept
    : Router(registry), limits_(limits), block_(block) {}

App::~App() {
  if (server_ != nullptr) server_->destroy();
#if MICRODOT_HOSTED
  if (detail::Workers* const workers = workers_.load(std::memory_order_relaxed)) workers->destroy();
#endif
  if (acquire_ != nullptr) (void)acquire_(*this, true);
}

Task<Result<void>> App::start_server(ServerOptions options) {
  if (server_ != nullptr || workers_run())
    co_return refuse("the server of this App runs already", Error::invalid);
  if (acquire_ != nullptr) {
    const Result<void> acquired = acquire_(*this, false);
    if (!acquired) co_return acquired;
  }
#if MICRODOT_HOSTED
  if (options.workers.serve_ != nullptr) {
    Task<Result<void>> serving = options.workers.serve_(*this, options);
    co_return co_await std::move(serving);
  }
#endif
  server_ = detail::Server::create(*this, block_);
  const ServerScope scope(server_);
  const Result<void> started = server_->start(options);
  if (!started) co_return started;
  co_await server_->ended().wait();
  co_return Result<void>();
}

int App::run(ServerOptions options) { return microdot::run(start_server(options)); }

#if MICRODOT_HOSTED

bool App::workers_run() const noexcept {
  const detail::Workers* const workers = workers_.load(std::memory_order_acquire);
  return workers != nullptr && workers->running();
}

void App::shutdown() noexcept {
  detail::Workers* const workers = workers_.load(std::memory_order_acquire);
  if (workers != nullptr && workers->shutdown(false)) return;
  if (server_ != nullptr) server_->shutdown();
}

std::uint16_t App::port() const noexcept {
  const detail::Workers* const workers = workers_.load(std::memory_order_acquire);
  if (workers != nullptr && workers->running()) return workers->port();
  return server_ != nullptr ? server_->port() : 0;
}

Stats App::stats() const noexcept {
  const detail::Workers* const workers = workers_.load(std::memory_order_acquire);
  Stats stats;
  if (workers != nullptr && workers->stats(stats)) return stats;
  return server_ != nullptr ? server_->stats() : stats;
}

const char* App::check() const noexcept {
  detail::Workers* const workers = workers_.load(std::memory_order_acquire);
  if (workers != nullptr && workers->running()) return workers->check();
  return server_ != nullptr ? server_->check() : nullptr;
}

#else

void App::shutdown() noexcept {
  if (server_ != nullptr) server_->shutdown();
}

std::uint16_t App::port() const noexcept { return server_ != nullptr ? server_->port() : 0; }

Stats App::stats() const noexcept { return server_ != nullptr ? server_->stats() : Stats{}; }

const char* App::check() const noexcept { return server_ != nullptr ? server_->check() : nullptr; }

#endif

}  // namespace microdot::inline MICRODOT_ABI
