#pragma once
/// The process's descriptors, and events of the Linux poller, for tests of what opens and closes them.

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

#include <microdot/port/port.hpp>

namespace microdot_test {

/// The number that the next descriptor will get.
inline int next_descriptor() {
  const int fd = dup(0);
  close(fd);
  return fd;
}

/// While it lives the process can open `count` more descriptors, if none below the next one is given back.
class DescriptorsLeft {
 public:
  explicit DescriptorsLeft(unsigned count) {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit few = before_;
    few.rlim_cur = static_cast<rlim_t>(next_descriptor()) + count;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  }
  DescriptorsLeft(const DescriptorsLeft&) = delete;
  DescriptorsLeft& operator=(const DescriptorsLeft&) = delete;
  ~DescriptorsLeft() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

/// Calls `f` as a request's handler is called: inside a batch of the poller's events.
template <typename F>
void in_batch(microdot::Port& port, F f) {
  struct Event final : microdot::DescriptorEvents {
    explicit Event(F& call) : f(call) {}
    void on_descriptor(bool readable, bool) noexcept override {
      if (readable && !std::exchange(called, true)) f();
    }
    F& f;
    bool called = false;
  } event(f);
  const int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
  EXPECT_TRUE(port.poller().watch(fd, event, true, false));
  port.poller().poll(microdot::Duration::zero());
  port.poller().unwatch(fd, event);
  close(fd);
  EXPECT_TRUE(event.called);
}

}  // namespace microdot_test
