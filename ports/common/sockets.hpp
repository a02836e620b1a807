#pragma once
#include <microdot/port/network.hpp>

namespace microdot::inline MICRODOT_ABI {

/// A socket that listens as the options say: on literal addresses, "localhost", every address of both
/// families or of one, or what the system's resolver makes of a name, which may wait: only when a server
/// starts. Close-on-exec and non-blocking; what is accepted does not delay small pieces. Errors: those of
/// `Network::listen`.
Result<int> open_listener(const ListenOptions& options) noexcept;

/// Takes a connection, close-on-exec and non-blocking, and tells who it is from; -1 with errno.
int accept_connection(int listener, Endpoint& peer) noexcept;

/// The socket's own address; of the family `none` if the system does not tell.
Endpoint local_address(int fd) noexcept;
/// The peer's.
Endpoint peer_address(int fd) noexcept;

/// From now on `close` sends a reset. Where the system can't, it closes in order.
void reset_on_close(int fd) noexcept;

/// Raises the process's limit of descriptors as far as is needed for so many connections and files, and
/// allowed. Returns how many connections there can be.
std::size_t reserve_descriptors(std::size_t connections) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
