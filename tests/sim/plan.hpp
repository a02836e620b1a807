#pragma once
// What a seed decides about a world before it begins.

#include <algorithm>
#include <cstdint>
#include <string>

#include <microdot/microdot.hpp>
#include <microdot/testing/sim_port.hpp>

namespace sim {

using microdot::Duration;

/// How often things go wrong, in percent; most worlds have only some kinds of faults, so that each is also
/// seen alone.
struct Rates {
  unsigned short_read = 0;     ///< Of reads: fewer bytes than there are.
  unsigned short_write = 0;    ///< Of writes: fewer bytes than there is room for.
  unsigned blocked_write = 0;  ///< Of writes: none, though there is room.
  unsigned delayed = 0;        ///< Of connections: pieces take longer than others.
  unsigned reset = 0;          ///< Of connections: cut at some byte, by neither side.
  unsigned refused = 0;        ///< Of accepts: an error of the system.
  unsigned vanished = 0;       ///< Of accepts: the client has left already.
  unsigned not_opened = 0;     ///< Of files.
  unsigned short_file = 0;     ///< Of reads of files: fewer bytes.
  unsigned broken_file = 0;    ///< Of reads of files: an error.
  unsigned slow_file = 0;      ///< Of reads of files: time passes.
  unsigned jump = 0;           ///< Of turns of the loop: the program stands still for long.
  unsigned wall_jump = 0;      ///< Of turns of the loop: the wall clock is set.
  unsigned slow_client = 0;    ///< Of clients: dawdle, stall, leave in the middle.
  unsigned steady_client = 0;  ///< Of the others: take their time, but less than the limits ask for.
  unsigned pressure = 0;       ///< Of turns of the loop: the system's pressure changes.
  unsigned outage = 0;         ///< Of a thousand turns: the interface or its address goes away for a while.
};

/// How a server's life ends.
enum class End : std::uint8_t {
  shutdown,     ///< `App::shutdown`.
  exit_signal,  ///< The same, through the loop.
  cancel,       ///< The task that serves is destroyed.
};

/// Whom the server takes for a proxy.
enum class Trust : std::uint8_t { nobody, first_shared, everybody };

struct Plan {
  explicit Plan(std::uint64_t seed);

  std::uint64_t seed;
  microdot::Limits limits;
  microdot::SimOptions port;
  Rates rates;
  unsigned clients = 1;
  unsigned shared_addresses = 0;  ///< That clients come from; 0: each from its own.
  bool some_alone = false;        ///< Every other client has an address of its own nevertheless.
  Trust trust = Trust::nobody;
  bool one_address = false;      ///< The server listens on 10.0.0.1 alone.
  bool fails_to_listen = false;  ///< The first time.
  End end = End::shutdown;
  bool ends_early =
      false;  ///< In the middle of it all, after `end_turn` turns; else when the clients are done.
  unsigned end_turn = 0;
  bool starts_again = false;

  /// Requests may find no room in the arena.
  bool tight() const noexcept { return limits.arena_bytes < 8192; }
  /// The heads of some answers may find no room.
  bool narrow() const noexcept { return limits.response_bytes < 768; }
  /// Timeouts may come at any moment.
  bool jumps() const noexcept { return rates.jump != 0 || rates.slow_file != 0; }
  bool file_faults() const noexcept { return rates.not_opened != 0 || rates.broken_file != 0; }
  /// Where a client comes from.
  microdot::Endpoint address_of(unsigned client) const noexcept;
  bool trusts(const microdot::Endpoint& client) const noexcept;
  microdot::ServerOptions options() const noexcept;
  /// Connections that there may be.
  std::size_t usable() const noexcept {
    return std::min<std::size_t>(limits.connections, port.max_connections);
  }
  /// There may be more clients than connections.
  bool overrun() const noexcept {
    return clients >= limits.connections || clients >= port.max_connections || rates.refused != 0;
  }
  std::string describe() const;
};

}  // namespace sim
