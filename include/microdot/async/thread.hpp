#pragma once
/// `run_in_thread`: blocking work beside the loop. Hosts only.

#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

#include <microdot/async/loop.hpp>
#include <microdot/async/task.hpp>

namespace microdot::inline MICRODOT_ABI {

namespace detail {

/// What a worker thread and the strand that waits for it share; the last of the two frees it.
template <typename T>
class ThreadJob final : private Notification {
 public:
  explicit ThreadJob(Loop& loop) noexcept : loop_(&loop) {}

  /// For the worker, when `value` or `exception` is there.
  void finish() noexcept {
    const std::lock_guard guard(mutex_);
    if (loop_ != nullptr) loop_->notify(*this);
  }
  /// The strand begins to wait.
  void begin() noexcept { loop_->port().poller().thread_started(); }
  /// The strand waits no more: the worker must not touch its loop again.
  void abandon() noexcept {
    const std::lock_guard guard(mutex_);
    loop_->port().poller().thread_ended();
    loop_->forget(*this);
    loop_ = nullptr;
  }

  class Done {
   public:
    explicit Done(ThreadJob& job) noexcept : job_(&job) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const noexcept {
      job_->waiting_ = &Strand::running();
      job_->waiting_->park(handle);
    }
    void await_resume() const noexcept {}

   private:
    ThreadJob* job_;
  };
  Done done() noexcept { return Done(*this); }

  std::conditional_t<std::is_void_v<T>, bool, std::optional<T>> value{};
#if MICRODOT_EXCEPTIONS
  std::exception_ptr exception;
#endif

 private:
  void on_notified() noexcept override { waiting_->wake(); }

  std::mutex mutex_;
  Loop* loop_;
  Strand* waiting_ = nullptr;
};

template <typename T>
class JobGuard {
 public:
  explicit JobGuard(ThreadJob<T>& job) noexcept : job_(&job) { job_->begin(); }
  JobGuard(const JobGuard&) = delete;
  JobGuard& operator=(const JobGuard&) = delete;
  ~JobGuard() { job_->abandon(); }

 private:
  ThreadJob<T>* job_;
};

}  // namespace detail

/// `auto image = co_await run_in_thread([path] { return decode(path); })`: runs blocking work in a thread of
/// its own and gives its result; what it throws is rethrown. If the awaiting strand is ended meanwhile, the
/// thread still runs to its end and its result is dropped, so `f` must own what it uses. Allocates from the
/// heap.
template <typename F>
Task<std::invoke_result_t<F&>> run_in_thread(F f) {
  using T = std::invoke_result_t<F&>;
  auto job = std::make_shared<detail::ThreadJob<T>>(Loop::current());
  const detail::JobGuard<T> guard(*job);
  std::thread worker([job, work = std::move(f)]() mutable {
#if MICRODOT_EXCEPTIONS
    try {
#endif
      if constexpr (std::is_void_v<T>) {
        work();
      } else {
        job->value.emplace(work());
      }
#if MICRODOT_EXCEPTIONS
    } catch (...) {
      job->exception = std::current_exception();
    }
#endif
    job->finish();
  });
  worker.detach();
  co_await job->done();
#if MICRODOT_EXCEPTIONS
  if (job->exception) std::rethrow_exception(job->exception);
#endif
  if constexpr (!std::is_void_v<T>) co_return std::move(*job->value);
}

}  // namespace microdot::inline MICRODOT_ABI
