#include <microdot/async/spawn.hpp>

#include <algorithm>
#include <exception>

#include <microdot/base/text.hpp>

namespace microdot::inline MICRODOT_ABI {

namespace {

MICRODOT_THREAD_LOCAL void (*error_handler)(const TaskError&) = nullptr;

}  // namespace

void on_task_error(void (*handler)(const TaskError& error)) noexcept { error_handler = handler; }

void TaskNode::set_name(std::string_view name) noexcept {
  name_size_ = static_cast<std::uint8_t>(std::min(name.size(), name_.size()));
  std::copy_n(name.data(), name_size_, name_.data());
}

void TaskNode::start(Loop& loop) noexcept {
  acquire();  // the loop's own reference, until the task has ended
  loop.tasks().push_back(*this);
  detail::count_up(loop.task_counts().all);
  if (task_limit_ != Strand::kNoTaskLimit) detail::count_up(loop.task_counts().of_requests);
  strand_.bind(loop);  // it may end without having run
  begin();
}

void TaskNode::cancel() noexcept {
  // Kept: it may be asked for when no strand could be stopped, as while a failure is reported.
  cancel_requested_ = true;
  if (between_runs()) return end(TaskState::canceled);
  strand_.stop({.cause = Stop::Cause::canceled, .status = 0, .reason = {}});
}

void TaskNode::describe(TextBuilder& text) const noexcept {
  text.append("task '").append(name()).append('\'');
}

void TaskNode::fail(std::string_view reason, bool logged) noexcept {
  state_ = TaskState::failed;
  if (keep_result_ && !waiters_.empty()) return;
  detail::report_task_error(name(), reason, logged);
}

void TaskNode::refuse(std::string_view reason) noexcept {
  destroy_frames();
  fail(reason);
}

void TaskNode::on_finished(Strand&) noexcept {
  check_result();
  end(state_ == TaskState::running ? TaskState::done : state_);
}

void TaskNode::on_stopped(Strand& strand) noexcept {
  const Stop& stop = strand.stop_reason();
  if (stop.cause == Stop::Cause::canceled) return end(TaskState::canceled);
  fail(stop.cause == Stop::Cause::no_memory ? "no room for a coroutine frame"
       : stop.reason.empty()                ? "aborted"
                                            : stop.reason);
  keep_result_ = false;
  end(TaskState::failed);
}

void TaskNode::cancel_now() noexcept {
  strand_.reset();
  end(TaskState::canceled);
}

void TaskNode::end(TaskState state) noexcept {
  state_ = state;
  if (goes_on(state)) {
    state_ = TaskState::running;
    if (cancel_requested_) end(TaskState::canceled);
    return;
  }
  unlink();
  detail::count_down(strand_.loop().task_counts().all);
  if (task_limit_ != Strand::kNoTaskLimit) detail::count_down(strand_.loop().task_counts().of_requests);
  if (!keep_result_ || state == TaskState::canceled) destroy_frames();
  while (!waiters_.empty()) waiters_.front().wake();
  release();
}

void TaskNode::release() noexcept {
  if (--references_ == 0) destroy();
}

namespace detail {

auto task_error_handler() noexcept -> void (*)(const TaskError&) { return error_handler; }

std::string_view current_exception_text() noexcept {
#if MICRODOT_EXCEPTIONS
  try {
    throw;
  } catch (const std::exception& exception) {
    return exception.what();
  } catch (...) {
    return "an exception that is not a std::exception";
  }
#else
  return {};
#endif
}

void report_task_error(std::string_view name, std::string_view reason, bool logged) noexcept {
  if (error_handler != nullptr) {
    error_handler({.name = name, .reason = reason, .logged = logged});
    return;
  }
  if (logged) return;
  Loop* loop = Loop::try_current();
  Port& port = loop != nullptr ? loop->port() : system_port();
  FixedText<160> line;
  line.append("task \"").append(name).append("\" failed: ").append(reason);
  port.log().write(LogLevel::error, line.view());
}

TaskHandle refuse_task(std::string_view name, std::string_view reason) noexcept {
  report_task_error(name, reason);
  return {};
}

TaskHandle start_task(TaskNode* node, std::string_view name) noexcept {
  if (node == nullptr) return refuse_task(name, "no room for it in the task pool");
  TaskHandle handle(node);
  node->set_name(name);
  Loop* loop = Loop::try_current();
  Strand* const starter = Strand::current();
  const std::uint32_t limit =
      starter != nullptr ? starter->outermost().owner().task_limit() : Strand::kNoTaskLimit;
  if (loop == nullptr) {
    node->refuse("no loop runs in this thread");
  } else if (!node->has_frames() && !node->makes_frames()) {
    node->fail("no room for it in the task pool");
  } else if (loop->task_counts().of_requests >= limit) {
    node->refuse("requests have started too many: see Limits::background_tasks");
  } else {
    node->set_task_limit(limit);
    node->start(*loop);
  }
  return handle;
}

}  // namespace detail

}  // namespace microdot::inline MICRODOT_ABI
