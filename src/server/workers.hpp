#pragma once
/// Several workers that serve one App: docs/design/workers.md. An interface, so that programs without them do
/// not have them.

#include <cstdint>

#include <microdot/stats.hpp>

namespace microdot::inline MICRODOT_ABI::detail {

/// What an App asks of its workers, from any thread. While none serve, calls do nothing and give false or 0.
class Workers {
 public:
  /// Whether they serve, or are about to.
  virtual bool running() const noexcept = 0;
  /// Begins to end all of them; `exit`: and sets `exit_requested` in their loops.
  virtual bool shutdown(bool exit) noexcept = 0;
  virtual bool stats(Stats& stats) const noexcept = 0;
  virtual std::uint16_t port() const noexcept = 0;
  /// See `App::check`.
  virtual const char* check() noexcept = 0;
  /// Gives all memory back. None may serve.
  virtual void destroy() noexcept = 0;

 protected:
  ~Workers() = default;
};

}  // namespace microdot::inline MICRODOT_ABI::detail
