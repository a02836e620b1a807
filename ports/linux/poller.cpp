#include "poller.hpp"

#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cassert>
#include <cerrno>
#include <ctime>

#include "files.hpp"
#include "ports/common/signals.hpp"
#include "sockets.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

constexpr std::uint64_t kWakeKey = 0;
constexpr std::uint64_t kListener = 1;
constexpr std::uint64_t kNetwork = 2;
constexpr std::uint64_t kDescriptor = 3;
constexpr std::uint64_t kKinds = 3;

Result<void> control(int epoll, int operation, int fd, std::uint64_t key, std::uint32_t events) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.u64 = key;
  if (epoll_ctl(epoll, operation, fd, &event) == 0) return {};
  return errno == ENOMEM ? Error::no_memory : Error::no_descriptors;  // ENOSPC: the user's limit of watches
}

void sleep_for(Duration timeout) noexcept {
  timespec time{};
  time.tv_sec = static_cast<time_t>(timeout.count() / 1'000'000);
  time.tv_nsec = static_cast<long>(timeout.count() % 1'000'000 * 1000);
  nanosleep(&time, nullptr);
}

}  // namespace

std::uint64_t LinuxPoller::key(const LinuxTransport& transport) noexcept {
  return reinterpret_cast<std::uintptr_t>(&transport);
}
std::uint64_t LinuxPoller::key(const LinuxListener& listener) noexcept {
  return reinterpret_cast<std::uintptr_t>(&listener) | kListener;
}
std::uint64_t LinuxPoller::key(const LinuxNetwork& network) noexcept {
  return reinterpret_cast<std::uintptr_t>(&network) | kNetwork;
}
std::uint64_t LinuxPoller::key(const DescriptorEvents& events) noexcept {
  return reinterpret_cast<std::uintptr_t>(&events) | kDescriptor;
}

Result<void> LinuxPoller::open() noexcept {
  if (epoll_ >= 0) return {};
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return errno == ENOMEM ? Error::no_memory : Error::no_descriptors;
  const int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event < 0 || !control(epoll, EPOLL_CTL_ADD, event, kWakeKey, EPOLLIN)) {
    const int number = errno;
    if (event >= 0) ::close(event);
    ::close(epoll);
    return number == ENOMEM ? Error::no_memory : Error::no_descriptors;
  }
  epoll_ = epoll;
  event_ = event;
  return {};
}

void LinuxPoller::close() noexcept {
  if (watches_ != 0) {
    watches_ = 1;
    unwatch_exit_signals();
  }
  Signals::forget(event_);
  if (epoll_ >= 0) ::close(epoll_);
  if (event_ >= 0) ::close(event_);
  epoll_ = event_ = -1;
}

void LinuxPoller::poll(Duration timeout) noexcept {
  assert(batch_size_ == 0);  // never from inside a callback
  if (!open()) {
    // No descriptor is left in the process. Timers must go on, and so must those that will give some back.
    constexpr Duration kRetry = std::chrono::milliseconds(10);
    if (wake_state_.exchange(kRunning) != kWoken && timeout.count() != 0)
      sleep_for(timeout.count() < 0 || timeout > kRetry ? kRetry : timeout);
    return;
  }
  unsigned running = kRunning;
  if (timeout.count() != 0 && !wake_state_.compare_exchange_strong(running, kSleeping))
    timeout = Duration::zero();
  const int count = wait(timeout);
  wake_state_.exchange(kRunning);
  if (count == 0) return;
  batch_size_ = count;
  files_->begin_batch();
  for (batch_at_ = 0; batch_at_ < batch_size_; ++batch_at_) {
    const epoll_event event = batch_[batch_at_];
    if (event.events != 0) dispatch(event.data.u64, event.events, batch_at_);
  }
  batch_size_ = 0;
  files_->end_batch();
}

int LinuxPoller::wait(Duration timeout) noexcept {
  const std::int64_t micros = timeout.count();
#ifdef SYS_epoll_pwait2
  if (micros > 0 && !pwait2_missing_) {
    const struct {  // the kernel's own layout, the same on 32-bit systems
      std::int64_t seconds, nanos;
    } time{micros / 1'000'000, micros % 1'000'000 * 1000};
    const long count = syscall(SYS_epoll_pwait2, epoll_, batch_, kBatch, &time, nullptr, 0);
    if (count >= 0) return static_cast<int>(count);
    if (errno != ENOSYS && errno != EPERM) return 0;
    pwait2_missing_ = true;
  }
#endif
  constexpr std::int64_t kLongest = 24 * 3600 * 1000;
  const std::int64_t millis = micros < 0 ? -1 : micros / 1000 + (micros % 1000 != 0);
  const int count =
      epoll_wait(epoll_, batch_, kBatch, static_cast<int>(millis > kLongest ? kLongest : millis));
  return count < 0 ? 0 : count;  // EINTR: the caller looks again
}

void LinuxPoller::dispatch(std::uint64_t key, std::uint32_t events, int index) noexcept {
  if (key == kWakeKey) {
    std::uint64_t count;
    [[maybe_unused]] const auto size = ::read(event_, &count, sizeof count);
  } else if ((key & kKinds) == kListener) {
    reinterpret_cast<LinuxListener*>(static_cast<std::uintptr_t>(key & ~kKinds))->on_event();
  } else if ((key & kKinds) == kNetwork) {
    reinterpret_cast<LinuxNetwork*>(static_cast<std::uintptr_t>(key & ~kKinds))->on_event();
  } else if ((key & kKinds) == kDescriptor) {
    const bool failed = (events & (EPOLLERR | EPOLLHUP)) != 0;
    reinterpret_cast<DescriptorEvents*>(static_cast<std::uintptr_t>(key & ~kKinds))
        ->on_descriptor(failed || (events & EPOLLIN) != 0, failed || (events & EPOLLOUT) != 0);
  } else {
    // A callback may close the transport; `remove` then blanks the entry, so look before each.
    auto& transport = *reinterpret_cast<LinuxTransport*>(static_cast<std::uintptr_t>(key));
    transport.on_event(events);
    if (batch_[index].events != 0) transport.on_event_out(events);
  }
}

void LinuxPoller::wake() noexcept {
  if (wake_state_.exchange(kWoken) != kSleeping) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto size = ::write(event_, &one, sizeof one);
}

Result<void> LinuxPoller::add(int fd, LinuxTransport& transport, std::uint32_t events) noexcept {
  return control(epoll_, EPOLL_CTL_ADD, fd, key(transport), events);
}
Result<void> LinuxPoller::add(int fd, LinuxListener& listener, std::uint32_t events) noexcept {
  return control(epoll_, EPOLL_CTL_ADD, fd, key(listener), events);
}
Result<void> LinuxPoller::add(int fd, LinuxNetwork& network, std::uint32_t events) noexcept {
  return control(epoll_, EPOLL_CTL_ADD, fd, key(network), events);
}
void LinuxPoller::modify(int fd, LinuxTransport& transport, std::uint32_t events) noexcept {
  (void)control(epoll_, EPOLL_CTL_MOD, fd, key(transport), events);
}
void LinuxPoller::modify(int fd, LinuxListener& listener, std::uint32_t events) noexcept {
  (void)control(epoll_, EPOLL_CTL_MOD, fd, key(listener), events);
}
void LinuxPoller::remove(int fd, LinuxTransport& transport) noexcept { remove(fd, key(transport)); }
void LinuxPoller::remove(int fd, LinuxListener& listener) noexcept { remove(fd, key(listener)); }
void LinuxPoller::remove(int fd, LinuxNetwork& network) noexcept { remove(fd, key(network)); }

void LinuxPoller::remove(int fd, std::uint64_t key) noexcept {
  // Closing alone is not enough: a child between fork and exec keeps the registration alive, and its events
  // would reach freed storage.
  (void)control(epoll_, EPOLL_CTL_DEL, fd, key, 0);
  for (int i = batch_at_; i < batch_size_; ++i) {
    if (batch_[i].data.u64 == key) batch_[i].events = 0;
  }
}

bool LinuxPoller::close_unused_files() noexcept { return files_->close_unused(); }

Result<void> LinuxPoller::watch(int fd, DescriptorEvents& events, bool read, bool write) noexcept {
  if (const auto opened = open(); !opened) return opened.error();
  if (!read && !write) {  // epoll tells of failures even if it was asked for nothing
    remove(fd, key(events));
    return {};
  }
  const std::uint32_t wanted = (read ? EPOLLIN : 0U) | (write ? EPOLLOUT : 0U);
  if (control(epoll_, EPOLL_CTL_MOD, fd, key(events), wanted)) return {};
  if (errno == ENOENT && control(epoll_, EPOLL_CTL_ADD, fd, key(events), wanted)) return {};
  if (errno == EBADF || errno == EPERM) return Error::invalid;
  return errno == ENOMEM ? Error::no_memory : Error::no_descriptors;
}

void LinuxPoller::unwatch(int fd, DescriptorEvents& events) noexcept { remove(fd, key(events)); }

void LinuxPoller::watch_exit_signals() noexcept {
  if (watches_++ != 0) return;
  (void)open();
  Signals::watch_exit(event_);
  signals_base_ = Signals::exit_count();
}

void LinuxPoller::unwatch_exit_signals() noexcept {
  assert(watches_ != 0);
  if (--watches_ != 0) return;
  Signals::unwatch_exit(event_);
  signals_before_ += Signals::exit_count() - signals_base_;
}

unsigned LinuxPoller::exit_signals() const noexcept {
  return signals_before_ + (watches_ != 0 ? Signals::exit_count() - signals_base_ : 0);
}

bool LinuxPoller::watch_signal(int number) noexcept {
  return open() && Signals::can_wait_for(number) && Signals::watch(number, event_);
}

void LinuxPoller::unwatch_signal(int number) noexcept { Signals::unwatch(number, event_); }

unsigned LinuxPoller::signals(int number) const noexcept { return Signals::count(number); }

}  // namespace microdot::inline MICRODOT_ABI
