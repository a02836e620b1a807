#include <microdot/async/timer.hpp>

namespace microdot::inline MICRODOT_ABI {

void Timer::disarm() noexcept {
  if (heap_ != nullptr) heap_->disarm(*this);
}

TimerHeap::~TimerHeap() {
  while (root_ != nullptr) disarm(*root_);
}

bool TimerHeap::before(Timer::Sequence a, Timer::Sequence b) noexcept {
  return static_cast<Timer::Sequence>(a - b) > static_cast<Timer::Sequence>(-1) / 2;
}

bool TimerHeap::earlier(const Timer& a, const Timer& b) noexcept {
  if (a.deadline_ != b.deadline_) return a.deadline_ < b.deadline_;
  return before(a.sequence_, b.sequence_);
}

Timer* TimerHeap::meld(Timer* a, Timer* b) noexcept {
  if (a == nullptr) return b;
  if (b == nullptr) return a;
  if (earlier(*b, *a)) {
    Timer* swap = a;
    a = b;
    b = swap;
  }
  b->prev_ = a;
  b->next_ = a->child_;
  if (a->child_ != nullptr) a->child_->prev_ = b;
  a->child_ = b;
  return a;
}

Timer* TimerHeap::meld_siblings(Timer* first) noexcept {
  // Two passes: pairs from left to right, then all pairs from right to left, without recursion.
  Timer* pairs = nullptr;
  while (first != nullptr) {
    Timer* a = first;
    Timer* b = a->next_;
    first = b != nullptr ? b->next_ : nullptr;
    a->next_ = a->prev_ = nullptr;
    if (b != nullptr) b->next_ = b->prev_ = nullptr;
    Timer* pair = meld(a, b);
    pair->next_ = pairs;
    pairs = pair;
  }
  Timer* root = nullptr;
  while (pairs != nullptr) {
    Timer* pair = pairs;
    pairs = pair->next_;
    pair->next_ = nullptr;
    root = meld(root, pair);
  }
  return root;
}

void TimerHeap::arm(Timer& timer, TimePoint deadline) noexcept {
  timer.disarm();
  timer.heap_ = this;
  // What is due already stands behind everything else that is, or it could keep others from firing.
  timer.deadline_ = deadline < fired_ ? fired_ : deadline;
  timer.sequence_ = sequence_++;
  timer.child_ = timer.next_ = timer.prev_ = nullptr;
  root_ = meld(root_, &timer);
}

void TimerHeap::disarm(Timer& timer) noexcept {
  if (&timer == root_) {
    root_ = meld_siblings(timer.child_);
  } else {
    if (timer.prev_->child_ == &timer) {
      timer.prev_->child_ = timer.next_;
    } else {
      timer.prev_->next_ = timer.next_;
    }
    if (timer.next_ != nullptr) timer.next_->prev_ = timer.prev_;
    root_ = meld(root_, meld_siblings(timer.child_));
  }
  timer.heap_ = nullptr;
  timer.child_ = timer.next_ = timer.prev_ = nullptr;
}

void TimerHeap::fire(TimePoint now) noexcept {
  const Timer::Sequence limit = sequence_;
  fired_ = now;
  const auto armed_meanwhile = [&](const Timer& timer) {
    return static_cast<Timer::Sequence>(timer.sequence_ - limit) <
           static_cast<Timer::Sequence>(sequence_ - limit);
  };
  const auto is_due = [&](const Timer& timer) {
    return timer.deadline_ < now || (timer.deadline_ == now && !armed_meanwhile(timer));
  };
  while (root_ != nullptr && is_due(*root_)) {
    Timer& timer = *root_;
    disarm(timer);
    timer.on_timer();
  }
}

}  // namespace microdot::inline MICRODOT_ABI
