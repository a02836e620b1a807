// Descriptors of other libraries: Poller::watch of the ports that have them.

#include "posix_world.hpp"

namespace microdot_test {
namespace {

/// Counts what it is told of its descriptor.
struct DescriptorWatcher final : DescriptorEvents {
  void on_descriptor(bool can_read, bool can_write) noexcept override {
    ++calls;
    readable += can_read ? 1 : 0;
    writable += can_write ? 1 : 0;
    if (when_called) when_called();
  }
  int calls = 0, readable = 0, writable = 0;
  std::function<void()> when_called;
};

/// Two ends of a stream.
struct DescriptorPair {
  DescriptorPair() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0); }
  ~DescriptorPair() {
    for (const int end : ends) {
      if (end >= 0) close(end);
    }
  }
  void send(std::string_view text) const {
    EXPECT_EQ(write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  std::string receive() const {
    char buffer[100];
    const ssize_t size = read(ends[0], buffer, sizeof buffer);
    return std::string(buffer, size > 0 ? static_cast<std::size_t>(size) : 0);
  }
  void end_other() { close(std::exchange(ends[1], -1)); }
  int fd() const { return ends[0]; }
  int ends[2];
};

template <typename World>
class Descriptors : public testing::Test {
 protected:
  void poll() { poller_.poll(0ms); }
  /// A poll that spins would return at once.
  void expect_silence() {
    const TimePoint start = port_.clock().now();
    poller_.poll(20ms);
    EXPECT_GE(port_.clock().now() - start, 19ms);
  }

  World world_;
  Port& port_ = world_.port();
  Poller& poller_ = port_.poller();
  DescriptorPair pair_;
  DescriptorWatcher watcher_;
};
using DescriptorWorlds = testing::Types<SystemWorld, PosixWorld>;
TYPED_TEST_SUITE(Descriptors, DescriptorWorlds, );

TYPED_TEST(Descriptors, AreToldReadableUntilTheyWereRead) {
  ASSERT_TRUE(this->poller_.watch(this->pair_.fd(), this->watcher_, true, false));
  this->expect_silence();
  this->pair_.send("hello");
  this->poll();
  this->poll();
  EXPECT_EQ(this->watcher_.readable, 2) << "repeats with every poll";
  EXPECT_EQ(this->watcher_.writable, 0) << "was not asked for";
  EXPECT_EQ(this->pair_.receive(), "hello");
  this->expect_silence();
  EXPECT_EQ(this->watcher_.calls, 2);
  this->poller_.unwatch(this->pair_.fd(), this->watcher_);
}

TYPED_TEST(Descriptors, WhatIsWantedCanChange) {
  ASSERT_TRUE(this->poller_.watch(this->pair_.fd(), this->watcher_, true, true));
  this->poll();
  EXPECT_EQ(this->watcher_.writable, 1);
  EXPECT_EQ(this->watcher_.readable, 0);
  this->pair_.send("hello");
  this->poll();
  EXPECT_EQ(this->watcher_.calls, 2) << "both in one call";
  EXPECT_EQ(this->watcher_.readable, 1);
  EXPECT_EQ(this->watcher_.writable, 2);
  ASSERT_TRUE(this->poller_.watch(this->pair_.fd(), this->watcher_, false, true));
  this->poll();
  EXPECT_EQ(this->watcher_.readable, 1);
  EXPECT_EQ(this->watcher_.writable, 3);
  ASSERT_TRUE(this->poller_.watch(this->pair_.fd(), this->watcher_, true, false));
  this->poll();
  EXPECT_EQ(this->watcher_.readable, 2);
  EXPECT_EQ(this->watcher_.writable, 3);
  this->poller_.unwatch(this->pair_.fd(), this->watcher_);
}

TYPED_TEST(Descriptors, WantedNeitherWayTheyAreSilentWhateverHappens) {
  ASSERT_TRUE(this->poller_.watch(this->pair_.fd(), this->watcher_, true, true));
  ASSERT_TRUE(this->poller_.watch(this->pair_.fd(), this->watcher_, false, false));
  this->pair_.send("hello");
  this->pair_.end_other();
  this->expect_silence();
  EXPECT_EQ(this->watcher_.calls, 0);
  ASSERT_TRUE(this->poller_.watch(this->pair_.fd(), this->watcher_, true, false));
  this->poll();
  EXPECT_EQ(this->watcher_.readable, 1) << "what came meanwhile";
  this->poller_.unwatch(this->pair_.fd(), this->watcher_);
}

TYPED_TEST(Descriptors, AFailureIsToldBothWays) {
  ASSERT_TRUE(this->poller_.watch(this->pair_.fd(), this->watcher_, true, false));
  this->pair_.end_other();
  this->poll();
  EXPECT_EQ(this->watcher_.readable, 1);
  EXPECT_EQ(this->watcher_.writable, 1);
  this->poller_.unwatch(this->pair_.fd(), this->watcher_);
  this->expect_silence();
}

TYPED_TEST(Descriptors, UnwatchInItsOwnCallback) {
  ASSERT_TRUE(this->poller_.watch(this->pair_.fd(), this->watcher_, true, true));
  this->watcher_.when_called = [this] { this->poller_.unwatch(this->pair_.fd(), this->watcher_); };
  this->pair_.send("hello");
  this->poll();
  this->expect_silence();
  EXPECT_EQ(this->watcher_.calls, 1);
}

TYPED_TEST(Descriptors, UnwatchOfOneWhoseEventWaitsInTheSamePoll) {
  DescriptorPair other;
  auto second = std::make_unique<DescriptorWatcher>();
  ASSERT_TRUE(this->poller_.watch(this->pair_.fd(), this->watcher_, true, false));
  ASSERT_TRUE(this->poller_.watch(other.fd(), *second, true, false));
  // Whichever comes first ends both; the other is freed with an event that was on its way to it.
  int calls = 0;
  const auto end_both = [&] {
    ++calls;
    this->poller_.unwatch(this->pair_.fd(), this->watcher_);
    this->poller_.unwatch(other.fd(), *second);
  };
  this->watcher_.when_called = [&] {
    end_both();
    second.reset();
  };
  second->when_called = end_both;
  this->pair_.send("one");
  other.send("two");
  this->poll();
  this->poll();
  EXPECT_EQ(calls, 1);
}

TYPED_TEST(Descriptors, ClosedWhileWatchedIsSilentAndLeavesOthersAlone) {
  DescriptorPair other;
  DescriptorWatcher second;
  ASSERT_TRUE(this->poller_.watch(this->pair_.fd(), this->watcher_, true, true));
  ASSERT_TRUE(this->poller_.watch(other.fd(), second, true, false));
  const int number = this->pair_.fd();
  close(std::exchange(this->pair_.ends[0], -1));
  this->poll();
  this->expect_silence();
  EXPECT_EQ(this->watcher_.calls, 0);
  this->poller_.unwatch(number, this->watcher_);
  other.send("still there");
  this->poll();
  EXPECT_EQ(second.readable, 1);
  // The next one to get the number is watched anew.
  DescriptorPair next;
  ASSERT_EQ(next.fd(), number);
  ASSERT_TRUE(this->poller_.watch(number, this->watcher_, false, true));
  this->poll();
  EXPECT_EQ(this->watcher_.writable, 1);
  this->poller_.unwatch(number, this->watcher_);
  this->poller_.unwatch(other.fd(), second);
}

TYPED_TEST(Descriptors, NoDescriptorIsInvalid) {
  const int number = std::exchange(this->pair_.ends[0], -1);
  close(number);
  EXPECT_EQ(this->poller_.watch(number, this->watcher_, true, false).error(), Error::invalid);
  this->poller_.unwatch(number, this->watcher_);
  this->expect_silence();
}

TYPED_TEST(Descriptors, UnwatchTwiceAndOfWhatWasNeverWatchedDoesNothing) {
  this->poller_.unwatch(this->pair_.fd(), this->watcher_);
  ASSERT_TRUE(this->poller_.watch(this->pair_.fd(), this->watcher_, true, true));
  this->poller_.unwatch(this->pair_.fd(), this->watcher_);
  this->poller_.unwatch(this->pair_.fd(), this->watcher_);
  this->expect_silence();
  EXPECT_EQ(this->watcher_.calls, 0);
}

// A system without descriptors, such as the simulator's, says so.
TEST(DescriptorsOfNoSystem, AreUnsupported) {
  SimPort sim;
  DescriptorWatcher watcher;
  EXPECT_EQ(sim.poller().watch(0, watcher, true, true).error(), Error::unsupported);
  sim.poller().unwatch(0, watcher);
}

}  // namespace
}  // namespace microdot_test
