#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <new>
#include <string_view>
#include <type_traits>

#include <microdot/async/strand.hpp>
#include <microdot/async/timer.hpp>
#include <microdot/base/list.hpp>
#include <microdot/base/shared.hpp>
#include <microdot/port/port.hpp>

namespace microdot::inline MICRODOT_ABI {

class Signal;
class TaskNode;
namespace detail {
class SharedWaiter;
}

/// A background task that failed; see `on_task_error`.
struct TaskError {
  std::string_view name;    ///< As given to `create_task`.
  std::string_view reason;  ///< What went wrong, in words. Valid during the call.
  bool logged = false;      ///< The log has the reason already, in a line of its own.
};

/// What people call something that a loop runs: "task 'sensor'", "GET /slow". Longer names are cut.
struct alignas(void*) RunName {
  std::array<char, 31> text{};
  std::uint8_t size = 0;
  std::string_view view() const noexcept { return {text.data(), size}; }
};

/// Called when the first exit signal comes; see `Loop::exit_listeners`.
class ExitListener : public ListHook {
 public:
  virtual void on_exit_requested() noexcept = 0;

 protected:
  ~ExitListener() = default;
};

/// A call from another thread or an interrupt handler into the loop; see `Loop::notify`.
class Notification {
 public:
  /// Must do no more than wake strands: no strand runs, and no notification may be destroyed in it.
  virtual void on_notified() noexcept = 0;

 protected:
  ~Notification() = default;

 private:
  friend class Loop;
  friend class Event;
  friend class detail::SharedWaiter;
  bool queued() const noexcept { return queued_.load(std::memory_order_acquire); }

  Notification* next_ = nullptr;
  std::atomic<bool> queued_{false};
};

/// Runs strands, timers and a port's events in one thread.
class Loop {
 public:
  explicit Loop(Port& port) noexcept;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  /// Cancels the tasks that are left.
  ~Loop();

  /// The loop that is being driven in this thread. There must be one.
  static Loop& current() noexcept;
  /// The same, or null.
  static Loop* try_current() noexcept;
  /// Whether the calling thread is the one that drives it.
  bool is_in_its_thread() const noexcept;

  Port& port() const noexcept { return *port_; }
  /// The time now: one reading of the clock, after the wait, serves all that happens in a turn.
  TimePoint now() noexcept {
    if (!now_known_) read_clock();
    return now_;
  }

  /// The longest time from one wait for the port's events to the next, since the loop was made: so long has
  /// somebody's code kept all others waiting. A turn in which nobody ran for a millisecond, and after which
  /// nothing is waited for, no timer and no strand, does not count: that saves a reading of the clock. This
  /// and what follows may be asked for by any thread.
  Duration longest_turn() const noexcept { return detail::load_shared(longest_turn_); }
  /// Who ran longest in it: a task, a request's route, or a posted call; empty if nobody for a millisecond.
  RunName longest_turn_by() const noexcept { return detail::copy_shared(longest_turn_by_); }

  /// From now on, whoever keeps the loop for `bound` or longer without a `co_await` is named in the log and
  /// counted: "loop blocked for 2003 ms by task 'sensor'", one line in 10 s at most. 250 ms until it is said
  /// otherwise; zero: never.
  void warn_when_blocked(Duration bound) noexcept {
    blocked_bound_ = bound > Duration{0} ? bound : Duration::max();
  }
  /// How often that has happened.
  std::uint32_t times_blocked() const noexcept { return detail::load_shared(times_blocked_); }

  // Around what runs: whose time it was.

  void begin_run() noexcept {
    if (run_began_ == TimePoint::max()) run_began_ = now();
  }
  /// Whether what runs now has been at it for more than a millisecond; noticed some milliseconds later where
  /// the coarse clock goes in larger steps.
  bool run_is_long() const noexcept {
    return port_->clock().coarse() - run_began_ > std::chrono::milliseconds(1);
  }
  /// What ran since `begin_run`, or since the last `end_run`, was `owner`'s; null: a posted call. True: this
  /// turn has lasted for more than a millisecond (see `run_is_long`); who could go on leaves the loop to
  /// others.
  bool end_run(const Strand::Owner* owner) noexcept {
    const TimePoint ended = port_->clock().coarse();
    if (ended > run_began_) note_run(owner, ended);
    return turn_is_long();
  }

  /// Waits for the port's events, `max_wait` at the most (negative: as long as it takes) and not at all if
  /// something is ready; then fires what is due and runs what is ready.
  void turn(Duration max_wait = Duration{-1}) noexcept;
  /// Turns until `done()` says so.
  template <typename Done>
  void run_until(Done done) noexcept {
    while (!done()) turn();
  }

  TimerHeap& timers() noexcept { return timers_; }
  /// Strands that can go on, in order.
  List<Strand>& ready() noexcept { return ready_; }

  /// Calls `f()` in the loop's thread, soon. Safe from any thread and from interrupt handlers. `f` is copied
  /// bit by bit: it must be trivially copyable and at most four words. False: too many calls are waiting.
  template <typename F>
  bool post(F f) noexcept {
    static_assert(std::is_trivially_copyable_v<F> && std::is_trivially_destructible_v<F>,
                  "post: capture pointers, references and numbers only");
    static_assert(sizeof(F) <= sizeof(Posted::storage) && alignof(F) <= alignof(std::max_align_t),
                  "post: at most four words of captures");
    return post_raw([](void* storage) noexcept { (*std::launder(static_cast<F*>(storage)))(); }, &f,
                    sizeof(F));
  }
  /// Calls `notification.on_notified()` in the loop's thread, soon; several calls before that are one. Never
  /// fails. Safe from any thread and from interrupt handlers.
  void notify(Notification& notification) noexcept;
  /// Forgets a notification that is about to be destroyed, while no other thread notifies it any more. In
  /// the loop's thread.
  void forget(Notification& notification) noexcept;

  /// Counts SIGINT and SIGTERM from here on (see `Poller::watch_exit_signals`): the first sets
  /// `exit_requested` and tells the exit listeners; `forced_exit` is true from the second on.
  void watch_exit_signals() noexcept;
  bool exit_requested() const noexcept { return exit_requested_; }
  bool forced_exit() const noexcept { return forced_exit_; }
  /// What the first exit signal does, callable by anyone.
  void request_exit() noexcept;
  List<ExitListener>& exit_listeners() noexcept { return exit_listeners_; }
  List<Strand>& exit_waiters() noexcept { return exit_waiters_; }
  /// Signals that somebody may wait for; see signal.hpp.
  List<Signal>& signals() noexcept { return signals_; }

  /// Tasks made by `create_task` that are not done.
  List<TaskNode>& tasks() noexcept { return tasks_; }
  /// How many there are, and how many of them were started by requests.
  struct TaskCounts {
    std::uint32_t all = 0;
    std::uint32_t of_requests = 0;
    std::uint32_t restarts = 0;  ///< Runs that `supervise` has started after the first, of all time.
  };
  TaskCounts& task_counts() noexcept { return task_counts_; }
  /// Ends them at once, in the order in which they were made. Only while no strand of this loop runs.
  void cancel_tasks() noexcept;

 private:
  struct Posted {
    std::atomic<std::size_t> turn;
    void (*call)(void*) noexcept;
    alignas(void*) std::byte storage[4 * sizeof(void*)];
  };
  static constexpr std::size_t kPosted = MICRODOT_HOSTED ? 256 : 8;

  bool post_raw(void (*call)(void*) noexcept, const void* closure, std::size_t size) noexcept;
  /// When the last run ended.
  bool turn_is_long() const noexcept {
    return run_began_ != TimePoint::max() && run_began_ - now_ > std::chrono::milliseconds(1);
  }
  void note_turn_end() noexcept {
    if (now() - turn_began_ > longest_turn_) {
      detail::store_shared(longest_turn_, now_ - turn_began_);
      detail::store_words_shared(longest_turn_by_, longest_run_by_);
    }
    longest_run_ = {};
    longest_run_by_ = {};
  }
  void note_run(const Strand::Owner* owner, TimePoint ended) noexcept;
  void warn_blocked(Duration ran, std::string_view by) noexcept;
  void run_ready() noexcept;
  void run_posted() noexcept;
  void run_notified() noexcept;
  template <typename F>
  void take_notified(F f) noexcept;
  void check_exit_signals() noexcept;
  void read_clock() noexcept;

  Port* port_;
  TimePoint now_{};
  TimePoint turn_began_ = TimePoint::max();  // after its wait
  Duration longest_turn_{0};
  RunName longest_turn_by_;
  TimePoint run_began_ = TimePoint::max();  // max: at the next run
  Duration longest_run_{0};                 // in this turn
  RunName longest_run_by_;
  Duration blocked_bound_ = std::chrono::milliseconds(250);
  TimePoint warned_ = TimePoint::min();
  std::uint32_t times_blocked_ = 0;
  bool now_known_ = false;  // of now_, near it
  List<Strand> ready_;
  TimerHeap timers_;
  List<TaskNode> tasks_;
  TaskCounts task_counts_;
  List<ExitListener> exit_listeners_;
  List<Strand> exit_waiters_;
  List<Signal> signals_;
  std::array<Posted, kPosted> posted_;
  std::atomic<std::size_t> post_head_{0};
  std::size_t post_tail_ = 0;
  std::atomic<Notification*> notified_{nullptr};
#if MICRODOT_HOSTED
  const void* thread_ = nullptr;  // something that each thread has at an address of its own
#endif
  bool watching_signals_ = false;
  bool exit_requested_ = false;
  bool forced_exit_ = false;
  unsigned signals_seen_ = 0;
};

}  // namespace microdot::inline MICRODOT_ABI
