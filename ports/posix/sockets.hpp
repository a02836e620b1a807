#pragma once
#include <cstdint>

#include <microdot/port/network.hpp>

#include "poller.hpp"

namespace microdot::inline MICRODOT_ABI {

/// A connected TCP socket.
class PosixTransport final : public Transport {
 public:
  PosixTransport(PosixPoller& poller, TransportEvents& events, const Endpoint& peer) noexcept;
  void put_into(PosixPoller::Slot slot) noexcept { slot_ = slot; }

  Result<std::size_t> read(std::span<char> buffer) noexcept override;
  Result<std::size_t> write(std::span<const ConstBuffer> pieces, bool more) noexcept override;
  void set_interest(bool read, bool write) noexcept override;
  void shutdown_write() noexcept override;
  bool close(bool abort) noexcept override;
  Endpoint peer() const noexcept override;

  /// Called by the poller: first with all events, then, if the transport is still there, for writing.
  void on_event(short events) noexcept;
  void on_event_out(short events) noexcept;

 private:
  enum Flag : std::uint8_t {
    kWantRead = 1,
    kWantWrite = 2,
    kEnded = 4,     ///< The end of stream was read.
    kFinished = 8,  ///< FIN was sent.
    kGone = 16,     ///< `on_gone` was called; muted for good.
  };

  bool has(Flag flag) const noexcept { return (flags_ & flag) != 0; }
  void put(Flag flag, bool on) noexcept {
    flags_ = static_cast<std::uint8_t>(on ? flags_ | flag : flags_ & ~flag);
  }
  bool wants_to_read() const noexcept { return has(kWantRead) && !has(kEnded); }
  int descriptor() const noexcept { return poller_.descriptor(slot_); }
  /// Whether an error waits to be told.
  bool failed() const noexcept;

  PosixPoller& poller_;
  TransportEvents& events_;
  PosixPoller::Slot slot_ = 0;
  // An Endpoint, apart, so that the flags fit in: whole on hosts; on devices without IPv6's address, which is
  // asked of the system.
  static constexpr std::size_t kPeerBytes = MICRODOT_HOSTED ? 16 : 4;
  std::uint16_t peer_port_;
  Endpoint::Family peer_family_;
  std::uint8_t flags_ = kWantRead;
  std::uint8_t peer_address_[kPeerBytes];
};

class PosixListener final : public Listener {
 public:
  PosixListener(PosixPoller& poller, ListenerEvents& events) noexcept : poller_(poller), events_(events) {}
  void put_into(PosixPoller::Slot slot) noexcept { slot_ = slot; }

  Result<Transport*> accept(void* storage, TransportEvents& events) noexcept override;
  void set_accepting(bool on) noexcept override;
  Endpoint local() const noexcept override;
  void close() noexcept override;

  void on_event() noexcept { events_.on_acceptable(); }

 private:
  PosixPoller& poller_;
  ListenerEvents& events_;
  PosixPoller::Slot slot_ = 0;
};

class PosixNetwork final : public Network {
 public:
  constexpr PosixNetwork() noexcept = default;
  void bind(PosixPoller& poller) noexcept { poller_ = &poller; }

  Result<Listener*> listen(const ListenOptions& options, void* storage,
                           ListenerEvents& events) noexcept override;
  std::size_t reserve_connections(std::size_t connections) noexcept override;
  Error check_address(const Endpoint& local) noexcept override;

  void on_changed() noexcept { tell_watchers(); }

 private:
  void watch_system(bool on) noexcept override;

  PosixPoller* poller_ = nullptr;
};

}  // namespace microdot::inline MICRODOT_ABI
