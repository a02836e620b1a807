#include "errors.hpp"

#include <cassert>
#include <cerrno>

namespace microdot::inline MICRODOT_ABI {

Error stream_error(int number) noexcept {
  // A caller's mistake is no network error, but a server has nothing better to do with it than to close.
  assert(number != EBADF && number != EFAULT && number != ENOTSOCK);
#ifdef __linux__
  assert(number != EINVAL);  // elsewhere: a connection that was reset
#endif
  return number == EAGAIN || number == EWOULDBLOCK ? Error::would_block : Error::closed;
}

Error accept_error(int number) noexcept {
  switch (number) {
    case EAGAIN: return Error::would_block;
    case EMFILE:
    case ENFILE: return Error::no_descriptors;
    case ENOBUFS:
    case ENOMEM: return Error::no_memory;
    case EACCES:
    case EPERM: return Error::permission;
    // Errors of the new connection: accept(2), "Error handling".
    case ECONNABORTED:
    case ECONNRESET:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
#ifdef ENONET
    case ENONET:
#endif
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case EPROTO:
    case ETIMEDOUT: return Error::closed;
    default: return Error::io;  // of the listener
  }
}

Error listen_error(int number) noexcept {
  switch (number) {
    case EADDRINUSE: return Error::address_in_use;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case ENODEV: return Error::address_unavailable;
    case EACCES:
    case EPERM: return Error::permission;
    case EMFILE:
    case ENFILE: return Error::no_descriptors;
    case ENOBUFS:
    case ENOMEM: return Error::no_memory;
    case ENETDOWN: return Error::network_down;
    case EINVAL: return Error::invalid;
    default: return Error::io;
  }
}

Error open_error(int number) noexcept {
  switch (number) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case EINVAL:
    case EILSEQ: return Error::not_found;
    case EACCES:
    case EPERM: return Error::permission;
    case EXDEV: return Error::outside_root;
    case EISDIR: return Error::is_directory;
    case ENXIO:
    case ENODEV: return Error::unsupported;  // a socket or a device without driver
    case EMFILE:
    case ENFILE: return Error::no_descriptors;
    case ENOMEM:
    case ENOBUFS: return Error::no_memory;
    default: return Error::io;
  }
}

}  // namespace microdot::inline MICRODOT_ABI
