#pragma once
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include <microdot/async/loop.hpp>
#include <microdot/async/task.hpp>
#include <microdot/base/result.hpp>

namespace microdot::inline MICRODOT_ABI {

namespace detail {

/// How many branches still run, and which failed first; wakes the strand that waits for them, if one does.
class BranchSet {
 public:
  /// `parent` lends the branches its memory and gets their aborts.
  explicit BranchSet(Strand& parent) noexcept : parent_(&parent) {}
  Strand& parent() const noexcept { return *parent_; }
  void add() noexcept { ++running_; }
  void ended(PromiseBase& promise) noexcept {
    --running_;
#if MICRODOT_EXCEPTIONS
    if (failed_ == nullptr && promise.exception()) failed_ = &promise;
#else
    static_cast<void>(promise);
#endif
    // The strand may be waiting for something else (a task of a group ends while its owner sleeps).
    if (complete() && waiter_ != nullptr) std::exchange(waiter_, nullptr)->wake();
  }
  void wait(Strand& waiter) noexcept { waiter_ = &waiter; }
  void wait_no_more() noexcept { waiter_ = nullptr; }
  /// The promise of the first branch that threw, or null.
  PromiseBase* failed() const noexcept { return failed_; }
  bool complete() const noexcept { return running_ == 0 || failed_ != nullptr; }
  /// All branches are gone.
  void reset() noexcept {
    failed_ = nullptr;
    running_ = 0;
  }

 private:
  Strand* parent_;
  Strand* waiter_ = nullptr;
  PromiseBase* failed_ = nullptr;
  unsigned running_ = 0;
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
  void cancel_unless_done() noexcept {
    if (!done()) cancel();
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
  void on_finished(Strand&) noexcept override { set_->ended(task_.handle().promise()); }
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
Task<T> as_task(Task<T> task) noexcept {
  return task;
}
template <typename Awaitable>
using TaskFor = decltype(as_task(std::declval<Awaitable>()));

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
class [[nodiscard]] Gather {
 public:
  explicit Gather(Task<Ts>... tasks) noexcept : tasks_(std::move(tasks)...) {}

  class Awaiter {
   public:
    explicit Awaiter(std::tuple<Task<Ts>...>& tasks) noexcept
        : Awaiter(tasks, std::index_sequence_for<Ts...>()) {}
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;

    bool await_ready() const noexcept { return sizeof...(Ts) == 0; }
    void await_suspend(std::coroutine_handle<> awaiting) noexcept {
      set_.parent().park(awaiting);
      set_.wait(set_.parent());
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
            if (set_.failed() != nullptr) {
              (branch.cancel_unless_done(), ...);
              set_.failed()->rethrow_if_failed();
            }
            return std::tuple<typename detail::Branch<Ts>::Value...>(branch.take()...);
          },
          branches_);
    }

   private:
    template <std::size_t... I>
    Awaiter(std::tuple<Task<Ts>...>& tasks, std::index_sequence<I...>) noexcept
        : set_(Strand::running()),
          branches_(detail::BranchInit<Ts>{set_, std::move(std::get<I>(tasks))}...) {}

    detail::BranchSet set_;
    std::tuple<detail::Branch<Ts>...> branches_;
  };
  Awaiter operator co_await() noexcept { return Awaiter(tasks_); }

 private:
  std::tuple<Task<Ts>...> tasks_;
};

/// `auto [a, b] = co_await gather(f(), g())`: runs tasks and other awaitables side by side and gives their
/// results in a tuple (`std::monostate` for `void`). The first that throws ends the others, and its exception
/// is rethrown. Ending the awaiting strand ends all of them. To be awaited once.
template <typename... Awaitables>
auto gather(Awaitables... awaitables) {
  return Gather<typename detail::TaskFor<Awaitables>::value_type...>(
      detail::as_task(std::move(awaitables))...);
}

/// See `wait_for`.
template <typename T>
class [[nodiscard]] WaitFor {
 public:
  using Value = typename detail::WaitForResult<T>::Type;

  WaitFor(Task<T> task, TimePoint deadline) noexcept : task_(std::move(task)), deadline_(deadline) {}

  class Awaiter {
   public:
    Awaiter(Task<T> task, TimePoint deadline) noexcept
        : set_(Strand::running()),
          branch_(detail::BranchInit<T>{set_, std::move(task)}),
          deadline_(deadline) {}
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> awaiting) noexcept {
      set_.parent().park(awaiting);
      if (!branch_.valid()) return detail::stop_for_memory(set_.parent());
      set_.wait(set_.parent());
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
  Awaiter operator co_await() noexcept { return Awaiter(std::move(task_), deadline_); }

 private:
  Task<T> task_;
  TimePoint deadline_;
};

/// `Result<T> r = co_await wait_for(f(), 5s)`: the result of a task or other awaitable, or `Error::timeout`,
/// then the task is ended. The time counts from this call. A `Result` that the task itself gives is not
/// wrapped again. To be awaited once.
template <typename Awaitable, typename Rep, typename Period>
auto wait_for(Awaitable awaitable, std::chrono::duration<Rep, Period> time) {
  using T = typename detail::TaskFor<Awaitable>::value_type;
  return WaitFor<T>(detail::as_task(std::move(awaitable)), Loop::current().now() + to_duration(time));
}

}  // namespace microdot::inline MICRODOT_ABI
