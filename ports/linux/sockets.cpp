#define _FILE_OFFSET_BITS 64  // sendfile beyond 2 GiB on 32-bit systems
#include "sockets.hpp"

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <new>

#include "files.hpp"
#include "ports/common/errors.hpp"
#include "ports/common/sockets.hpp"

namespace microdot::inline MICRODOT_ABI {

static_assert(sizeof(LinuxTransport) <= kTransportBytes && alignof(LinuxTransport) <= alignof(void*));
static_assert(sizeof(LinuxListener) <= kListenerBytes && alignof(LinuxListener) <= alignof(void*));

// ---- Transport -------------------------------------------------------------------------------------

LinuxTransport::LinuxTransport(LinuxPoller& poller, TransportEvents& events, int fd,
                               const Endpoint& peer) noexcept
    : poller_(poller),
      events_(events),
      fd_(fd),
      peer_port_(peer.port),
      peer_family_(peer.family),
      peer_address_(peer.address) {}

Result<std::size_t> LinuxTransport::read(std::span<char> buffer) noexcept {
  for (;;) {
    const ssize_t size = recv(fd_, buffer.data(), buffer.size(), 0);
    if (size < 0) {
      if (errno == EINTR) continue;
      return stream_error(errno);
    }
    if (size == 0) put(kEnded, true);
    return static_cast<std::size_t>(size);
  }
}

Result<std::size_t> LinuxTransport::write(std::span<const ConstBuffer> pieces, bool more) noexcept {
  constexpr std::size_t kPieces = 64;
  if (pieces.empty()) return std::size_t{0};
  iovec vectors[kPieces];
  const std::size_t count = std::min(pieces.size(), kPieces);
  for (std::size_t i = 0; i < count; ++i) vectors[i] = {const_cast<char*>(pieces[i].data), pieces[i].size};
  const int flags = MSG_NOSIGNAL | (more || count < pieces.size() ? MSG_MORE : 0);
  for (;;) {
    ssize_t size;
    if (count == 1) {
      size = send(fd_, pieces[0].data, pieces[0].size, flags);
    } else {
      msghdr message{};
      message.msg_iov = vectors;
      message.msg_iovlen = count;
      size = sendmsg(fd_, &message, flags);
    }
    if (size >= 0) return static_cast<std::size_t>(size);
    if (errno != EINTR) return stream_error(errno);
  }
}

Result<std::size_t> LinuxTransport::write_file(const FileReader& file, std::uint64_t offset,
                                               std::size_t size) noexcept {
  if (!LinuxFiles::owns(file)) return Error::unsupported;  // its handle is no descriptor
  if (size == 0) return std::size_t{0};
  for (;;) {
    auto at = static_cast<off_t>(offset);
    const ssize_t sent = sendfile(fd_, static_cast<int>(file.handle()), &at, size);
    if (sent > 0) return static_cast<std::size_t>(sent);
    if (sent == 0) return Error::io;  // the file has become shorter
    switch (errno) {
      case EINTR: continue;
      case EINVAL:
      case ENOSYS: return Error::unsupported;
      case EIO:
      case ENOMEM:
      case EOVERFLOW:
      case ESPIPE: return Error::io;
      default: return stream_error(errno);
    }
  }
}

void LinuxTransport::arm(bool read, bool write) noexcept {
  put(kArmedRead, read);
  put(kArmedWrite, write);
  poller_.modify(fd_, *this, (read ? std::uint32_t{EPOLLIN} : 0) | (write ? std::uint32_t{EPOLLOUT} : 0));
}

void LinuxTransport::set_interest(bool read, bool write) noexcept {
  put(kWantRead, read);
  put(kWantWrite, write);
  if (has(kGone)) return;
  const bool readable = read && !has(kEnded);
  if ((readable && !has(kArmedRead)) || write != has(kArmedWrite)) arm(readable, write);
}

void LinuxTransport::on_event(std::uint32_t events) noexcept {
  const bool readable = has(kWantRead) && !has(kEnded);
  // A reset is EPOLLERR. EPOLLHUP alone means FIN in both directions, which is a reason to read what is left;
  // who wants to read nothing learns that the connection is over. Neither can be masked: leave epoll, or it
  // spins.
  if ((events & EPOLLERR) != 0 || ((events & EPOLLHUP) != 0 && !readable)) {
    put(kGone, true);
    poller_.remove(fd_, *this);
    events_.on_gone();
  } else if ((events & EPOLLIN) != 0) {
    if (readable) {
      events_.on_readable();
    } else {
      arm(false, has(kWantWrite));
    }
  }
}

void LinuxTransport::on_event_out(std::uint32_t events) noexcept {
  if ((events & EPOLLOUT) != 0 && has(kWantWrite)) events_.on_writable();
}

void LinuxTransport::shutdown_write() noexcept { shutdown(fd_, SHUT_WR); }

bool LinuxTransport::close(bool abort) noexcept {
  if (!has(kGone)) poller_.remove(fd_, *this);
  if (abort) reset_on_close(fd_);
  ::close(fd_);
  this->~LinuxTransport();
  return true;
}

Endpoint LinuxTransport::peer() const noexcept {
  Endpoint endpoint;
  endpoint.address = peer_address_;
  endpoint.port = peer_port_;
  endpoint.family = peer_family_;
  return endpoint;
}

// ---- Listener --------------------------------------------------------------------------------------

Result<Transport*> LinuxListener::accept(void* storage, TransportEvents& events) noexcept {
  Endpoint peer;
  int fd = accept_connection(fd_, peer);
  if (fd < 0 && accept_error(errno) == Error::no_descriptors && poller_.close_unused_files())
    fd = accept_connection(fd_, peer);
  if (fd < 0) return accept_error(errno);
  auto* transport = ::new (storage) LinuxTransport(poller_, events, fd, peer);
  if (const auto added = poller_.add(fd, *transport, EPOLLIN); !added) {
    ::close(fd);
    transport->~LinuxTransport();
    return added.error();
  }
  return static_cast<Transport*>(transport);
}

void LinuxListener::set_accepting(bool on) noexcept {
  if (std::exchange(accepting_, on) != on) poller_.modify(fd_, *this, on ? std::uint32_t{EPOLLIN} : 0);
}

Endpoint LinuxListener::local() const noexcept { return local_address(fd_); }

void LinuxListener::close() noexcept {
  poller_.remove(fd_, *this);
  ::close(fd_);
  this->~LinuxListener();
}

}  // namespace microdot::inline MICRODOT_ABI
