#include <microdot/async/loop.hpp>

#include <cassert>
#include <utility>

#include <microdot/async/signal.hpp>
#include <microdot/async/spawn.hpp>
#include <microdot/base/text.hpp>

namespace microdot::inline MICRODOT_ABI {

namespace {

constexpr int kRoundsPerTurn = 16;
// Who runs shorter than this is not named, so that a clock of microseconds need not cost a name each turn.
constexpr Duration kNamed = std::chrono::milliseconds(1);
constexpr Duration kWarnEvery = std::chrono::seconds(10);

MICRODOT_THREAD_LOCAL Loop* current_loop = nullptr;
MICRODOT_THREAD_LOCAL Strand* current_strand = nullptr;

}  // namespace

// Strand

Strand* Strand::current() noexcept { return current_strand; }

Strand& Strand::running() noexcept {
  assert(current_strand != nullptr && "co_await works only in a task or handler that a loop runs");
  return *current_strand;
}

inline void Strand::begin(Loop& loop, std::coroutine_handle<> root) noexcept {
  assert(state_ == State::idle);
  loop_ = &loop;
  next_ = root;
  stop_.cause = Stop::Cause::none;
  timed_out_ = granted_ = false;
  state_ = State::ready;
}

void Strand::start(Loop& loop, std::coroutine_handle<> root) noexcept {
  begin(loop, root);
  loop.ready().push_back(*this);
}

bool Strand::run_inside(Loop& loop, std::coroutine_handle<> root) noexcept {
  assert(current_strand != nullptr && current_strand->arena_ == arena_);
  begin(loop, root);
  resume();
  if (stop_.cause != Stop::Cause::none) {
    reset();
  } else if (state_ == State::running) {
    state_ = State::idle;
  }
  return state_ == State::idle;
}

inline void Strand::resume() noexcept {
  state_ = State::running;
  Strand* const before = std::exchange(current_strand, this);
  do {
    const std::coroutine_handle<> handle = next_;
    next_ = nullptr;
    handle.resume();
  } while (next_ && state_ == State::running && stop_.cause == Stop::Cause::none);
  current_strand = before;
}

void Strand::reset() noexcept {
  assert(current_strand != this && "a strand must not be destroyed while it runs");
  unlink();
  disarm();
  next_ = nullptr;
  state_ = State::idle;
}

void Strand::wake_at(TimePoint deadline) noexcept {
  timed_out_ = false;
  loop_->timers().arm(*this, deadline);
}

bool Strand::is_in_its_thread() const noexcept { return loop_->is_in_its_thread(); }

void Strand::wake() noexcept {
  if (state_ != State::waiting) return;
  assert(is_in_its_thread() && "woken by another thread: see \"Workers\" in docs/guide/server.md");
  unlink();
  disarm();
  state_ = State::ready;
  loop_->ready().push_back(*this);
}

void Strand::on_timer() noexcept {
  timed_out_ = true;
  wake();
}

void Strand::stop(const Stop& reason) noexcept {
  if (stop_.cause != Stop::Cause::none || state_ == State::idle) return;
  stop_ = reason;
  wake();
}

void Strand::stop_outermost(const Stop& reason) noexcept { outermost().stop(reason); }

void Strand::run_now() noexcept {
  if (state_ != State::ready || current_strand != nullptr) return;
  unlink();
  run();
}

void Strand::run() noexcept {
  if (stop_.cause == Stop::Cause::none) {
    loop_->begin_run();
    {
      const ArenaScope scope(*arena_);
      resume();
    }
    loop_->end_run(&outermost().owner());
    if (stop_.cause == Stop::Cause::none) {
      if (state_ == State::running) {
        state_ = State::idle;
        owner_->on_finished(*this);
      }
      return;
    }
  }
  reset();
  owner_->on_stopped(*this);
}

// Loop

Loop::Loop(Port& port) noexcept : port_(&port) {
  for (std::size_t i = 0; i < posted_.size(); ++i) posted_[i].turn.store(i, std::memory_order_relaxed);
}

Loop::~Loop() {
  while (!tasks_.empty()) cancel_tasks();
  take_notified([](Notification&) {});
  if (watching_signals_) port_->poller().unwatch_exit_signals();
}

Loop& Loop::current() noexcept {
  assert(current_loop != nullptr && "no loop is being driven in this thread");
  return *current_loop;
}

Loop* Loop::try_current() noexcept { return current_loop; }

bool Loop::is_in_its_thread() const noexcept {
#if MICRODOT_HOSTED
  return thread_ == nullptr || thread_ == &current_loop;
#else
  return true;
#endif
}

void Loop::read_clock() noexcept {
  now_ = port_->clock().now();
  now_known_ = true;
}

void Loop::turn(Duration max_wait) noexcept {
  // A program may drive one loop inside another's strand (a TestClient in a task): each finds its own things.
  Loop* const loop_before = std::exchange(current_loop, this);
  Strand* const strand_before = std::exchange(current_strand, nullptr);
#if MICRODOT_HOSTED
  if (thread_ != &current_loop) thread_ = &current_loop;
#endif
  const ArenaScope scope(task_pool());
  now_known_ = false;
  Duration wait = max_wait;
  const bool ready = !ready_.empty();
  if (!ready && (!timers_.empty() || longest_run_ != Duration{0})) note_turn_end();
  if (ready) {
    wait = Duration{0};
  } else if (!timers_.empty()) {
    const Duration until = timers_.next() - now();
    if (wait < Duration{0} || until < wait) wait = until > Duration{0} ? until : Duration{0};
  }
  now_known_ = false;  // the port waits, then calls the owners of its events
  run_began_ = TimePoint::max();
  port_->poller().poll(wait);
  run_posted();
  run_notified();
  check_exit_signals();
  signals_.for_each([](Signal& signal) { signal.wake_if_came(); });
  if (ready) note_turn_end();  // nothing was waited for: one reading for both
  turn_began_ = now();
  timers_.fire(turn_began_);
  run_ready();  // last, so that the caller sees what it brought about before anybody waits again
  now_known_ = false;
  current_strand = strand_before;
  current_loop = loop_before;
}

void Loop::run_ready() noexcept {
  // A few rounds, so that a chain of wake-ups costs no system call; but strands which keep waking each other
  // never starve the network, and where they take their time that call is no matter.
  List<Strand> round;
  for (int i = 0; i < kRoundsPerTurn && !ready_.empty(); ++i) {
    round.splice_back(ready_);
    while (!round.empty()) round.pop_front().run();
    if (turn_is_long()) return;
  }
}

void Loop::note_run(const Strand::Owner* owner, TimePoint ended) noexcept {
  const Duration ran = ended - std::exchange(run_began_, ended);
  const bool blocked = ran >= blocked_bound_;
  if (ran < kNamed || (ran <= longest_run_ && !blocked)) return;
  FixedText<64> text;
  if (owner != nullptr) {
    owner->describe(text);
  } else {
    text.append("a posted call");
  }
  if (ran > longest_run_) {
    longest_run_ = ran;
    longest_run_by_.size =
        static_cast<std::uint8_t>(text.view().copy(longest_run_by_.text.data(), longest_run_by_.text.size()));
  }
  if (blocked) warn_blocked(ran, text.view());
}

void Loop::warn_blocked(Duration ran, std::string_view by) noexcept {
  detail::count_up(times_blocked_);
  if (warned_ != TimePoint::min() && run_began_ - warned_ < kWarnEvery) return;
  warned_ = run_began_;
  FixedText<96> line;
  line.append("loop blocked for ").append(ran / Duration(std::chrono::milliseconds(1))).append(" ms");
  if (!by.empty()) line.append(" by ").append(by);
  port_->log().write(LogLevel::warning, line.view());
}

bool Loop::post_raw(void (*call)(void*) noexcept, const void* closure, std::size_t size) noexcept {
  // A bounded queue of many producers and one consumer: each cell's turn tells whose it is (after D. Vyukov).
  std::size_t at = post_head_.load(std::memory_order_relaxed);
  for (;;) {
    Posted& cell = posted_[at % kPosted];
    const std::size_t turn = cell.turn.load(std::memory_order_acquire);
    if (turn == at) {
      if (post_head_.compare_exchange_weak(at, at + 1, std::memory_order_relaxed)) {
        cell.call = call;
        std::memcpy(cell.storage, closure, size);
        cell.turn.store(at + 1, std::memory_order_release);
        port_->poller().wake();
        return true;
      }
    } else if (static_cast<std::ptrdiff_t>(turn - at) < 0) {
      return false;
    } else {
      at = post_head_.load(std::memory_order_relaxed);
    }
  }
}

void Loop::notify(Notification& notification) noexcept {
  if (notification.queued_.exchange(true, std::memory_order_acq_rel)) return;
  Notification* head = notified_.load(std::memory_order_relaxed);
  do {
    notification.next_ = head;
  } while (!notified_.compare_exchange_weak(head, &notification, std::memory_order_release,
                                            std::memory_order_relaxed));
  port_->poller().wake();
}

void Loop::forget(Notification& notification) noexcept {
  // What is queued can't be taken out of the middle safely, so all of it is delivered now.
  if (notification.queued()) run_notified();
}

void Loop::run_posted() noexcept {
  // Not what is posted meanwhile: a call that posts itself again must not keep the port from being polled.
  const std::size_t end = post_head_.load(std::memory_order_relaxed);
  if (post_tail_ == end) return;
  begin_run();
  while (post_tail_ != end) {
    Posted& cell = posted_[post_tail_ % kPosted];
    if (cell.turn.load(std::memory_order_acquire) != post_tail_ + 1) break;
    alignas(std::max_align_t) std::byte storage[sizeof(cell.storage)];
    std::memcpy(storage, cell.storage, sizeof storage);
    void (*const call)(void*) noexcept = cell.call;
    cell.turn.store(post_tail_ + kPosted, std::memory_order_release);
    ++post_tail_;
    call(storage);
  }
  end_run(nullptr);
}

template <typename F>
void Loop::take_notified(F f) noexcept {
  // They were pushed in front of each other: turned around, they come in the order of `notify`.
  Notification* newest = notified_.exchange(nullptr, std::memory_order_acquire);
  Notification* at = nullptr;
  while (newest != nullptr) {
    Notification* const older = std::exchange(newest->next_, at);
    at = std::exchange(newest, older);
  }
  while (at != nullptr) {
    Notification* const next = at->next_;
    // An exchange, not a store: it must see what was written before a `notify` that found it queued.
    at->queued_.exchange(false, std::memory_order_acq_rel);
    f(*at);
    at = next;
  }
}

void Loop::run_notified() noexcept {
  take_notified([](Notification& notification) { notification.on_notified(); });
}

void Loop::watch_exit_signals() noexcept {
  if (watching_signals_) return;
  watching_signals_ = true;
  signals_seen_ = port_->poller().exit_signals();
  port_->poller().watch_exit_signals();
}

void Loop::check_exit_signals() noexcept {
  if (!watching_signals_) return;
  const unsigned signals = port_->poller().exit_signals();
  if (signals == signals_seen_) return;
  if (exit_requested_ || signals - signals_seen_ > 1) forced_exit_ = true;
  signals_seen_ = signals;
  request_exit();
  if (forced_exit_) cancel_tasks();
}

void Loop::request_exit() noexcept {
  if (exit_requested_) return;
  exit_requested_ = true;
  while (!exit_waiters_.empty()) exit_waiters_.front().wake();
  List<ExitListener> round;  // a listener may take itself and others away
  round.splice_back(exit_listeners_);
  while (!round.empty()) {
    ExitListener& listener = round.pop_front();
    exit_listeners_.push_back(listener);
    listener.on_exit_requested();
  }
}

void Loop::cancel_tasks() noexcept {
  List<TaskNode> round;  // ending one may end others, and start new ones
  round.splice_back(tasks_);
  while (!round.empty()) round.front().cancel_now();
}

}  // namespace microdot::inline MICRODOT_ABI
