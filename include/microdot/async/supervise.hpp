#pragma once
#include <chrono>
#include <concepts>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <microdot/async/spawn.hpp>
#include <microdot/async/timer.hpp>

namespace microdot::inline MICRODOT_ABI {

/// After which ends a supervised task is run again.
enum class Restart : std::uint8_t {
  on_failure,  ///< An exception, `abort`, an error `Result`, no memory for its frame, or its deadline.
  always,      ///< Also when it has returned.
  never,
};

/// When `supervise` runs a task again, and how long a run may take.
struct RestartPolicy {
  Restart restart = Restart::on_failure;
  /// What is waited before a run: `min_backoff`, doubled with each failure in a row up to `max_backoff`, and
  /// of that between half and all, by chance, so that many do not come back at once. A run that lasted for
  /// `max_backoff` or did not fail lets it begin anew.
  Duration min_backoff = std::chrono::milliseconds(100);
  Duration max_backoff = std::chrono::seconds(10);
  /// Runs after the first, without one among them that lasted for `max_backoff`; then the task has failed.
  /// With a `max_backoff` of zero: of all. 0: no limit.
  std::uint32_t max_restarts = 0;
  /// A run that takes longer is ended and has failed. Zero: as long as it likes.
  Duration deadline{0};
};

/// A background task that is run again and again: one node, strand and name for all of its runs. Used through
/// `supervise`.
class SupervisedNode : public TaskNode, private Timer {
 public:
  bool makes_frames() const noexcept final { return true; }

 protected:
  explicit SupervisedNode(const RestartPolicy& policy) noexcept : policy_(policy) {}
  ~SupervisedNode() = default;

  /// Makes the coroutine of the next run. False: that threw, and was reported.
  virtual bool make_run() noexcept = 0;

 private:
  void begin() noexcept final { run(); }
  bool goes_on(TaskState state) noexcept final;
  bool between_runs() const noexcept final { return armed() && !has_frames(); }
  void on_timer() noexcept final;
  void run() noexcept;
  Loop& loop() noexcept { return strand().loop(); }

  RestartPolicy policy_;
  Duration backoff_{0};
  TimePoint began_{};
  std::uint32_t restarts_ = 0;  // without a run among them that lasted
};

namespace detail {

template <typename F, typename... Args>
using SupervisedTaskOf = std::invoke_result_t<std::decay_t<F>&, const std::decay_t<Args>&...>;

template <typename F, typename... Args>
concept SupervisedFunction = std::invocable < std::decay_t<F>
&, const std::decay_t<Args>&... > &&kIsTask<SupervisedTaskOf<F, Args...>>;

/// Keeps the callable and its arguments for all runs.
template <typename T, typename F, typename... Args>
class SupervisedTaskNode final : public TypedTaskNode<T, SupervisedNode> {
 public:
  template <typename G, typename... Brgs>
  explicit SupervisedTaskNode(const RestartPolicy& policy, G&& f, Brgs&&... args)
      : TypedTaskNode<T, SupervisedNode>(policy),
        f_(std::forward<G>(f)),
        args_(std::forward<Brgs>(args)...) {}
  ~SupervisedTaskNode() { this->task_.destroy(); }

 private:
  bool make_run() noexcept override {
    const ArenaScope scope(task_pool());
#if MICRODOT_EXCEPTIONS
    try {
#endif
      this->task_ = std::apply([this](const Args&... stored) { return std::invoke(f_, stored...); }, args_);
      return true;
#if MICRODOT_EXCEPTIONS
    } catch (...) {
      this->fail(current_exception_text());
      return false;
    }
#endif
  }
  void destroy() noexcept override { TypedTaskNode<T, SupervisedNode>::destroy_as(this); }

  F f_;
  std::tuple<Args...> args_;
};

}  // namespace detail

/// Runs the coroutine `f(args…)` beside everything else, as `create_task` does, and again after it has ended,
/// as the policy says:
///
///     supervise("sensor", {.max_backoff = 10s, .deadline = 1s}, read_sensor, std::ref(station));
///     supervise("mqtt", {.restart = Restart::always}, [&client] { return client.run(); });
///
/// `f` and `args` are kept, and each run gets them anew: parameters by value are copies, those by `const`
/// reference refer to what is kept. Each run that fails is reported by the task's name (see `on_task_error`),
/// and so is that it was given up, after `max_restarts`. The handle refers to all of it: `cancel` ends the
/// run, or the wait for the next one; awaiting it gives how the last run ended. Needs memory once for what is
/// kept, else it fails at once; and for the frame of each run, which counts as a failure of that run.
template <typename F, typename... Args>
TaskHandle supervise(std::string_view name, const RestartPolicy& policy, F&& f, Args&&... args) {
  if constexpr (detail::SupervisedFunction<F, Args...>) {
    using Value = typename detail::SupervisedTaskOf<F, Args...>::value_type;
    using Node = detail::SupervisedTaskNode<Value, std::decay_t<F>, std::decay_t<Args>...>;
    return detail::start_task(
        detail::make_task_node<Node>(policy, std::forward<F>(f), std::forward<Args>(args)...), name);
  } else {
    detail::refuse_task_function<F, const std::decay_t<Args>&...>();
    return {};
  }
}
template <typename F, typename... Args>
TaskHandle supervise(const RestartPolicy& policy, F&& f, Args&&... args) {
  return supervise("task", policy, std::forward<F>(f), std::forward<Args>(args)...);
}

}  // namespace microdot::inline MICRODOT_ABI
