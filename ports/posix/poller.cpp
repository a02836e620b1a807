#include "poller.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>

#if MICRODOT_HOSTED
#include <sys/mman.h>
#include <sys/resource.h>

#include "ports/common/signals.hpp"
#endif

#include "sockets.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

constexpr std::uintptr_t kFreeSlot = 0;
constexpr std::uintptr_t kListener = 1;
constexpr std::uintptr_t kDescriptor = 2;
constexpr std::uintptr_t kWake = 3;  // no address

#if MICRODOT_HOSTED
constexpr std::size_t kSlotBytes = sizeof(pollfd) + sizeof(std::uintptr_t);

std::size_t wanted_slots() noexcept {
  constexpr rlim_t kMost = 1 << 22;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  return static_cast<std::size_t>(std::clamp<rlim_t>(limit.rlim_cur, 16, kMost));
}
#endif

}  // namespace

#if MICRODOT_HOSTED

bool PosixPoller::grow() noexcept {
  const std::size_t wanted = wanted_slots();
  if (wanted <= capacity_) return true;
  void* const memory =
      mmap(nullptr, wanted * kSlotBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  auto* const owners = static_cast<std::uintptr_t*>(memory);
  auto* const fds = reinterpret_cast<pollfd*>(owners + wanted);
  if (capacity_ != 0) {
    std::memcpy(owners, owners_, count_ * sizeof *owners);
    std::memcpy(fds, fds_, count_ * sizeof *fds);
    munmap(owners_, capacity_ * kSlotBytes);
  }
  owners_ = owners;
  fds_ = fds;
  capacity_ = wanted;
  return true;
}

#else

bool PosixPoller::grow() noexcept {
  fds_ = own_fds_;
  owners_ = own_owners_;
  capacity_ = kSlots;
  return true;
}

#endif

Result<void> PosixPoller::open() noexcept {
  if (wake_.is_open()) return {};
  if (!grow()) return Error::no_memory;
  if (const auto opened = wake_.open(); !opened) return opened.error();
  (void)add(wake_.read_end(), kWake, POLLIN);  // the first slot
  return {};
}

void PosixPoller::close() noexcept {
  if (!wake_.is_open()) return;
#if MICRODOT_HOSTED
  if (watches_ != 0) {
    watches_ = 1;
    unwatch_exit_signals();
  }
  Signals::forget(wake_.write_end());
#endif
  (void)remove(kWakeSlot);
  wake_.close();
#if MICRODOT_HOSTED
  if (count_ != 0) return;  // objects of static storage will close their sockets later
  munmap(owners_, capacity_ * kSlotBytes);
  capacity_ = 0;
#endif
}

void PosixPoller::poll(Duration timeout) noexcept {
  assert(!dispatching_);  // never from inside a callback
  if (!open()) {
    // No descriptor is left in the process. Timers must go on, and so must those that will give some back.
    constexpr Duration kRetry = std::chrono::milliseconds(10);
    const bool woken = wake_state_.exchange(kRunning) == kWoken;
    if (!woken && timeout.count() != 0)
      usleep(static_cast<useconds_t>((timeout.count() < 0 || timeout > kRetry ? kRetry : timeout).count()));
    return;
  }
  unsigned running = kRunning;
  if (timeout.count() != 0 && !wake_state_.compare_exchange_strong(running, kSleeping))
    timeout = Duration::zero();
  const int ready = wait(timeout);
  wake_state_.exchange(kRunning);
  dispatching_ = true;
  if (network_changed_.load(std::memory_order_relaxed) && network_changed_.exchange(false))
    network_->on_changed();
  dispatch(ready);
  dispatching_ = false;
}

int PosixPoller::wait(Duration timeout) noexcept {
  constexpr std::int64_t kLongest = 24 * 3600 * 1000;
  const std::int64_t micros = timeout.count();
  const std::int64_t millis = micros < 0 ? -1 : std::min(micros / 1000 + (micros % 1000 != 0), kLongest);
  return ::poll(fds_, count_, static_cast<int>(millis));  // EINTR: the caller looks again
}

void PosixPoller::dispatch(int ready) noexcept {
  for (Slot slot = 0; ready > 0 && slot < count_; ++slot) {
    if (fds_[slot].revents == 0) continue;
    --ready;
    dispatch(slot);
    if (slot < count_) fds_[slot].revents = 0;
  }
}

void PosixPoller::dispatch(Slot slot) noexcept {
  const std::uintptr_t owner = owners_[slot];
  const short events = fds_[slot].revents;
  if (owner == kWake) {
    wake_.drain();
  } else if ((owner & kListener) != 0) {
    reinterpret_cast<PosixListener*>(owner & ~kListener)->on_event();
#if MICRODOT_HOSTED
  } else if ((owner & kDescriptor) != 0) {
    if ((events & POLLNVAL) != 0) return mute(slot);  // closed: it would never be quiet
    const bool failed = (events & (POLLERR | POLLHUP)) != 0;
    reinterpret_cast<DescriptorEvents*>(owner & ~kDescriptor)
        ->on_descriptor(failed || (events & POLLIN) != 0, failed || (events & POLLOUT) != 0);
#endif
  } else {
    // A callback may close the transport; `remove` then blanks the entry, so look before each.
    auto& transport = *reinterpret_cast<PosixTransport*>(owner);
    transport.on_event(events);
    if (slot < count_ && fds_[slot].revents != 0) transport.on_event_out(events);
  }
}

void PosixPoller::wake() noexcept {
  if (wake_state_.exchange(kWoken) == kSleeping) wake_.wake();
}

void PosixPoller::network_changed() noexcept {
  network_changed_.store(true);
  wake();
}

Result<PosixPoller::Slot> PosixPoller::add(int fd, PosixTransport& transport, short events) noexcept {
  return add(fd, reinterpret_cast<std::uintptr_t>(&transport), events);
}
Result<PosixPoller::Slot> PosixPoller::add(int fd, PosixListener& listener, short events) noexcept {
  return add(fd, reinterpret_cast<std::uintptr_t>(&listener) | kListener, events);
}

Result<PosixPoller::Slot> PosixPoller::add(int fd, std::uintptr_t owner, short events) noexcept {
  Slot slot = may_free_;
  while (slot < count_ && owners_[slot] != kFreeSlot) ++slot;
  if (slot == capacity_) return Error::no_memory;
  owners_[slot] = owner;
  fds_[slot] = {fd, events, 0};
  may_free_ = static_cast<Slot>(slot + 1);
  count_ = std::max(count_, may_free_);
  return slot;
}

int PosixPoller::descriptor(Slot slot) const noexcept {
  const int fd = fds_[slot].fd;
  return fd < 0 ? ~fd : fd;
}

void PosixPoller::set_events(Slot slot, short events) noexcept {
  fds_[slot].fd = descriptor(slot);
  fds_[slot].events = events;
}

void PosixPoller::mute(Slot slot) noexcept { fds_[slot].fd = ~descriptor(slot); }

int PosixPoller::remove(Slot slot) noexcept {
  const int fd = descriptor(slot);
  owners_[slot] = kFreeSlot;
  fds_[slot] = {-1, 0, 0};
  may_free_ = std::min(may_free_, slot);
  while (count_ != 0 && owners_[count_ - 1] == kFreeSlot) --count_;
  return fd;
}

#if MICRODOT_HOSTED

Result<void> PosixPoller::watch(int fd, DescriptorEvents& events, bool read, bool write) noexcept {
  if (const auto opened = open(); !opened) return opened.error();
  unwatch(fd, events);
  if (!read && !write) return {};  // poll tells of failures even if it was asked for nothing
  if (fcntl(fd, F_GETFD) < 0) return Error::invalid;
  const int wanted = (read ? POLLIN : 0) | (write ? POLLOUT : 0);
  const auto added =
      add(fd, reinterpret_cast<std::uintptr_t>(&events) | kDescriptor, static_cast<short>(wanted));
  if (!added) return added.error();
  return {};
}

void PosixPoller::unwatch(int fd, DescriptorEvents& events) noexcept {
  const std::uintptr_t owner = reinterpret_cast<std::uintptr_t>(&events) | kDescriptor;
  for (Slot slot = 0; slot < count_; ++slot) {
    if (owners_[slot] == owner && descriptor(slot) == fd) (void)remove(slot);
  }
}

void PosixPoller::watch_exit_signals() noexcept {
  if (watches_++ != 0) return;
  (void)open();
  Signals::watch_exit(wake_.write_end());
  signals_base_ = Signals::exit_count();
}

void PosixPoller::unwatch_exit_signals() noexcept {
  assert(watches_ != 0);
  if (--watches_ != 0) return;
  Signals::unwatch_exit(wake_.write_end());
  signals_before_ += Signals::exit_count() - signals_base_;
}

unsigned PosixPoller::exit_signals() const noexcept {
  return signals_before_ + (watches_ != 0 ? Signals::exit_count() - signals_base_ : 0);
}

bool PosixPoller::watch_signal(int number) noexcept {
  return open() && Signals::can_wait_for(number) && Signals::watch(number, wake_.write_end());
}

void PosixPoller::unwatch_signal(int number) noexcept { Signals::unwatch(number, wake_.write_end()); }

unsigned PosixPoller::signals(int number) const noexcept { return Signals::count(number); }

#endif

}  // namespace microdot::inline MICRODOT_ABI
