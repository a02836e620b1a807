#pragma once
#include <chrono>
#include <coroutine>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include <microdot/async/loop.hpp>
#include <microdot/async/task.hpp>
#include <microdot/base/result.hpp>

namespace microdot::inline MICRODOT_ABI {

namespace detail {

/// How many branches still run, and whether one of them failed; wakes the strand that waits for them.
class BranchSet {
 public:
  explicit BranchSet(Strand& parent) noexcept : parent_(&parent) {}
  Strand& parent() const noexcept { return *parent_; }
  void add() noexcept { ++running_; }
  void ended(bool failed) noexcept {
    --running_;
    failed_ = failed_ || failed;
    if (complete()) parent_->wake();
  }
  bool failed() const noexcept { return failed_; }
  bool complete() const noexcept { return running_ == 0 || failed_; }

 private:
  Strand* parent_;
  unsigned running_ = 0;
  bool failed_ = false;
};

template <typename T>
struct BranchInit {
  BranchSet& set;
  Task<T> task;
};

/// One coroutine that runs as a strand of its own on behalf of the strand that awaits it. Destroying it ends
/// it.
template <typename T>
class Branch final : public Strand::Owner {
 public:
  using Value = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

  explicit Branch(BranchInit<T>&& init) noexcept
      : set_(&init.set),
        strand_(*this, set_->parent().arena(), &set_->parent()),
        task_(std::move(init.task)) {}
  Branch(const Branch&) = delete;
  Branch& operator=(const Branch&) = delete;
  ~Branch() { cancel(); }

  bool valid() const noexcept { return task_.valid(); }
  bool done() const noexcept { return task_.done(); }
  void start() noexcept {
    set_->add();
    strand_.start(set_->parent().loop(), task_.handle());
  }
  void cancel() noexcept {
    strand_.reset();
    task_.destroy();
  }
  void rethrow_if_failed() {
    if (task_.done()) task_.handle().promise().rethrow_if_failed();
  }
  Value take() {
    if constexpr (std::is_void_v<T>) {
      task_.take();
      return {};
    } else {
      return task_.take();
    }
  }

 private:
  void on_finished(Strand&) noexcept override {
#if MICRODOT_EXCEPTIONS
    set_->ended(static_cast<bool>(task_.handle().promise().exception()));
#else
    set_->ended(false);
#endif
  }
  // Aborts go to the outermost strand, and only it stops.
  void on_stopped(Strand&) noexcept override {}

  BranchSet* set_;
  Strand strand_;
  Task<T> task_;
};

inline void stop_for_memory(Strand& strand) noexcept {
  strand.stop_outermost({.cause = Stop::Cause::no_memory, .status = 503, .reason = {}});
}

template <typename Awaitable>
decltype(auto) get_awaiter(Awaitable&& awaitable) {
  if constexpr (requires { std::forward<Awaitable>(awaitable).operator co_await(); }) {
    return std::forward<Awaitable>(awaitable).operator co_await();
  } else {
    return std::forward<Awaitable>(awaitable);
  }
}

/// What `co_await` gives for a value of this type.
template <typename Awaitable>
using AwaitResult = std::remove_cvref_t<decltype(get_awaiter(std::declval<Awaitable&>()).await_resume())>;

/// Lets any awaitable stand where a task is wanted.
template <typename Awaitable>
Task<AwaitResult<Awaitable>> as_task(Awaitable awaitable) {
  co_return co_await awaitable;
}

template <typename T>
struct WaitForResult {
  using Type = Result<T>;
};
template <typename T>
struct WaitForResult<Result<T>> {
  using Type = Result<T>;
};

}  // namespace detail

/// See `gather`.
template <typename... Ts>
class Gather {
 public:
  explicit Gather(Task<Ts>... tasks) noexcept
      : set_(Strand::running()), branches_(detail::BranchInit<Ts>{set_, std::move(tasks)}...) {}
  Gather(const Gather&) = delete;
  Gather& operator=(const Gather&) = delete;

  bool await_ready() const noexcept { return sizeof...(Ts) == 0; }
  void await_suspend(std::coroutine_handle<> awaiting) noexcept {
    set_.parent().park(awaiting);
    std::apply(
        [this](auto&... branch) {
          if ((branch.valid() && ...)) {
            (branch.start(), ...);
          } else {
            detail::stop_for_memory(set_.parent());
          }
        },
        branches_);
  }
  std::tuple<typename detail::Branch<Ts>::Value...> await_resume() {
    return std::apply(
        [this](auto&... branch) {
          if (set_.failed()) (branch.rethrow_if_failed(), ...);
          return std::tuple<typename detail::Branch<Ts>::Value...>(branch.take()...);
        },
        branches_);
  }

 private:
  detail::BranchSet set_;
  std::tuple<detail::Branch<Ts>...> branches_;
};

/// `auto [a, b] = co_await gather(f(), g())`: runs tasks side by side and gives their results in a tuple
/// (`std::monostate` for `void`). The first that throws ends the others, and its exception is rethrown.
/// Ending the awaiting strand ends all of them.
template <typename... Ts>
Gather<Ts...> gather(Task<Ts>... tasks) noexcept {
  return Gather<Ts...>(std::move(tasks)...);
}

/// See `wait_for`.
template <typename T>
class WaitFor final {
 public:
  using Value = typename detail::WaitForResult<T>::Type;

  WaitFor(Task<T> task, TimePoint deadline) noexcept
      : set_(Strand::running()), branch_(detail::BranchInit<T>{set_, std::move(task)}), deadline_(deadline) {}
  WaitFor(const WaitFor&) = delete;
  WaitFor& operator=(const WaitFor&) = delete;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiting) noexcept {
    set_.parent().park(awaiting);
    if (!branch_.valid()) return detail::stop_for_memory(set_.parent());
    set_.parent().wake_at(deadline_);
    branch_.start();
  }
  Value await_resume() {
    if (!branch_.done()) {
      branch_.cancel();
      return Error::timeout;
    }
    if constexpr (std::is_void_v<T>) {
      branch_.take();
      return {};
    } else {
      return branch_.take();
    }
  }

 private:
  detail::BranchSet set_;
  detail::Branch<T> branch_;
  TimePoint deadline_;
};

/// `Result<T> r = co_await wait_for(f(), 5s)`: the result of a task or other awaitable, or `Error::timeout`,
/// then the task is ended. A `Result` that the task itself gives is not wrapped again.
template <typename T, typename Rep, typename Period>
WaitFor<T> wait_for(Task<T> task, std::chrono::duration<Rep, Period> time) noexcept {
  return WaitFor<T>(std::move(task), Loop::current().now() + std::chrono::ceil<Duration>(time));
}
template <typename Awaitable, typename Rep, typename Period>
auto wait_for(Awaitable awaitable, std::chrono::duration<Rep, Period> time) {
  return wait_for(detail::as_task(std::move(awaitable)), time);
}

}  // namespace microdot::inline MICRODOT_ABI
