#pragma once
#include <cstdint>

#include <microdot/port/network.hpp>

#include "interfaces.hpp"
#include "poller.hpp"

namespace microdot::inline MICRODOT_ABI {

/// A connected TCP socket. Registered for EPOLLIN once, when it is accepted: interest that goes off is taken
/// from epoll only when the unwanted event comes, so that a request costs no epoll_ctl.
class LinuxTransport final : public Transport {
 public:
  LinuxTransport(LinuxPoller& poller, TransportEvents& events, int fd, const Endpoint& peer) noexcept;

  Result<std::size_t> read(std::span<char> buffer) noexcept override;
  Result<std::size_t> write(std::span<const ConstBuffer> pieces, bool more) noexcept override;
  Result<std::size_t> write_file(const FileReader& file, std::uint64_t offset,
                                 std::size_t size) noexcept override;
  void set_interest(bool read, bool write) noexcept override;
  void shutdown_write() noexcept override;
  bool close(bool abort) noexcept override;
  Endpoint peer() const noexcept override;

  /// Called by the poller: first with all events, then, if the transport is still there, for writing.
  void on_event(std::uint32_t events) noexcept;
  void on_event_out(std::uint32_t events) noexcept;

 private:
  enum Flag : std::uint8_t {
    kWantRead = 1,
    kWantWrite = 2,
    kArmedRead = 4,
    kArmedWrite = 8,
    kEnded = 16,  ///< The end of stream was read.
    kGone = 32,   ///< `on_gone` was called; no longer registered.
  };

  bool has(Flag flag) const noexcept { return (flags_ & flag) != 0; }
  void put(Flag flag, bool on) noexcept {
    flags_ = static_cast<std::uint8_t>(on ? flags_ | flag : flags_ & ~flag);
  }
  void arm(bool read, bool write) noexcept;

  LinuxPoller& poller_;
  TransportEvents& events_;
  int fd_;
  // An Endpoint, apart, so that the flags fit in.
  std::uint16_t peer_port_;
  Endpoint::Family peer_family_;
  std::uint8_t flags_ = kWantRead | kArmedRead;
  std::array<std::uint8_t, 16> peer_address_;
};

class LinuxListener final : public Listener {
 public:
  LinuxListener(LinuxPoller& poller, ListenerEvents& events, int fd) noexcept
      : poller_(poller), events_(events), fd_(fd) {}

  Result<Transport*> accept(void* storage, TransportEvents& events) noexcept override;
  void set_accepting(bool on) noexcept override;
  Endpoint local() const noexcept override;
  void close() noexcept override;

  void on_event() noexcept { events_.on_acceptable(); }

 private:
  LinuxPoller& poller_;
  ListenerEvents& events_;
  int fd_;
  bool accepting_ = true;
};

class LinuxNetwork final : public Network {
 public:
  constexpr LinuxNetwork() noexcept = default;
  void bind(LinuxPoller& poller) noexcept { poller_ = &poller; }

  Result<Listener*> listen(const ListenOptions& options, void* storage,
                           ListenerEvents& events) noexcept override;
  std::size_t reserve_connections(std::size_t connections) noexcept override;
  Error check_address(const Endpoint& local) noexcept override { return interfaces_.check_address(local); }

  void on_event() noexcept {
    interfaces_.drain();
    tell_watchers();
  }

 private:
  void watch_system(bool on) noexcept override {
    on ? interfaces_.open(*poller_, *this) : interfaces_.close(*poller_, *this);
  }

  LinuxPoller* poller_ = nullptr;
  LinuxInterfaces interfaces_;
};

}  // namespace microdot::inline MICRODOT_ABI
