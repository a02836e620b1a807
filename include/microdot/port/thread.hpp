#pragma once
/// Threads of the system, on hosts: what std::thread is, without exceptions.

#include <cstddef>
#include <cstdint>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI {

/// A thread. It must be joined before it goes.
class SystemThread {
 public:
  SystemThread() noexcept = default;
  SystemThread(const SystemThread&) = delete;
  SystemThread& operator=(const SystemThread&) = delete;

  /// Runs `call(context)` in a new thread. False: the system gives none.
  bool start(void (*call)(void* context) noexcept, void* context) noexcept;
  /// Waits for its end. Does nothing if it was not started.
  void join() noexcept;

 private:
  void (*call_)(void* context) noexcept = nullptr;
  void* context_ = nullptr;
  std::uintptr_t thread_ = 0;
};

/// Processors that this process may use (on Linux: its affinity), 1 at the least.
std::size_t usable_processors() noexcept;

}  // namespace microdot::inline MICRODOT_ABI
