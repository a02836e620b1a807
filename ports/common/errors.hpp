#pragma once
#include <microdot/base/error.hpp>

namespace microdot::inline MICRODOT_ABI {

// What `errno` means after a call. Ports that have the BSD's sockets and files share these.

/// Of `recv`, `send` and their like on a connected socket: `would_block` or `closed`.
Error stream_error(int number) noexcept;
/// Of `accept`; see `Listener::accept`.
Error accept_error(int number) noexcept;
/// Of `socket`, `bind` and `listen`; see `Network::listen`.
Error listen_error(int number) noexcept;
/// Of `open`; see `Files::open`.
Error open_error(int number) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
