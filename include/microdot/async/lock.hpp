#pragma once
#include <microdot/async/semaphore.hpp>

namespace microdot::inline MICRODOT_ABI {

/// One task at a time, first come, first served.
///
///     auto guard = co_await lock.acquire();   // released at the end of the scope
class Lock : private Semaphore {
 public:
  using Guard = Semaphore::Guard;

  Lock() noexcept : Semaphore(1) {}
  using Semaphore::acquire;
  using Semaphore::locked;
};

}  // namespace microdot::inline MICRODOT_ABI
