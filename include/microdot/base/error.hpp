#pragma once
#include <cstdint>
#include <string_view>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Why an operation gave no value. One list for the whole library, so that a port, a stream and a task say
/// the same thing in the same words.
enum class Error : std::uint8_t {
  none = 0,
  would_block,     ///< Nothing now; wait for readiness and try again.
  closed,          ///< The peer or the network went away, however that was said (reset, abort, unreachable).
  timeout,         ///< A deadline passed.
  canceled,        ///< The operation was ended by its owner.
  no_memory,       ///< A pool, an arena or the system has no room.
  no_descriptors,  ///< The process or the system has no descriptor left (EMFILE, ENFILE).
  too_large,       ///< More bytes than a limit allows.
  not_found,       ///< No such file, name or route.
  permission,      ///< The system refuses access.
  is_directory,    ///< A directory where a file was asked for.
  outside_root,    ///< A path that leaves the directory it has to stay in.
  address_in_use,  ///< The port is taken.
  address_unavailable,  ///< No such local address (interface down, address gone).
  network_down,         ///< The listener can't go on until the network is back.
  invalid,              ///< The caller's value or the peer's bytes make no sense.
  unsupported,          ///< This port or build can't do it.
  io,                   ///< The system failed in another way.
};

/// The error's name in words, e.g. "address in use". Static storage.
std::string_view to_string(Error error) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
