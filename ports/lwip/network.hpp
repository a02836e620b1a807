#pragma once
#include <lwip/netif.h>
#include <lwip/opt.h>
#include <cstdint>

#include <microdot/port/network.hpp>

#include "connection.hpp"

namespace microdot::inline MICRODOT_ABI {

class LwipBoard;

class LwipListener final : public Listener {
 public:
  LwipListener(ListenerEvents& listener_events, tcp_pcb* pcb) noexcept : events(listener_events), pcb_(pcb) {}

  Result<Transport*> accept(void* storage, TransportEvents& transport_events) noexcept override;
  void set_accepting(bool on) noexcept override { accepting = on; }
  Endpoint local() const noexcept override;
  void close() noexcept override;

  ListenerEvents& events;
  LwipListener* next = nullptr;
  bool accepting = true;

 private:
  tcp_pcb* pcb_;
};

/// lwIP's TCP. Its callbacks only note what has happened; `dispatch`, called by the main loop outside of
/// lwIP, tells the owners.
class LwipNetwork final : public Network {
 public:
  /// Initialises lwIP. There is one, from then on for ever.
  explicit LwipNetwork(LwipBoard& board) noexcept;
  LwipNetwork(const LwipNetwork&) = delete;
  LwipNetwork& operator=(const LwipNetwork&) = delete;

  static LwipNetwork& instance() noexcept { return *instance_; }
  LwipBoard& board() noexcept { return board_; }

  Result<Listener*> listen(const ListenOptions& options, void* storage,
                           ListenerEvents& events) noexcept override;
  /// lwIP has MEMP_NUM_TCP_PCB of them.
  std::size_t reserve_connections(std::size_t connections) noexcept override;
  Error check_address(const Endpoint& local) noexcept override;

  /// Sends what was kept back for bytes that were to follow.
  void flush() noexcept;
  /// Calls the owners of what has happened. False if nothing had.
  bool dispatch() noexcept;

  // ---- For the connections ----
  void add(LwipTransport& transport) noexcept;
  /// Also ends the dispatch of it.
  void remove(LwipTransport& transport) noexcept;
  /// Whether this one, whose owner was called, is still there.
  bool is_current(const LwipTransport& transport) const noexcept { return current_ == &transport; }
  /// Those who found no memory may try again.
  void memory_freed() noexcept { memory_freed_ = true; }
  /// Few frames can come in besides those that wait to be read.
  static bool short_of_frames() noexcept;
  /// Before lwIP looks at a packet of IPv4. When the last frames are at stake, bytes are cut off that nobody
  /// has asked for: their sender will send them again.
  void take_packet(pbuf& packet) noexcept;

  // ---- For the listeners ----
  void add_waiting(LwipListener& listener, tcp_pcb& pcb) noexcept;
  /// The one that has waited longest; null if none does.
  LwipWaiting* first_waiting(const LwipListener& listener) noexcept;
  void remove_waiting(LwipWaiting& waiting) noexcept;
  void remove(LwipListener& listener) noexcept;

 private:
  LwipTransport* find(const ip_addr_t& address, std::uint16_t port, std::uint16_t local_port) const noexcept;
  void on_interface_changed() noexcept { changed_ = true; }

  static LwipNetwork* instance_;

  LwipBoard& board_;
  netif_ext_callback_t interfaces_{};
  LwipTransport* transports_ = nullptr;
  LwipTransport* next_transport_ = nullptr;  ///< Where `dispatch` goes on, kept right by `remove`.
  LwipTransport* current_ = nullptr;         ///< Whose owner is being called; null once it is destroyed.
  LwipListener* listeners_ = nullptr;
  LwipListener* next_listener_ = nullptr;
  std::uint32_t arrivals_ = 0;
  bool memory_freed_ = false;
  bool changed_ = false;  ///< An interface, and nobody was told.
  std::uint16_t waiting_count_ = 0;
  LwipWaiting waiting_[MEMP_NUM_TCP_PCB];
};

}  // namespace microdot::inline MICRODOT_ABI
