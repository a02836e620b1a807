#pragma once
#include <array>
#include <concepts>
#include <coroutine>
#include <functional>
#include <new>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <microdot/async/loop.hpp>
#include <microdot/async/task.hpp>
#include <microdot/base/arena.hpp>
#include <microdot/base/result.hpp>

namespace microdot::inline MICRODOT_ABI {

enum class TaskState : std::uint8_t { running, done, failed, canceled };

/// A background task: its strand, its name and who waits for it. Lives in the task pool while it runs or a
/// handle refers to it. Used through `create_task` and `TaskHandle`.
class TaskNode : public ListHook, public Strand::Owner {
 public:
  TaskNode(const TaskNode&) = delete;
  TaskNode& operator=(const TaskNode&) = delete;

  std::string_view name() const noexcept { return {name_.data(), name_size_}; }
  void set_name(std::string_view name) noexcept;
  TaskState state() const noexcept { return state_; }
  List<Strand>& waiters() noexcept { return waiters_; }
  void start(Loop& loop) noexcept;
  /// Ends the task soon; its frames are destroyed when nothing of it runs.
  void cancel() noexcept;
  /// Ends the task at once. Only while no strand runs.
  void cancel_now() noexcept;
  /// Fails instead of starting: there is no result.
  void refuse(std::string_view reason) noexcept;
  /// Notes a failure and reports it by name to `on_task_error`; without a handler into the log, unless it is
  /// there already.
  void fail(std::string_view reason, bool logged = false) noexcept;
  /// The result stays until the last handle goes; a failure is for those who wait, and reported only if
  /// nobody does.
  void keep_result() noexcept { keep_result_ = true; }
  /// The coroutine's frame is there: before the end, and after it if the result is kept.
  bool has_frames() const noexcept { return valid(); }
  /// Can be started without a frame: it makes one for each run.
  virtual bool makes_frames() const noexcept { return false; }
  /// Why it ended before its coroutine did.
  const Stop& stop_reason() const noexcept { return strand_.stop_reason(); }

  /// Started by a request, or by a task of one: counts towards `limit`, as do tasks that it starts itself.
  void set_task_limit(std::uint32_t limit) noexcept { task_limit_ = limit; }
  std::uint32_t task_limit() const noexcept override { return task_limit_; }
  void describe(TextBuilder& text) const noexcept override;

  void acquire() noexcept { ++references_; }
  void release() noexcept;

 protected:
  TaskNode() noexcept : strand_(*this, task_pool()) {}
  ~TaskNode() = default;

  virtual bool valid() const noexcept = 0;
  virtual std::coroutine_handle<> root() const noexcept = 0;
  /// Looks at the result of a finished coroutine; calls `fail` if that was an error.
  virtual void check_result() noexcept = 0;
  virtual void destroy_frames() noexcept = 0;
  virtual void destroy() noexcept = 0;
  /// Runs the coroutine, for the first time.
  virtual void begin() noexcept { strand_.start(strand_.loop(), root()); }
  /// The coroutine has ended like this. True: the task goes on.
  virtual bool goes_on(TaskState state) noexcept {
    static_cast<void>(state);
    return false;
  }
  /// Nothing runs now; it waits for its next run.
  virtual bool between_runs() const noexcept { return false; }
  bool cancel_requested() const noexcept { return cancel_requested_; }
  Strand& strand() noexcept { return strand_; }
  void end(TaskState state) noexcept;

 private:
  void on_finished(Strand&) noexcept override;
  void on_stopped(Strand&) noexcept override;

  Strand strand_;
  List<Strand> waiters_;
  std::array<char, 24> name_{};
  std::uint8_t name_size_ = 0;
  TaskState state_ = TaskState::running;
  bool keep_result_ = false;
  bool cancel_requested_ = false;
  std::uint32_t task_limit_ = Strand::kNoTaskLimit;
  unsigned references_ = 1;
};

/// Refers to a background task. Copies refer to the same task; a handle that goes leaves the task running.
class TaskHandle {
 public:
  TaskHandle() noexcept = default;
  /// Takes over one reference.
  explicit TaskHandle(TaskNode* node) noexcept : node_(node) {}
  TaskHandle(const TaskHandle& other) noexcept : node_(other.node_) {
    if (node_ != nullptr) node_->acquire();
  }
  TaskHandle(TaskHandle&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  TaskHandle& operator=(TaskHandle other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~TaskHandle() {
    if (node_ != nullptr) node_->release();
  }

  /// `failed` also if the task could not be made.
  TaskState state() const noexcept { return node_ != nullptr ? node_->state() : TaskState::failed; }
  /// The task has ended, in whatever way.
  bool done() const noexcept { return state() != TaskState::running; }
  /// Ends the task: its frames are destroyed as soon as nothing of it runs, so a task may cancel itself.
  void cancel() noexcept {
    if (node_ != nullptr) node_->cancel();
  }

  class Awaiter;
  /// Waits until the task has ended and gives its state. What it threw went to `on_task_error`.
  Awaiter operator co_await() const noexcept;

 private:
  TaskNode* node_ = nullptr;
};

/// See `TaskHandle::operator co_await`. Refers to the task itself: the handle may go meanwhile.
class TaskHandle::Awaiter {
 public:
  explicit Awaiter(const TaskHandle& task) noexcept : task_(task) {}
  bool await_ready() const noexcept { return task_.done(); }
  void await_suspend(std::coroutine_handle<> awaiting) const noexcept {
    Strand& strand = Strand::running();
    strand.park(awaiting);
    task_.node_->waiters().push_back(strand);
  }
  TaskState await_resume() const noexcept { return task_.state(); }

 private:
  TaskHandle task_;
};
inline TaskHandle::Awaiter TaskHandle::operator co_await() const noexcept { return Awaiter(*this); }

namespace detail {

/// What the exception that is being handled says. For use in a catch block.
std::string_view current_exception_text() noexcept;
/// Tells `on_task_error`, or else the log.
void report_task_error(std::string_view name, std::string_view reason, bool logged = false) noexcept;
/// Reports that a task could not be made, and gives a failed handle.
TaskHandle refuse_task(std::string_view name, std::string_view reason) noexcept;
/// What `on_task_error` has set in this thread.
auto task_error_handler() noexcept -> void (*)(const TaskError&);

template <typename T>
inline constexpr bool kIsResult = false;
template <typename T>
inline constexpr bool kIsResult<Result<T>> = true;

template <typename T, typename Base = TaskNode>
class TypedTaskNode : public Base {
 public:
  T take() { return task_.take(); }

 protected:
  TypedTaskNode() noexcept = default;
  explicit TypedTaskNode(Task<T> task) noexcept : task_(std::move(task)) {}
  template <typename Argument>
  explicit TypedTaskNode(const Argument& argument) noexcept : Base(argument) {}
  ~TypedTaskNode() = default;
  bool valid() const noexcept override { return task_.valid(); }
  std::coroutine_handle<> root() const noexcept override { return task_.handle(); }
  void check_result() noexcept override {
#if MICRODOT_EXCEPTIONS
    if (const std::exception_ptr& exception = task_.handle().promise().exception()) {
      try {
        std::rethrow_exception(exception);
      } catch (...) {
        this->fail(current_exception_text());
      }
      return;
    }
#endif
    if constexpr (kIsResult<T>) {
      const T& result = task_.handle().promise().value();
      bool logged = false;
      if constexpr (std::is_same_v<T, Result<void>>) logged = result.is_logged();
      if (!result) this->fail(to_string(result.error()), logged);
    }
  }
  void destroy_frames() noexcept override { task_.destroy(); }

  template <typename Node>
  static void destroy_as(Node* node) noexcept {
    node->~Node();
    Arena::free(node);
  }

  Task<T> task_;
};

template <typename T>
class PlainTaskNode final : public TypedTaskNode<T> {
 public:
  explicit PlainTaskNode(Task<T> task) noexcept : TypedTaskNode<T>(std::move(task)) {}

 private:
  void destroy() noexcept override { TypedTaskNode<T>::destroy_as(this); }
};

/// Keeps the callable and its arguments at a stable address as long as the coroutine made of them.
template <typename T, typename F, typename... Args>
class CallableTaskNode final : public TypedTaskNode<T> {
 public:
  template <typename G, typename... Brgs>
  explicit CallableTaskNode(G&& f, Brgs&&... args)
      : f_(std::forward<G>(f)), args_(std::forward<Brgs>(args)...) {
    const ArenaScope scope(task_pool());
    this->task_ =
        std::apply([this](Args&... stored) { return std::invoke(f_, std::move(stored)...); }, args_);
  }
  ~CallableTaskNode() { this->task_.destroy(); }

 private:
  void destroy() noexcept override { TypedTaskNode<T>::destroy_as(this); }

  F f_;
  std::tuple<Args...> args_;
};

template <typename Node, typename... Args>
Node* make_task_node(Args&&... args) {
  return make_in<Node>(task_pool(), std::forward<Args>(args)...);
}

TaskHandle start_task(TaskNode* node, std::string_view name) noexcept;

template <typename T>
TaskHandle create_named_task(std::string_view name, Task<T> task) {
  if (!task.valid()) return refuse_task(name, "no room for it in the task pool");
  if (&Arena::owner_of(task.handle().address()) != &task_pool()) {
    return refuse_task(name, "its frame lies in a request's memory: use create_task(f, args...)");
  }
  return start_task(make_task_node<PlainTaskNode<T>>(std::move(task)), name);
}

template <typename F, typename... Args>
using TaskOf = std::invoke_result_t<std::decay_t<F>&, std::decay_t<Args>...>;

template <typename F, typename... Args>
concept TaskFunction = std::invocable < std::decay_t<F>
&, std::decay_t<Args>... > &&kIsTask<TaskOf<F, Args...>>;

/// Ends the compilation with the reason why `F` makes no task of arguments that it gets as `Stored`.
template <typename F, typename... Stored>
void refuse_task_function() {
  using Function = std::decay_t<F>&;
  if constexpr (kIsTask<std::decay_t<F>>) {
    static_assert(
        !kIsTask<std::decay_t<F>>,
        "this takes a coroutine function and its arguments, (f, a, b), not the Task of a call, f(a, b)");
  } else if constexpr (std::invocable<Function, Stored...>) {
    static_assert(!std::invocable<Function, Stored...>,
                  "the function of a task must be a coroutine: it must return a Task");
  } else {
    static_assert(
        !std::invocable<Function, std::decay_t<Stored>&...>,
        "the function of a task takes a reference, but arguments are copied: pass std::ref(argument)");
    static_assert(std::invocable<Function, std::decay_t<Stored>&...>,
                  "the function of a task can't be called with copies of these arguments");
  }
}

template <typename F, typename... Args>
using NodeFor =
    CallableTaskNode<typename TaskOf<F, Args...>::value_type, std::decay_t<F>, std::decay_t<Args>...>;

}  // namespace detail

/// Runs a task beside everything else in the current loop. It ends with the loop at the latest. If it fails,
/// that is reported by its name (see `on_task_error`) and harms nothing else; so is a task for which there is
/// no room.
///
///     create_task("mqtt", publish_readings, std::ref(client));   // the callable and its arguments are kept
///     auto server = create_task(app.start_server({.port = 5000}));
///     co_await server;
///
/// `name`: up to 24 bytes are copied. In a handler use a callable: a `Task` made there lies in the request's
/// memory and is refused.
template <typename T>
TaskHandle create_task(Task<T> task) {
  return detail::create_named_task("task", std::move(task));
}
template <typename T>
TaskHandle create_task(std::string_view name, Task<T> task) {
  return detail::create_named_task(name, std::move(task));
}
template <typename F, typename... Args>
TaskHandle create_task(std::string_view name, F&& f, Args&&... args) {
  if constexpr (detail::TaskFunction<F, Args...>) {
    return detail::start_task(
        detail::make_task_node<detail::NodeFor<F, Args...>>(std::forward<F>(f), std::forward<Args>(args)...),
        name);
  } else {
    detail::refuse_task_function<F, std::decay_t<Args>...>();
    return {};
  }
}
template <typename F, typename... Args>
requires(!std::convertible_to<F, std::string_view> && !detail::kIsTask<std::decay_t<F>>)  // not a name
    TaskHandle create_task(F&& f, Args&&... args) {
  return create_task("task", std::forward<F>(f), std::forward<Args>(args)...);
}

/// Sets what is called, in this thread, for every background task that fails; null sets the default again: a
/// line in the port's log.
void on_task_error(void (*handler)(const TaskError& error)) noexcept;

/// Ends the awaiting strand.
class StopAwaiter {
 public:
  explicit StopAwaiter(const Stop& stop) noexcept : stop_(stop) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiting) const noexcept {
    Strand& strand = Strand::running();
    strand.park(awaiting);
    strand.stop_outermost(stop_);
  }
  void await_resume() const noexcept {}

 private:
  Stop stop_;
};

/// `co_await shield(f, args…)`: runs the coroutine `f(args…)` to its end even if the awaiting handler is
/// ended meanwhile (the client left), and gives its result. It runs as a background task, so it must not
/// refer to the request: give it copies. A failure is rethrown, or reported by `on_task_error` if nobody
/// waits any more.
template <typename F, typename... Args>
requires detail::TaskFunction<F, Args...> Task<typename detail::TaskOf<F, Args...>::value_type> shield(
    F f, Args... args) {
  auto* node = detail::make_task_node<detail::NodeFor<F, Args...>>(std::move(f), std::move(args)...);
  if (node != nullptr) node->keep_result();
  TaskHandle handle = detail::start_task(node, "shield");
  const TaskState state = co_await handle;
  if (state == TaskState::canceled || node == nullptr || !node->has_frames()) {
    // It was aborted or found no room: so is the strand that waits for its result.
    Stop stop = node != nullptr ? node->stop_reason() : Stop{};
    if (stop.cause == Stop::Cause::none)
      stop = {.cause = Stop::Cause::no_memory, .status = 503, .reason = {}};
    stop.reason = {};  // its bytes may go with the task
    co_await StopAwaiter(stop);
  }
  co_return node->take();
}

}  // namespace microdot::inline MICRODOT_ABI
