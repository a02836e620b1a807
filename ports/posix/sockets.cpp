#include "sockets.hpp"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <new>

#include "ports/common/errors.hpp"
#include "ports/common/sockets.hpp"
#include "system.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

static_assert(sizeof(PosixTransport) <= kTransportBytes && alignof(PosixTransport) <= alignof(void*));
static_assert(sizeof(PosixListener) <= kListenerBytes && alignof(PosixListener) <= alignof(void*));

#ifdef MSG_NOSIGNAL
constexpr int kNoSignal = MSG_NOSIGNAL;
#else
constexpr int kNoSignal = 0;  // accepted sockets have SO_NOSIGPIPE
#endif
#ifdef MSG_MORE
constexpr int kMore = MSG_MORE;
#else
constexpr int kMore = 0;
#endif

// Where nothing is wanted, ask for what never comes, to be told of a reset. What else comes is unwanted.
constexpr short kNothing = MICRODOT_POSIX_POLL_IS_SELECT ? POLLPRI : 0;

}  // namespace

// ---- Transport -------------------------------------------------------------------------------------

PosixTransport::PosixTransport(PosixPoller& poller, TransportEvents& events, const Endpoint& peer) noexcept
    : poller_(poller), events_(events), peer_port_(peer.port), peer_family_(peer.family) {
  std::copy_n(peer.address.begin(), kPeerBytes, peer_address_);
}

Endpoint PosixTransport::peer() const noexcept {
  if (kPeerBytes < 16 && peer_family_ == Endpoint::Family::ipv6) return peer_address(descriptor());
  Endpoint peer;
  std::copy_n(peer_address_, kPeerBytes, peer.address.begin());
  peer.port = peer_port_;
  peer.family = peer_family_;
  return peer;
}

Result<std::size_t> PosixTransport::read(std::span<char> buffer) noexcept {
  if (has(kGone)) return Error::closed;
  for (;;) {
    const ssize_t size = recv(descriptor(), buffer.data(), buffer.size(), 0);
    if (size < 0) {
      if (errno == EINTR) continue;
      return stream_error(errno);
    }
    if (size == 0) {
      put(kEnded, true);
      set_interest(has(kWantRead), has(kWantWrite));
    }
    return static_cast<std::size_t>(size);
  }
}

Result<std::size_t> PosixTransport::write(std::span<const ConstBuffer> pieces, bool more) noexcept {
  constexpr std::size_t kPieces = MICRODOT_HOSTED ? 64 : 8;
  if (has(kGone)) return Error::closed;
  if (pieces.empty()) return std::size_t{0};
  iovec vectors[kPieces];
  const std::size_t count = std::min(pieces.size(), kPieces);
  for (std::size_t i = 0; i < count; ++i) vectors[i] = {const_cast<char*>(pieces[i].data), pieces[i].size};
  const int flags = kNoSignal | (more || count < pieces.size() ? kMore : 0);
  for (;;) {
    ssize_t size;
    if (count == 1) {
      size = send(descriptor(), pieces[0].data, pieces[0].size, flags);
    } else {
      msghdr message{};
      message.msg_iov = vectors;
      message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(count);
      size = sendmsg(descriptor(), &message, flags);
    }
    if (size >= 0) return static_cast<std::size_t>(size);
    if (errno != EINTR) return stream_error(errno);
  }
}

void PosixTransport::set_interest(bool read, bool write) noexcept {
  put(kWantRead, read);
  put(kWantWrite, write);
  if (has(kGone)) return;
  const int events = (wants_to_read() ? POLLIN : 0) | (write ? POLLOUT : 0);
  poller_.set_events(slot_, events != 0 ? static_cast<short>(events) : kNothing);
}

bool PosixTransport::failed() const noexcept {
  int number = 0;
  socklen_t length = sizeof number;
  return getsockopt(descriptor(), SOL_SOCKET, SO_ERROR, &number, &length) != 0 || number != 0;
}

void PosixTransport::on_event(short events) noexcept {
  // Systems differ in when they say POLLHUP: for a reset (then there is an error, too), for FIN in both
  // directions (a reason to read what is left; who wants to read nothing learns that the connection is over),
  // or for the peer's FIN alone, which is no reason for anything.
  const bool hung_up = (events & POLLHUP) != 0;
  if ((events & (POLLERR | POLLNVAL)) != 0 ||
      (hung_up && ((has(kFinished) && !wants_to_read()) || failed()))) {
    put(kGone, true);
    poller_.mute(slot_);
    events_.on_gone();
  } else if (wants_to_read()) {
    if (hung_up || (events & POLLIN) != 0) events_.on_readable();
  } else if (!has(kWantWrite)) {
    poller_.mute(slot_);  // unwanted, and it would come again and again
  }
}

void PosixTransport::on_event_out(short events) noexcept {
  if ((events & POLLOUT) != 0 && has(kWantWrite) && !has(kGone)) events_.on_writable();
}

void PosixTransport::shutdown_write() noexcept {
  put(kFinished, true);
  shutdown(descriptor(), SHUT_WR);
}

bool PosixTransport::close(bool abort) noexcept {
  const int fd = poller_.remove(slot_);
  if (abort) reset_on_close(fd);
  ::close(fd);
  this->~PosixTransport();
  return true;
}

// ---- Listener --------------------------------------------------------------------------------------

Result<Transport*> PosixListener::accept(void* storage, TransportEvents& events) noexcept {
  Endpoint peer;
  const int fd = accept_connection(poller_.descriptor(slot_), peer);
  if (fd < 0) return accept_error(errno);
  auto* transport = ::new (storage) PosixTransport(poller_, events, peer);
  const auto slot = poller_.add(fd, *transport, POLLIN);
  if (!slot) {
    ::close(fd);
    transport->~PosixTransport();
    return slot.error();
  }
  transport->put_into(*slot);
  return static_cast<Transport*>(transport);
}

void PosixListener::set_accepting(bool on) noexcept {
  on ? poller_.set_events(slot_, POLLIN) : poller_.mute(slot_);
}

Endpoint PosixListener::local() const noexcept { return local_address(poller_.descriptor(slot_)); }

void PosixListener::close() noexcept {
  ::close(poller_.remove(slot_));
  this->~PosixListener();
}

// ---- Network ---------------------------------------------------------------------------------------

Result<Listener*> PosixNetwork::listen(const ListenOptions& options, void* storage,
                                       ListenerEvents& events) noexcept {
  if (const auto opened = poller_->open(); !opened) return opened.error();
  const auto fd = open_listener(options);
  if (!fd) return fd.error();
  auto* listener = ::new (storage) PosixListener(*poller_, events);
  const auto slot = poller_->add(*fd, *listener, POLLIN);
  if (!slot) {
    ::close(*fd);
    listener->~PosixListener();
    return slot.error();
  }
  listener->put_into(*slot);
  return static_cast<Listener*>(listener);
}

std::size_t PosixNetwork::reserve_connections(std::size_t connections) noexcept {
#if MICRODOT_HOSTED
  const std::size_t possible = reserve_descriptors(connections);
  (void)poller_->grow();  // else newcomers wait until others leave
  return possible;
#else
  // Of lwIP's sockets one listens, and one is the newcomer's that waits to be accepted.
  constexpr std::size_t kOthers = 2 + (MICRODOT_POSIX_WAKE == MICRODOT_POSIX_DATAGRAM ? 1 : 0);
  constexpr std::size_t kPossible = MICRODOT_POSIX_SOCKETS > kOthers ? MICRODOT_POSIX_SOCKETS - kOthers : 1;
  return std::min(connections, kPossible);
#endif
}

Error PosixNetwork::check_address(const Endpoint& local) noexcept { return check_system_address(local); }

void PosixNetwork::watch_system(bool on) noexcept { watch_system_network(*poller_, on); }

}  // namespace microdot::inline MICRODOT_ABI
