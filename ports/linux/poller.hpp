#pragma once
#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <span>

#include <microdot/port/port.hpp>

namespace microdot::inline MICRODOT_ABI {

class LinuxFiles;
class LinuxTransport;
class LinuxListener;
class LinuxNetwork;

/// epoll, level-triggered. Each registration carries the address of its owner; the lowest two bits say which
/// kind.
class LinuxPoller final : public Poller {
 public:
  constexpr LinuxPoller() noexcept = default;

  void poll(Duration timeout) noexcept override;
  void wake() noexcept override;
  void watch_exit_signals() noexcept override;
  void unwatch_exit_signals() noexcept override;
  unsigned exit_signals() const noexcept override;
  Result<void> watch(int fd, DescriptorEvents& events, bool read, bool write) noexcept override;
  void unwatch(int fd, DescriptorEvents& events) noexcept override;
  bool watch_signal(int number) noexcept override;
  void unwatch_signal(int number) noexcept override;
  unsigned signals(int number) const noexcept override;

  /// Before anything else: `files` are told of batches.
  void bind(LinuxFiles& files) noexcept { files_ = &files; }
  /// Makes the epoll and the event descriptor if they are not there yet. Errors: `no_descriptors`,
  /// `no_memory`.
  Result<void> open() noexcept;
  /// Closes both, at the end of the thread.
  void close() noexcept;

  Result<void> add(int fd, LinuxTransport& transport, std::uint32_t events) noexcept;
  Result<void> add(int fd, LinuxListener& listener, std::uint32_t events) noexcept;
  Result<void> add(int fd, LinuxNetwork& network, std::uint32_t events) noexcept;
  void modify(int fd, LinuxTransport& transport, std::uint32_t events) noexcept;
  void modify(int fd, LinuxListener& listener, std::uint32_t events) noexcept;
  /// Ends a registration, and forgets events of the batch in hand that were meant for it.
  void remove(int fd, LinuxTransport& transport) noexcept;
  void remove(int fd, LinuxListener& listener) noexcept;
  void remove(int fd, LinuxNetwork& network) noexcept;
  /// Gives back descriptors that are only kept for a while; false if there are none.
  bool close_unused_files() noexcept;

 private:
  /// What `wake` and `poll` agree on: a waker writes to the event descriptor only if the poller sleeps.
  enum WakeState : unsigned { kRunning, kSleeping, kWoken };

  static std::uint64_t key(const LinuxTransport& transport) noexcept;
  static std::uint64_t key(const LinuxListener& listener) noexcept;
  static std::uint64_t key(const LinuxNetwork& network) noexcept;
  static std::uint64_t key(const DescriptorEvents& events) noexcept;
  int wait(Duration timeout) noexcept;
  void dispatch(std::uint64_t key, std::uint32_t events, int index) noexcept;
  void remove(int fd, std::uint64_t key) noexcept;

  static constexpr int kBatch = 128;

  epoll_event batch_[kBatch] = {};
  int batch_size_ = 0;
  int batch_at_ = 0;
  int epoll_ = -1;
  int event_ = -1;
  std::atomic<unsigned> wake_state_{kRunning};
  bool pwait2_missing_ = false;
  LinuxFiles* files_ = nullptr;
  unsigned watches_ = 0;
  unsigned signals_before_ = 0;  ///< Signals of earlier watches.
  unsigned signals_base_ = 0;    ///< The process's count when this watch began.
};

}  // namespace microdot::inline MICRODOT_ABI
