#pragma once
#include <cassert>
#include <coroutine>
#include <cstdint>
#include <string_view>

#include <microdot/async/timer.hpp>
#include <microdot/base/arena.hpp>
#include <microdot/base/list.hpp>

namespace microdot::inline MICRODOT_ABI {

class Loop;
class TextBuilder;

/// Why a strand ended before its coroutine did.
struct Stop {
  enum class Cause : std::uint8_t {
    none,
    abort,      ///< `co_await abort(status, reason)`.
    no_memory,  ///< A frame found no room.
    canceled,   ///< Its owner, or `TaskHandle::cancel`.
  };
  Cause cause = Cause::none;
  std::uint16_t status = 0;
  std::string_view reason;  ///< Bytes of the strand's arena, or static.
};

/// A chain of coroutines that run one at a time: what other systems call a task or a fiber. It waits for one
/// thing at a time, so the hook for queues and the timer lie here, once, and not in each frame.
///
/// The loop resumes strands with a trampoline: a coroutine that awaits another names it as `next_` and
/// returns, so the machine stack stays flat however deep the chain is.
///
/// Ending a strand destroys its root coroutine, which destroys the chain; that is its owner's part, never
/// done while the strand runs.
class Strand : public ListHook, private Timer {
 public:
  static constexpr std::uint32_t kNoTaskLimit = ~std::uint32_t{0};

  /// Who started the strand and holds its root coroutine. Called by the loop, while no strand runs.
  class Owner {
   public:
    /// The root coroutine returned. The owner may destroy the strand now.
    virtual void on_finished(Strand& strand) noexcept = 0;
    /// The strand can't go on (see `stop`). The owner destroys the root coroutine.
    virtual void on_stopped(Strand& strand) noexcept = 0;
    /// How many background tasks may run that strands of this kind have started.
    virtual std::uint32_t task_limit() const noexcept { return kNoTaskLimit; }
    /// Appends what people call it: "task 'sensor'", "GET /slow".
    virtual void describe(TextBuilder& text) const noexcept { static_cast<void>(text); }

   protected:
    ~Owner() = default;
  };

  /// A strand that takes its memory from `arena`. `parent`: the strand that awaits this one, which its aborts
  /// end.
  Strand(Owner& owner, Arena& arena, Strand* parent = nullptr) noexcept
      : owner_(&owner), arena_(&arena), parent_(parent) {}
  ~Strand() { reset(); }

  /// The strand that runs now; null outside of strands.
  static Strand* current() noexcept;
  /// The strand that runs now; there must be one.
  static Strand& running() noexcept;

  /// Tells `loop()` before the start.
  void bind(Loop& loop) noexcept { loop_ = &loop; }
  /// Makes the strand ready to run `root` from its start, in `loop`.
  void start(Loop& loop, std::coroutine_handle<> root) noexcept;
  /// Runs `root` at once, inside the strand that runs now, whose arena is this one's too, up to where it
  /// waits. True if it has ended or was stopped (see `stop_reason`) before that; then the owner is not told.
  bool run_inside(Loop& loop, std::coroutine_handle<> root) noexcept;
  /// Nothing runs or is to be resumed.
  bool is_idle() const noexcept { return state_ == State::idle; }
  /// Forgets what is to be resumed: leaves queues, disarms the timer. Afterwards the root may be destroyed.
  void reset() noexcept;

  Arena& arena() const noexcept { return *arena_; }
  Loop& loop() const noexcept { return *loop_; }
  Strand* parent() const noexcept { return parent_; }
  Owner& owner() const noexcept { return *owner_; }
  /// The strand that awaits the one that awaits … this one.
  Strand& outermost() noexcept {
    Strand* strand = this;
    while (strand->parent_ != nullptr) strand = strand->parent_;
    return *strand;
  }
  /// Why `on_stopped` was called.
  const Stop& stop_reason() const noexcept { return stop_; }

  // For awaiters, called by the running strand.

  /// Goes on with `next` when the running coroutine returns to the trampoline.
  void switch_to(std::coroutine_handle<> next) noexcept { next_ = next; }
  /// Suspends: `handle` is resumed after `wake`.
  void park(std::coroutine_handle<> handle) noexcept {
    next_ = handle;
    state_ = State::waiting;
  }
  /// The same, in a queue whose strands are of one loop (or of loops that one thread drives in turn).
  void park_in(List<Strand>& queue, std::coroutine_handle<> handle) noexcept {
    assert((queue.empty() || queue.front().is_in_its_thread()) &&
           "waited for by another thread: see \"Workers\" in docs/guide/server.md");
    park(handle);
    queue.push_back(*this);
  }
  /// Whether the calling thread drives the strand's loop.
  bool is_in_its_thread() const noexcept;
  /// Wakes the strand at `deadline` if nothing else does before; `timed_out` tells afterwards.
  void wake_at(TimePoint deadline) noexcept;
  bool timed_out() const noexcept { return timed_out_; }

  // For those who wake or end others, also from outside of strands.

  /// Makes a waiting strand ready; does nothing otherwise.
  void wake() noexcept;
  /// Runs it without waiting for its turn, if it is ready and called from an event of the port: so that one
  /// event is dealt with, and its memory is free again, before the next one.
  void run_now() noexcept;
  /// Hands over what it waited for (a permit) and wakes it. The awaiter must `take_grant`.
  void grant() noexcept {
    granted_ = true;
    wake();
  }
  bool take_grant() noexcept {
    const bool granted = granted_;
    granted_ = false;
    return granted;
  }
  /// Ends the strand: nothing of it runs any more (if it runs now: after it suspends), and its owner's
  /// `on_stopped` is called by the loop. The first reason counts.
  void stop(const Stop& reason) noexcept;
  /// Ends the outermost strand that awaits this one: how `abort` in a branch of `gather` ends the request.
  void stop_outermost(const Stop& reason) noexcept;

 private:
  friend class Loop;
  enum class State : std::uint8_t { idle, ready, running, waiting };

  void begin(Loop& loop, std::coroutine_handle<> root) noexcept;
  void resume() noexcept;
  void run() noexcept;
  void on_timer() noexcept override;

  Owner* owner_;
  Arena* arena_;
  Strand* parent_;
  Loop* loop_ = nullptr;
  std::coroutine_handle<> next_;
  Stop stop_;
  State state_ = State::idle;
  bool timed_out_ = false;
  bool granted_ = false;
};

}  // namespace microdot::inline MICRODOT_ABI
