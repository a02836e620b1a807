#include <microdot/port/thread.hpp>

#if MICRODOT_HOSTED

#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#include <cstring>

namespace microdot::inline MICRODOT_ABI {

bool SystemThread::start(void (*call)(void* context) noexcept, void* context) noexcept {
  call_ = call;
  context_ = context;
  const auto run = [](void* self) -> void* {
    auto& thread = *static_cast<SystemThread*>(self);
    thread.call_(thread.context_);
    return nullptr;
  };
  pthread_t thread;
  static_assert(sizeof thread <= sizeof thread_);
  if (pthread_create(&thread, nullptr, run, this) != 0) {
    call_ = nullptr;
    return false;
  }
  std::memcpy(&thread_, &thread, sizeof thread);
  return true;
}

void SystemThread::join() noexcept {
  if (call_ == nullptr) return;
  pthread_t thread;
  std::memcpy(&thread, &thread_, sizeof thread);
  pthread_join(thread, nullptr);
  call_ = nullptr;
}

std::size_t usable_processors() noexcept {
#ifdef __linux__
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    const int count = CPU_COUNT(&set);
    if (count > 0) return static_cast<std::size_t>(count);
  }
#endif
  const long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? static_cast<std::size_t>(count) : 1;
}

}  // namespace microdot::inline MICRODOT_ABI

#endif
