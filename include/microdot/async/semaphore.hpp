#pragma once
#include <coroutine>
#include <cstddef>
#include <utility>

#include <microdot/async/loop.hpp>

namespace microdot::inline MICRODOT_ABI {

/// A number of permits, given to those who wait in the order in which they came. A strand that is ended while
/// it waits, or after it was given a permit that it has not seen yet, loses none.
class Semaphore {
 public:
  explicit Semaphore(std::size_t permits) noexcept : permits_(permits) {}
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  /// Holds a permit and gives it back when destroyed.
  class [[nodiscard]] Guard {
   public:
    explicit Guard(Semaphore& semaphore) noexcept : semaphore_(&semaphore) {}
    Guard(Guard&& other) noexcept : semaphore_(std::exchange(other.semaphore_, nullptr)) {}
    Guard& operator=(Guard&& other) noexcept {
      if (this != &other) {
        release();
        semaphore_ = std::exchange(other.semaphore_, nullptr);
      }
      return *this;
    }
    ~Guard() { release(); }
    /// Gives the permit back early.
    void release() noexcept {
      if (semaphore_ != nullptr) std::exchange(semaphore_, nullptr)->release();
    }

   private:
    Semaphore* semaphore_;
  };

  /// Takes a permit for whoever awaits it, without a guard: for building other things on.
  class Permit {
   public:
    explicit Permit(Semaphore& semaphore) noexcept : semaphore_(&semaphore) {}
    Permit(Permit&& other) noexcept : semaphore_(other.semaphore_) {}
    Permit& operator=(Permit&&) = delete;
    ~Permit() {
      if (strand_ != nullptr && strand_->take_grant()) semaphore_->release();
    }
    bool await_ready() const noexcept { return semaphore_->try_take(); }
    void await_suspend(std::coroutine_handle<> handle) noexcept {
      strand_ = &Strand::running();
      strand_->park_in(semaphore_->waiters_, handle);
    }
    void await_resume() noexcept {
      if (strand_ != nullptr) std::exchange(strand_, nullptr)->take_grant();
    }

   protected:
    Semaphore* semaphore_;

   private:
    Strand* strand_ = nullptr;
  };

  class Acquire : public Permit {
   public:
    using Permit::Permit;
    Guard await_resume() noexcept {
      Permit::await_resume();
      return Guard(*semaphore_);
    }
  };

  /// `auto guard = co_await semaphore.acquire();` holds a permit for the scope.
  [[nodiscard]] Acquire acquire() noexcept { return Acquire(*this); }
  /// `co_await semaphore.take();` takes a permit that `release` has to give back.
  [[nodiscard]] Permit take() noexcept { return Permit(*this); }
  /// Takes a permit if that needs no waiting.
  bool try_take() noexcept {
    if (permits_ == 0) return false;
    --permits_;
    return true;
  }
  /// Gives a permit back, to the first who waits if there is one.
  void release() noexcept {
    if (waiters_.empty()) {
      ++permits_;
    } else {
      waiters_.front().grant();
    }
  }
  /// Permits that nobody holds.
  std::size_t available() const noexcept { return permits_; }
  /// No permit is left.
  bool locked() const noexcept { return permits_ == 0; }

 private:
  List<Strand> waiters_;
  std::size_t permits_;
};

}  // namespace microdot::inline MICRODOT_ABI
