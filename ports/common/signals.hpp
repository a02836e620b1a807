#pragma once
#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Signals of the process, shared by the ports of all threads.
///
/// A handler counts the signal and writes to the event descriptors of the pollers that watch it. signalfd
/// would need the signals blocked in every thread: one library thread that does not block them, and the
/// default action ends the process.
class Signals {
 public:
  /// Installs the handler with the first call for this signal. `event` is written to when it comes.
  /// False: there is no such signal, it must not be caught, or there are 128 watches in the process.
  static bool watch(int number, int event) noexcept;
  /// Restores the handler found by the first `watch` with the last call. When it returns, no handler uses
  /// the descriptor any more, unless it watches other signals.
  static void unwatch(int number, int event) noexcept;
  /// The descriptor is about to be closed, whatever it watches.
  static void forget(int event) noexcept;
  static unsigned count(int number) noexcept;

  // Those which ask a program to end. Beyond 128 watches they are counted, but the poller is not woken.
  static void watch_exit(int event) noexcept;
  static void unwatch_exit(int event) noexcept;
  static unsigned exit_count() noexcept;
  /// Any other that a program may want to wait for.
  static bool can_wait_for(int number) noexcept;
};

}  // namespace microdot::inline MICRODOT_ABI
