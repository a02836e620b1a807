#pragma once
#if defined(ESP_PLATFORM)
#include <sys/poll.h>  // there is no other
#else
#include <poll.h>
#endif

#include <atomic>
#include <cstdint>
#include <type_traits>

#include <microdot/port/port.hpp>

#include "config.hpp"
#include "wake.hpp"

namespace microdot::inline MICRODOT_ABI {

class PosixTransport;
class PosixListener;
class PosixNetwork;

/// poll(2). Each descriptor has a slot of a table from when it is added to when it is removed; a slot carries
/// the address of its owner, whose lowest two bits say which kind.
///
/// The table has as many slots as the process may have descriptors. On hosts its pages are mapped, and taken
/// from the system as they are touched; elsewhere it is a part of the poller.
class PosixPoller final : public Poller {
 public:
  using Slot = std::conditional_t<bool(MICRODOT_HOSTED), std::uint32_t, std::uint16_t>;

  constexpr PosixPoller() noexcept = default;
  void bind(PosixNetwork& network) noexcept { network_ = &network; }

  void poll(Duration timeout) noexcept override;
  void wake() noexcept override;
#if MICRODOT_HOSTED
  void watch_exit_signals() noexcept override;
  void unwatch_exit_signals() noexcept override;
  unsigned exit_signals() const noexcept override;
  Result<void> watch(int fd, DescriptorEvents& events, bool read, bool write) noexcept override;
  void unwatch(int fd, DescriptorEvents& events) noexcept override;
  bool watch_signal(int number) noexcept override;
  void unwatch_signal(int number) noexcept override;
  unsigned signals(int number) const noexcept override;
#endif

  /// Makes the table and the descriptors to be woken by, if they are not there yet. Errors: `no_descriptors`,
  /// `no_memory`.
  Result<void> open() noexcept;
  /// Gives them back, at the end of the thread.
  void close() noexcept;
  /// Lets the table follow the process's limit of descriptors. False if there is no memory.
  bool grow() noexcept;

  /// Errors: `no_memory`.
  Result<Slot> add(int fd, PosixTransport& transport, short events) noexcept;
  Result<Slot> add(int fd, PosixListener& listener, short events) noexcept;
  void set_events(Slot slot, short events) noexcept;
  /// Nothing is told of the descriptor until `set_events`.
  void mute(Slot slot) noexcept;
  int descriptor(Slot slot) const noexcept;
  /// Frees the slot, and forgets events that are still to be told. Returns the descriptor.
  int remove(Slot slot) noexcept;

  /// From any thread: the network's watchers are told with the next poll.
  void network_changed() noexcept;

 private:
  /// What `wake` and `poll` agree on: a waker writes only if the poller sleeps.
  enum WakeState : unsigned { kRunning, kSleeping, kWoken };

  static constexpr Slot kWakeSlot = 0;

  Result<Slot> add(int fd, std::uintptr_t owner, short events) noexcept;
  /// How many descriptors have events.
  int wait(Duration timeout) noexcept;
  void dispatch(int ready) noexcept;
  void dispatch(Slot slot) noexcept;

  pollfd* fds_ = nullptr;  ///< A negative descriptor is no descriptor, or a muted one's complement.
  std::uintptr_t* owners_ = nullptr;  ///< 0: a free slot.
  std::size_t capacity_ = 0;
  Slot count_ = 0;     ///< Slots up to the last one in use.
  Slot may_free_ = 0;  ///< No slot before this one is free.
  bool dispatching_ = false;
  PosixNetwork* network_ = nullptr;
  WakePair wake_;
  std::atomic<unsigned> wake_state_{kRunning};
  std::atomic<bool> network_changed_{false};
#if MICRODOT_HOSTED
  unsigned watches_ = 0;
  unsigned signals_before_ = 0;  ///< Signals of earlier watches.
  unsigned signals_base_ = 0;    ///< The process's count when this watch began.
#else
  static constexpr std::size_t kSlots = MICRODOT_POSIX_SOCKETS + 1;
  pollfd own_fds_[kSlots] = {};
  std::uintptr_t own_owners_[kSlots] = {};
#endif
};

}  // namespace microdot::inline MICRODOT_ABI
