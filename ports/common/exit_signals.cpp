#include "exit_signals.hpp"

#include <sched.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <mutex>

namespace microdot::inline MICRODOT_ABI {
namespace {

constexpr int kSlots = 64;
constexpr int kFree = -1;

std::atomic<unsigned> signal_count{0};
std::atomic<unsigned> handlers_running{0};
std::atomic<int> slot_events[kSlots];  // descriptor + 1, so that zero initialisation means free

std::mutex watch_mutex;
unsigned watchers = 0;  // the rest: under watch_mutex
struct sigaction previous_int;
struct sigaction previous_term;

extern "C" void on_exit_signal(int) {
  const int saved = errno;
  handlers_running.fetch_add(1);
  signal_count.fetch_add(1);
  for (auto& slot : slot_events) {
    const int event = slot.load() - 1;
    if (event == kFree) continue;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto size = ::write(event, &one, sizeof one);
  }
  handlers_running.fetch_sub(1);
  errno = saved;
}

}  // namespace

int ExitSignals::watch(int event) noexcept {
  const std::lock_guard lock(watch_mutex);
  int slot = kSlots - 1;
  while (slot >= 0 && slot_events[slot].load() != 0) --slot;
  if (slot >= 0) slot_events[slot].store(event + 1);
  if (watchers++ == 0) {
    struct sigaction action {};
    action.sa_handler = on_exit_signal;
    action.sa_flags = SA_RESTART;  // other threads' blocking calls go on
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, &previous_int);
    sigaction(SIGTERM, &action, &previous_term);
  }
  return slot;
}

void ExitSignals::unwatch(int slot) noexcept {
  const std::lock_guard lock(watch_mutex);
  if (--watchers == 0) {
    sigaction(SIGINT, &previous_int, nullptr);
    sigaction(SIGTERM, &previous_term, nullptr);
  }
  if (slot >= 0) slot_events[slot].store(0);
  while (handlers_running.load() != 0) sched_yield();
}

unsigned ExitSignals::count() noexcept { return signal_count.load(); }

}  // namespace microdot::inline MICRODOT_ABI
