#include "wake.hpp"

#include <unistd.h>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "config.hpp"

#if MICRODOT_POSIX_WAKE == MICRODOT_POSIX_PIPE
#include <fcntl.h>
#elif MICRODOT_POSIX_WAKE == MICRODOT_POSIX_EVENTFD
#if defined(ESP_PLATFORM)
#include <esp_vfs_eventfd.h>
#else
#include <sys/eventfd.h>
#endif
#else
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#endif

namespace microdot::inline MICRODOT_ABI {
namespace {

#if MICRODOT_POSIX_WAKE == MICRODOT_POSIX_EVENTFD

bool open_pair(int& read_end, int& write_end) noexcept {
#if defined(ESP_PLATFORM)
  const esp_vfs_eventfd_config_t config = ESP_VFS_EVENTD_CONFIG_DEFAULT();
  const esp_err_t registered = esp_vfs_eventfd_register(&config);
  if (registered != ESP_OK && registered != ESP_ERR_INVALID_STATE)
    return false;  // the latter: it was already
  read_end = write_end = eventfd(0, EFD_SUPPORT_ISR);
#else
  read_end = write_end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
#endif
  return read_end >= 0;
}

#else

void set_flags(int fd) noexcept {
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

#if MICRODOT_POSIX_WAKE == MICRODOT_POSIX_PIPE

bool open_pair(int& read_end, int& write_end) noexcept {
  int ends[2];
  if (pipe(ends) != 0) return false;
  read_end = ends[0];
  write_end = ends[1];
  set_flags(read_end);
  set_flags(write_end);
  return true;
}

#else

/// A socket that is connected to itself: nobody else's datagrams come in.
bool open_pair(int& read_end, int& write_end) noexcept {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) return false;
  sockaddr_in self{};
  self.sin_family = AF_INET;
  self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const address = reinterpret_cast<sockaddr*>(&self);
  socklen_t length = sizeof self;
  if (bind(fd, address, length) != 0 || getsockname(fd, address, &length) != 0 ||
      connect(fd, address, length) != 0) {
    ::close(fd);
    return false;
  }
  set_flags(fd);
  read_end = write_end = fd;
  return true;
}

#endif
#endif

}  // namespace

Result<void> WakePair::open() noexcept {
  if (is_open() || open_pair(read_, write_)) return {};
  return errno == ENOMEM ? Error::no_memory : Error::no_descriptors;
}

void WakePair::close() noexcept {
  if (read_ >= 0) ::close(read_);
  if (write_ >= 0 && write_ != read_) ::close(write_);
  read_ = write_ = -1;
}

void WakePair::wake() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto size = ::write(write_, &one, sizeof one);  // full: it will wake
}

void WakePair::drain() noexcept {
  // An eventfd gives eight bytes and takes no other size; a pipe may hold several signals'.
  constexpr std::size_t kCounts = MICRODOT_POSIX_WAKE == MICRODOT_POSIX_PIPE ? 8 : 1;
  std::uint64_t counts[kCounts];
  [[maybe_unused]] const auto size = ::read(read_, counts, sizeof counts);
}

}  // namespace microdot::inline MICRODOT_ABI
