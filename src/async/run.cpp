#include <microdot/async/run.hpp>

#include <microdot/base/text.hpp>

namespace microdot::inline MICRODOT_ABI::detail {

MainTask::End MainTask::drive(Loop& loop, std::coroutine_handle<> root) noexcept {
  strand_.start(loop, root);
  loop.run_until([&] { return end_ != End::running || loop.forced_exit(); });
  strand_.reset();
  // Before the main task's locals, which they may refer to.
  loop.cancel_tasks();
  // The second signal may have ended what the main task waited for, and so the main task with a number.
  return loop.forced_exit() ? End::forced : end_;
}

void MainTask::on_stopped(Strand& strand) noexcept {
  const Stop& stop = strand.stop_reason();
  log_main_failure(strand.loop(), stop.cause == Stop::Cause::no_memory ? "no room for a coroutine frame"
                                  : stop.reason.empty()                ? "aborted"
                                                                       : stop.reason);
  end_ = End::stopped;
}

void MainTask::describe(TextBuilder& text) const noexcept { text.append("the main task"); }

void log_main_failure(Loop& loop, std::string_view reason) noexcept {
  FixedText<160> line;
  line.append("main task failed: ").append(reason);
  loop.port().log().write(LogLevel::error, line.view());
}

}  // namespace microdot::inline MICRODOT_ABI::detail
