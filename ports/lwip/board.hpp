#pragma once
#include <span>
#include <string_view>

#include <microdot/port/port.hpp>

namespace microdot::inline MICRODOT_ABI {

/// What the lwIP port needs of a board. Everything but `wake` is called from the main loop only.
///
/// An interrupt handler does next to nothing: it notes that frames wait, so that `idle` returns, and leaves
/// the rest to `poll_input`.
class LwipBoard {
 public:
  /// Time since an arbitrary start; never goes back. Need not be zero at the start, but positive.
  virtual TimePoint now() noexcept = 0;
  /// See `Clock::unix_seconds`.
  virtual std::int64_t unix_seconds() noexcept { return 0; }
  /// Hands the frames that wait to their interfaces (`netif->input`), as many as are there at most. Returns
  /// whether there was one.
  virtual bool poll_input() noexcept = 0;
  /// Sleeps until `until` (`TimePoint::max()`: without limit), until frames wait, or until `wake`; may return
  /// earlier for any other reason. Must not miss what comes just before it sleeps: look at it with interrupts
  /// off, then sleep with them off (`cpsid i; if (nothing came) wfi; cpsie i`). Returns whether it was woken
  /// by `wake`, which it forgets.
  virtual bool idle(TimePoint until) noexcept = 0;
  /// Ends the current or next `idle` at once. Safe from interrupt handlers and other threads.
  virtual void wake() noexcept = 0;
  /// See `Entropy::fill`. The numbers of lwIP's connections come from here too.
  virtual void fill_random(std::span<unsigned char> bytes) noexcept = 0;
  /// See `Log::write`.
  virtual void write_log(LogLevel level, std::string_view line) noexcept = 0;

 protected:
  ~LwipBoard() = default;
};

}  // namespace microdot::inline MICRODOT_ABI
