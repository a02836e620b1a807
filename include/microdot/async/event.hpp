#pragma once
#include <atomic>
#include <coroutine>

#include <microdot/async/loop.hpp>

namespace microdot::inline MICRODOT_ABI {

/// A flag that tasks can wait for.
class Event : private Notification {
 public:
  Event() noexcept = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  /// Nobody may wait any more.
  ~Event() {
    if (queued()) loop_.load(std::memory_order_relaxed)->forget(*this);
  }

  /// Wakes all who wait; later waits go through until `clear`.
  void set() noexcept {
    set_ = true;
    while (!waiters_.empty()) waiters_.front().wake();
  }
  void clear() noexcept { set_ = false; }
  bool is_set() const noexcept { return set_; }

  /// `set` from an interrupt handler or another thread. `loop` is the one whose tasks wait; it and the
  /// event must outlive the call.
  void set_from_isr(Loop& loop) noexcept {
    loop_.store(&loop, std::memory_order_relaxed);
    loop.notify(*this);
  }

  class [[nodiscard]] Awaiter {
   public:
    explicit Awaiter(Event& event) noexcept : event_(&event) {}
    bool await_ready() const noexcept { return event_->set_; }
    void await_suspend(std::coroutine_handle<> handle) const noexcept {
      Strand::running().park_in(event_->waiters_, handle);
    }
    void await_resume() const noexcept {}

   private:
    Event* event_;
  };
  /// `co_await event.wait()`: until the event is set.
  Awaiter wait() noexcept { return Awaiter(*this); }

 private:
  void on_notified() noexcept override { set(); }

  List<Strand> waiters_;
  std::atomic<Loop*> loop_{nullptr};
  bool set_ = false;
};

}  // namespace microdot::inline MICRODOT_ABI
