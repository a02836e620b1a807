#pragma once
// The port of a board that runs in QEMU, used from here: every call travels to it (protocol.hpp), every event
// back.

#include <array>
#include <string>
#include <string_view>

#include <microdot/port/port.hpp>

#include "protocol.hpp"

namespace microdot_test {

using namespace microdot;

class RemoteTransport;
class RemoteListener;

class RemotePort final : public Port,
                         private Clock,
                         private Poller,
                         private Network,
                         private Files,
                         private Entropy,
                         private Log {
 public:
  /// Starts `image` in QEMU; its Ethernet is the tap device `tap`.
  RemotePort(const std::string& qemu, const std::string& image, int tap);
  ~RemotePort();
  RemotePort(const RemotePort&) = delete;

  Clock& clock() noexcept override { return *this; }
  Poller& poller() noexcept override { return *this; }
  Network& network() noexcept override { return *this; }
  Files& files() noexcept override { return *this; }
  Entropy& entropy() noexcept override { return *this; }
  Log& log() noexcept override { return *this; }

  /// What connections have taken of lwIP and not given back.
  std::size_t in_use() { return static_cast<std::size_t>(call({.call = Call::in_use}).value); }
  /// Whether the board has an address.
  bool online() { return check_address({}) == Error::none; }

  // ---- For its listeners and transports ----
  /// The answer; its bytes are `answered`.
  Reply call(Request request, std::string_view bytes = {});
  Result<std::size_t> count(const Request& request, std::string_view bytes = {});
  Endpoint endpoint(const Request& request);
  const std::string& answered() const { return answered_; }
  Result<Transport*> accept(std::uint8_t listener, void* storage, TransportEvents& events);

  std::array<RemoteListener*, kListeners> listeners{};
  std::array<RemoteTransport*, kTransports> transports{};

 private:
  TimePoint now() noexcept override { return TimePoint(Duration(call({.call = Call::now}).value)); }
  std::int64_t unix_seconds() noexcept override { return call({.call = Call::unix_seconds}).value; }
  void poll(Duration timeout) noexcept override { call({.call = Call::poll, .value = timeout.count()}); }
  void wake() noexcept override { call({.call = Call::wake}); }
  Result<Listener*> listen(const ListenOptions& options, void* storage,
                           ListenerEvents& events) noexcept override;
  std::size_t reserve_connections(std::size_t connections) noexcept override;
  Error check_address(const Endpoint&) noexcept override {
    return Error(call({.call = Call::check_address}).error);
  }
  void fill(std::span<unsigned char> bytes) noexcept override;

  Result<File> open(std::string_view, std::string_view) noexcept override { return Error::unsupported; }
  Result<void> check_root(std::string_view) noexcept override { return Error::unsupported; }
  Result<std::size_t> read(Handle, std::uint64_t, std::span<char>) noexcept override {
    return Error::unsupported;
  }
  void close(Handle) noexcept override {}
  void write(LogLevel, std::string_view) noexcept override {}

  void tell(const Reply& event);
  void transfer(bool out, void* at, std::size_t size);

  int qemu_ = -1;  // its process
  int to_board_ = -1;
  int from_board_ = -1;
  std::string answered_;
};

}  // namespace microdot_test
