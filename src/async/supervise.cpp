#include <microdot/async/supervise.hpp>

#include <algorithm>

#include <microdot/base/text.hpp>

namespace microdot::inline MICRODOT_ABI {

namespace {

Duration some_of(Duration time, Entropy& entropy) noexcept {
  unsigned char byte = 0;
  entropy.fill({&byte, 1});
  return time / 2 + time / 2 * byte / 255;
}

}  // namespace

void SupervisedNode::run() noexcept {
  began_ = loop().now();
  if (!make_run()) return end(TaskState::failed);
  if (!has_frames()) {
    fail("no room for a coroutine frame");
    return end(TaskState::failed);
  }
  if (cancel_requested()) return end(TaskState::canceled);
  if (policy_.deadline > Duration{0}) loop().timers().arm(*this, began_ + policy_.deadline);
  strand().start(loop(), root());
}

bool SupervisedNode::goes_on(TaskState state) noexcept {
  disarm();
  if (state == TaskState::canceled || policy_.restart == Restart::never) return false;
  const bool failed = state == TaskState::failed;
  if (!failed && policy_.restart != Restart::always) return false;
  const bool lasted = policy_.max_backoff > Duration{0} && loop().now() - began_ >= policy_.max_backoff;
  if (lasted) restarts_ = 0;
  if (policy_.max_restarts != 0 && restarts_ == policy_.max_restarts) {
    FixedText<48> reason;
    reason.append("given up after ").append(restarts_).append(" restarts");
    fail(reason.view());
    return false;
  }
  destroy_frames();
  backoff_ = lasted || !failed ? Duration{0} : backoff_ * 2;
  backoff_ = std::min(std::max(backoff_, policy_.min_backoff), policy_.max_backoff);
  loop().timers().arm(*this, loop().now() + some_of(backoff_, loop().port().entropy()));
  return true;
}

// Its deadline, or the end of the wait.
void SupervisedNode::on_timer() noexcept {
  if (has_frames()) {
    return strand().stop(
        {.cause = Stop::Cause::abort, .status = 0, .reason = "took longer than its deadline"});
  }
  ++restarts_;
  detail::count_up(loop().task_counts().restarts);
  run();
}

}  // namespace microdot::inline MICRODOT_ABI
