#include "signals.hpp"

#include <sched.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <mutex>

namespace microdot::inline MICRODOT_ABI {
namespace {

constexpr int kNumbers = NSIG;
constexpr int kSlots = 128;
constexpr int kFree = -1;

std::atomic<unsigned> counts[kNumbers];
std::atomic<unsigned> handlers_running{0};

struct Slot {
  std::atomic<int> number;
  std::atomic<int> event;  // descriptor + 1, so that zero initialisation means free
};
Slot slots[kSlots];

std::mutex watch_mutex;
unsigned watchers[kNumbers];  // the rest: under watch_mutex
struct sigaction previous[kNumbers];

extern "C" void on_signal(int number) {
  const int saved = errno;
  handlers_running.fetch_add(1);
  counts[number].fetch_add(1);
  for (Slot& slot : slots) {
    const int event = slot.event.load() - 1;
    if (event == kFree || slot.number.load() != number) continue;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto size = ::write(event, &one, sizeof one);
  }
  handlers_running.fetch_sub(1);
  errno = saved;
}

bool is_valid(int number) noexcept { return number > 0 && number < kNumbers; }

// Without a slot signals are counted, but wake nobody.
bool add_watch(int number, int event, bool without_slot) noexcept {
  const std::lock_guard lock(watch_mutex);
  if (!is_valid(number)) return false;
  int at = kSlots - 1;
  while (at >= 0 && slots[at].event.load() != 0) --at;
  if (at < 0 && !without_slot) return false;
  if (at >= 0) {
    slots[at].number.store(number);
    slots[at].event.store(event + 1);
  }
  if (watchers[number] == 0) {
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;  // other threads' blocking calls go on
    sigemptyset(&action.sa_mask);
    if (sigaction(number, &action, &previous[number]) != 0) {
      if (at >= 0) slots[at].event.store(0);
      return false;
    }
  }
  ++watchers[number];
  return true;
}

// With the mutex held, so that no slot gets another meaning while a handler looks at it.
void wait_for_handlers() noexcept {
  while (handlers_running.load() != 0) sched_yield();
}

}  // namespace

bool Signals::watch(int number, int event) noexcept { return add_watch(number, event, false); }

void Signals::unwatch(int number, int event) noexcept {
  const std::lock_guard lock(watch_mutex);
  if (--watchers[number] == 0) sigaction(number, &previous[number], nullptr);
  for (Slot& slot : slots) {
    if (slot.event.load() != event + 1 || slot.number.load() != number) continue;
    slot.event.store(0);
    break;
  }
  wait_for_handlers();
}

void Signals::forget(int event) noexcept {
  const std::lock_guard lock(watch_mutex);
  for (Slot& slot : slots) {
    if (slot.event.load() == event + 1) slot.event.store(0);
  }
  wait_for_handlers();
}

unsigned Signals::count(int number) noexcept { return is_valid(number) ? counts[number].load() : 0; }

void Signals::watch_exit(int event) noexcept {
  add_watch(SIGINT, event, true);
  add_watch(SIGTERM, event, true);
}

void Signals::unwatch_exit(int event) noexcept {
  unwatch(SIGINT, event);
  unwatch(SIGTERM, event);
}

unsigned Signals::exit_count() noexcept { return count(SIGINT) + count(SIGTERM); }

bool Signals::can_wait_for(int number) noexcept {
  switch (number) {
    case SIGINT:
    case SIGTERM:
    case SIGSEGV:  // what reports a mistake of the program comes again as long as it is only counted
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
    case SIGABRT: return false;
    default: return is_valid(number);
  }
}

}  // namespace microdot::inline MICRODOT_ABI
