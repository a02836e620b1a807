#pragma once
/// `Signal`: waiting for signals of the system. Hosts only.

#include <coroutine>
#include <utility>

#include <microdot/async/loop.hpp>

namespace microdot::inline MICRODOT_ABI {

/// A signal that a task waits for:
///
///     Signal hangup(SIGHUP);
///     while (co_await hangup.next()) reload_settings();
///
/// From here to the end of its scope the signal does nothing else; then it does what it did before. Not
/// SIGINT and SIGTERM, which are `exit_requested`. Made in a task, for that loop.
class Signal : public ListHook {
 public:
  explicit Signal(int number) noexcept
      : poller_(&Loop::current().port().poller()), number_(number), watched_(poller_->watch_signal(number)) {
    seen_ = poller_->signals(number_);
    Loop::current().signals().push_back(*this);
  }
  ~Signal() {
    if (watched_) poller_->unwatch_signal(number_);
  }

  class Next {
   public:
    explicit Next(Signal& signal) noexcept : signal_(&signal) {}
    /// Of one that does not wait yet: for `wait_for` and `gather`.
    Next(Next&& other) noexcept : signal_(other.signal_) {}
    Next& operator=(Next&&) = delete;
    ~Next() {
      if (waits_) signal_->strand_ = nullptr;
    }
    bool await_ready() const noexcept {
      return !signal_->watched_ || signal_->came() || signal_->strand_ != nullptr;
    }
    void await_suspend(std::coroutine_handle<> handle) noexcept {
      signal_->strand_ = &Strand::running();
      signal_->strand_->park(handle);
      waits_ = true;
    }
    unsigned await_resume() noexcept {
      if (std::exchange(waits_, false)) signal_->strand_ = nullptr;
      return signal_->take();
    }

   private:
    Signal* signal_;
    bool waits_ = false;
  };
  /// Waits until the signal has come since the last `next` ended, or since this object was made; gives how
  /// often. None is lost while the loop is busy, but the system itself may make one of several that are
  /// pending. 0: it can't be waited for (SIGKILL, SIGSEGV, SIGINT …), another strand waits here, or the
  /// process waits for too many: there is room for 128, of which each `run` takes two.
  [[nodiscard]] Next next() noexcept { return Next(*this); }

 private:
  friend class Loop;
  bool came() const noexcept { return poller_->signals(number_) != seen_; }
  unsigned take() noexcept {
    if (!watched_) return 0;
    const unsigned before = std::exchange(seen_, poller_->signals(number_));
    return seen_ - before;
  }
  void wake_if_came() noexcept {
    if (strand_ != nullptr && came()) strand_->wake();
  }

  Poller* poller_;
  Strand* strand_ = nullptr;  // that waits
  int number_;
  bool watched_;
  unsigned seen_ = 0;
};

}  // namespace microdot::inline MICRODOT_ABI
