#pragma once
// How the conformance suite on this machine uses the port of a board: what travels between the two.

#include <cstdint>

namespace microdot_test {

enum class Call : std::uint8_t {
  poll,    ///< `value` microseconds.
  resume,  ///< An event was dealt with.
  now,
  wake,
  entropy,  ///< `value` bytes.
  unix_seconds,
  in_use,  ///< Pieces of lwIP's pools and bytes of its heap.
  reserve_connections,
  check_address,  ///< Whether any interface is up.
  listen,         ///< `value`: port and `backlog << 16`; the bytes are the host.
  accept,         ///< `other`: the transport that is made.
  set_accepting,
  local,
  close_listener,
  read,   ///< `value` bytes at most.
  write,  ///< `value`: whether more follow; the bytes are pieces, each behind its size in 4 bytes.
  undrained,
  set_interest,  ///< `value`: 1 to read, 2 to write.
  set_idle,
  shutdown_write,
  close,  ///< `value`: whether to abort; answers whether it is done.
  peer,
};

enum class Event : std::uint8_t { none, acceptable, readable, writable, gone, released };

/// What goes to the board; `size` bytes follow.
struct Request {
  Call call{};
  std::uint8_t object = 0;  ///< Which listener or transport.
  std::uint8_t other = 0;
  std::uint8_t unused = 0;
  std::uint32_t size = 0;
  std::int64_t value = 0;
};

/// What comes from it: the answer, or during `poll` an event of `object`, after which the board takes calls
/// until `resume`. `size` bytes follow.
struct Reply {
  Event event{};
  std::uint8_t object = 0;
  std::uint8_t error = 0;
  std::uint8_t unused = 0;
  std::uint32_t size = 0;
  std::int64_t value = 0;
};
static_assert(sizeof(Request) == 16 && sizeof(Reply) == 16);

inline constexpr std::uint8_t kListeners = 4;
inline constexpr std::uint8_t kTransports = 32;
/// More than the board's connections take at once.
inline constexpr std::uint32_t kMostBytes = 16 * 1024;
inline constexpr std::size_t kMostPieces = 128;

/// Pipes in QEMU's current folder.
inline constexpr char kToBoard[] = "to_board";
inline constexpr char kFromBoard[] = "from_board";

}  // namespace microdot_test
