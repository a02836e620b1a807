#include <microdot/app.hpp>

#include <cstdlib>

#include "server/server.hpp"

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
    : limits_(limits),
      release_([](std::byte* block) noexcept { std::free(block); }),
      acquire_([](App& app) noexcept -> Result<void> {
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
  if (release_ != nullptr && !block_.empty()) release_(block_.data());
}

Task<Result<void>> App::start_server(ServerOptions options) {
  if (server_ != nullptr) co_return refuse("the server of this App runs already", Error::invalid);
  if (acquire_ != nullptr) {
    const Result<void> acquired = acquire_(*this);
    if (!acquired) co_return acquired;
  }
  server_ = detail::Server::create(*this, block_);
  const ServerScope scope(server_);
  const Result<void> started = server_->start(options);
  if (!started) co_return started;
  co_await server_->ended().wait();
  co_return Result<void>();
}

int App::run(ServerOptions options) { return microdot::run(start_server(options)); }

void App::shutdown() noexcept {
  if (server_ != nullptr) server_->shutdown();
}

std::uint16_t App::port() const noexcept { return server_ != nullptr ? server_->port() : 0; }

Stats App::stats() const noexcept { return server_ != nullptr ? server_->stats() : Stats{}; }

const char* App::check() const noexcept { return server_ != nullptr ? server_->check() : nullptr; }

}  // namespace microdot::inline MICRODOT_ABI
