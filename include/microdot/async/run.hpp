#pragma once
#include <type_traits>

#include <microdot/async/loop.hpp>
#include <microdot/async/spawn.hpp>
#include <microdot/async/task.hpp>
#include <microdot/base/result.hpp>

namespace microdot::inline MICRODOT_ABI {

namespace detail {

/// What `run` does for every type of task: drives a loop until the main task has ended. Returns null if it
/// came to its end, else says why not.
class MainTask : public Strand::Owner {
 public:
  MainTask() noexcept : strand_(*this, task_pool()) {}
  MainTask(const MainTask&) = delete;
  MainTask& operator=(const MainTask&) = delete;

  enum class End { running, finished, stopped, forced };
  End drive(Loop& loop, std::coroutine_handle<> root) noexcept;

 protected:
  ~MainTask() = default;

 private:
  void on_finished(Strand&) noexcept override { end_ = End::finished; }
  void on_stopped(Strand& strand) noexcept override;
  void describe(TextBuilder& text) const noexcept override;

  Strand strand_;
  End end_ = End::running;
};

class MainTaskRunner final : public MainTask {};

void log_main_failure(Loop& loop, std::string_view reason) noexcept;

}  // namespace detail

/// Runs `main_task` and everything it starts to its end, on `port` in this thread; then ends the tasks that
/// are left.
///
/// Returns the task's number, or 0; 1 if it failed, and says why in the log (an exception, `abort`, an error
/// `Result` that was not logged yet); 130 if it was ended by a second SIGINT or SIGTERM. The first one sets
/// `exit_requested` and shuts the servers down.
///
///     int main() { return microdot::run(main_task()); }
template <typename T>
int run(Task<T> main_task, Port& port = system_port()) {
  static_assert(std::is_void_v<T> || std::is_convertible_v<T, int> || std::is_same_v<T, Result<void>>,
                "run: the main task gives int, void or Result<void>");
  Loop loop(port);
  detail::MainTaskRunner runner;
  // Destroyed before its strand and its loop, which its locals may still use (a guard wakes who waits).
  Task<T> root = std::move(main_task);
  if (!root.valid()) {
    detail::log_main_failure(loop, "no room for it in the task pool");
    return 1;
  }
  loop.watch_exit_signals();
  const detail::MainTask::End end = runner.drive(loop, root.handle());
  if (end == detail::MainTask::End::forced) return 130;
  if (end != detail::MainTask::End::finished) return 1;
#if MICRODOT_EXCEPTIONS
  try {
#endif
    if constexpr (std::is_void_v<T>) {
      root.take();
      return 0;
    } else if constexpr (std::is_same_v<T, Result<void>>) {
      const Result<void> result = root.take();
      if (!result && !result.is_logged()) detail::log_main_failure(loop, to_string(result.error()));
      return result ? 0 : 1;
    } else {
      return static_cast<int>(root.take());
    }
#if MICRODOT_EXCEPTIONS
  } catch (...) {
    detail::log_main_failure(loop, detail::current_exception_text());
    return 1;
  }
#endif
}

/// Calls `f()` in the current loop's turn, soon (see `Loop::post`). From another thread use that loop's
/// `post`.
template <typename F>
bool post(F f) noexcept {
  return Loop::current().post(f);
}

}  // namespace microdot::inline MICRODOT_ABI
