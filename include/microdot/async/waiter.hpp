#pragma once
#include <coroutine>

#include <microdot/async/loop.hpp>

#if MICRODOT_HOSTED
#include <mutex>
#endif

/// What things that several loops share are made of: a lock, and a strand that waits. Without threads there
/// is nothing to either.
namespace microdot::inline MICRODOT_ABI::detail {

#if MICRODOT_HOSTED

class SharedLock {
 public:
  class Guard {
   public:
    /// Null: nothing is locked.
    explicit Guard(SharedLock* lock) noexcept : lock_(lock) {
      if (lock_ != nullptr) lock_->mutex_.lock();
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() {
      if (lock_ != nullptr) lock_->mutex_.unlock();
    }

   private:
    SharedLock* lock_;
  };

 private:
  std::mutex mutex_;
};

/// A strand that waits for something that others may bring about in any thread. All calls but `forget` are
/// made under the lock of what it waits for.
class SharedWaiter : private Notification {
 public:
  SharedWaiter() noexcept = default;
  SharedWaiter(const SharedWaiter&) = delete;
  SharedWaiter& operator=(const SharedWaiter&) = delete;

  bool waits() const noexcept { return strand_ != nullptr; }
  void wait(std::coroutine_handle<> handle) noexcept {
    due_.store(false, std::memory_order_relaxed);
    strand_ = &Strand::running();
    loop_ = &strand_->loop();
    strand_->park(handle);
  }
  void wait_no_more() noexcept { strand_ = nullptr; }
  /// Wakes it, if it waits: at once in its loop, else by its loop.
  void wake() noexcept {
    if (strand_ == nullptr) return;
    if (loop_ == Loop::try_current()) return strand_->wake();
    due_.store(true, std::memory_order_relaxed);
    loop_->notify(*this);
  }
  /// Before it goes: nobody wakes it any more. In its thread, without the lock.
  void forget() noexcept {
    if (queued()) loop_->forget(*this);
  }

 private:
  // In the strand's thread, the only one that changes `strand_`. What was told may be of an earlier wait.
  void on_notified() noexcept override {
    if (strand_ != nullptr && due_.load(std::memory_order_relaxed)) strand_->wake();
  }

  Strand* strand_ = nullptr;
  Loop* loop_ = nullptr;  // of the last wait
  std::atomic<bool> due_{false};
};

#else

class SharedLock {
 public:
  class Guard {
   public:
    explicit Guard(SharedLock*) noexcept {}
    ~Guard() {}
  };
};

class SharedWaiter {
 public:
  bool waits() const noexcept { return strand_ != nullptr; }
  void wait(std::coroutine_handle<> handle) noexcept {
    strand_ = &Strand::running();
    strand_->park(handle);
  }
  void wait_no_more() noexcept { strand_ = nullptr; }
  void wake() noexcept {
    if (strand_ != nullptr) strand_->wake();
  }
  void forget() noexcept {}

 private:
  Strand* strand_ = nullptr;
};

#endif

}  // namespace microdot::inline MICRODOT_ABI::detail
