#pragma once
#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI {

/// SIGINT and SIGTERM of the process, shared by the ports of all threads.
///
/// A handler counts the signal and writes to the event descriptors of the pollers that watch. signalfd would
/// need the signals blocked in every thread: one library thread that does not block them, and the default
/// action ends the process.
class ExitSignals {
 public:
  /// Installs the handlers with the first call. `event` is written to when a signal comes. Returns a slot, or
  /// -1 when all are taken: then signals are counted, but this poller is not woken.
  static int watch(int event) noexcept;
  /// Restores the handlers found by the first `watch` with the last call. When it returns, no handler uses
  /// the descriptor any more.
  static void unwatch(int slot) noexcept;
  static unsigned count() noexcept;
};

}  // namespace microdot::inline MICRODOT_ABI
