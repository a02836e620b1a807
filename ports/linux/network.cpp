#include <new>

#include "ports/common/sockets.hpp"
#include "sockets.hpp"

namespace microdot::inline MICRODOT_ABI {

Result<Listener*> LinuxNetwork::listen(const ListenOptions& options, void* storage,
                                       ListenerEvents& events) noexcept {
  if (const auto opened = poller_->open(); !opened) return opened.error();
  const auto fd = open_listener(options);
  if (!fd) return fd.error();
  auto* listener = ::new (storage) LinuxListener(*poller_, events, *fd);
  if (const auto added = poller_->add(*fd, *listener, EPOLLIN); !added) {
    listener->close();
    return added.error();
  }
  return static_cast<Listener*>(listener);
}

std::size_t LinuxNetwork::reserve_connections(std::size_t connections) noexcept {
  return reserve_descriptors(connections);
}

}  // namespace microdot::inline MICRODOT_ABI
