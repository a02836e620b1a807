#pragma once
// When a port calls whom, how it waits, and what else it has. A part of conformance.hpp.

#include "conformance.hpp"

namespace microdot_test {
namespace {

TEST_P(PortConformance, InterestOffIsSilentAndOnAgainTellsAtOnce) {
  Peer peer;
  auto client = connect(peer);
  peer.transport->set_interest(false, false);
  client->send("waiting");
  poll_on(port_);
  EXPECT_EQ(peer.readable, 0);
  peer.transport->set_interest(true, false);
  ASSERT_TRUE(poll_until([&] { return peer.readable > 0; }));
  EXPECT_EQ(peer.read(), "waiting");
  // And once more, now that the port may have disarmed it.
  client->send("again");
  ASSERT_TRUE(poll_until([&] { return peer.readable > 1; }));
  EXPECT_EQ(peer.read(), "again");
  close(peer);
}

TEST_P(PortConformance, InterestOffDoesNotSpin) {
  Peer peer;
  auto client = connect(peer);
  peer.transport->set_interest(false, false);
  client->send("unwanted");
  poll_on(port_, 3);
  const TimePoint start = port_.clock().now();
  port_.poller().poll(20ms);  // a poll that spins would return at once
  EXPECT_GE(port_.clock().now() - start, 19ms);
  close(peer);
}

TEST_P(PortConformance, EndedConnectionsDoNotSpin) {
  Peer reset, ended, both;
  auto first = connect(reset);
  auto second = connect(ended);
  auto third = connect(both);
  first->reset();
  second->shutdown_write();
  third->shutdown_write();
  both.transport->shutdown_write();
  ended.when_readable = [&] { EXPECT_EQ(ended.read(), ""); };
  both.when_readable = [&] {
    EXPECT_EQ(both.read(), "");
    both.transport->set_interest(false, false);
  };
  poll_on(port_, 10);
  EXPECT_EQ(reset.gone, 1);
  EXPECT_EQ(both.gone, 1) << "both directions are over and nothing is wanted";
  const TimePoint start = port_.clock().now();
  port_.poller().poll(20ms);
  EXPECT_GE(port_.clock().now() - start, 19ms);
  for (Peer* peer : {&reset, &ended, &both}) close(*peer);
}

TEST_P(PortConformance, WritableRepeatsOnlyWhileWanted) {
  Peer peer;
  auto client = connect(peer);
  peer.transport->set_interest(true, true);
  ASSERT_TRUE(poll_until([&] { return peer.writable > 1; }));
  peer.transport->set_interest(true, false);
  const int writable = peer.writable;
  poll_on(port_);
  EXPECT_EQ(peer.writable, writable);
  close(peer);
}

TEST_P(PortConformance, AConnectionClosedDuringDispatchIsNotCalled) {
  Peer first, second;
  auto one = connect(first);
  auto two = connect(second);
  one->send("a");
  two->send("b");
  // Whoever is called first closes the other, whose event is in the same batch.
  first.when_readable = [&] {
    if (second.transport != nullptr) second.close(true);
    first.read();
  };
  second.when_readable = [&] {
    if (first.transport != nullptr) first.close(true);
    second.read();
  };
  ASSERT_TRUE(poll_until([&] { return first.readable + second.readable > 0; }));
  poll_on(port_);
  EXPECT_EQ((first.readable != 0) + (second.readable != 0), 1);
  for (Peer* peer : {&first, &second}) {
    if (peer->transport != nullptr) close(*peer);
  }
}

TEST_P(PortConformance, StorageIsUsedAnewDuringDispatch) {
  // The storage of a connection whose event is still in the batch goes to a newcomer, which must not get it.
  Peer first, second, newcomer;
  auto one = connect(first);
  auto two = connect(second);
  auto three = world_->connect(acceptor_.number());
  ASSERT_TRUE(poll_until([&] { return acceptor_.acceptable > 0; }));
  one->send("a");
  two->send("b");
  const auto replace = [&](Peer& victim) {
    if (victim.transport == nullptr || newcomer.transport != nullptr) return;
    victim.close(true);
    auto accepted = acceptor_.listener->accept(victim.storage, newcomer);
    ASSERT_TRUE(accepted);
    newcomer.transport = *accepted;
  };
  first.when_readable = [&] {
    replace(second);
    first.read();
  };
  second.when_readable = [&] {
    replace(first);
    second.read();
  };
  ASSERT_TRUE(poll_until([&] { return first.readable + second.readable > 0; }));
  poll_on(port_);
  EXPECT_EQ(newcomer.readable, 0);
  three->send("mine");
  ASSERT_TRUE(poll_until([&] { return newcomer.readable > 0; }));
  EXPECT_EQ(newcomer.read(), "mine");
  for (Peer* peer : {&first, &second, &newcomer}) {
    if (peer->transport != nullptr) close(*peer);
  }
}

TEST_P(PortConformance, ClosesItselfFromItsCallbacks) {
  Peer peer;
  auto client = connect(peer);
  peer.when_readable = [&] { peer.close(true); };
  peer.transport->set_interest(true, true);  // a writable event is due in the same batch
  client->send("x");
  peer.when_writable = [&] { ASSERT_NE(peer.transport, nullptr); };
  ASSERT_TRUE(poll_until([&] { return peer.transport == nullptr; }));
  poll_on(port_, 5);
  EXPECT_TRUE(client->was_reset());
}

TEST_P(PortConformance, AWakeFromAnotherThreadEndsThePoll) {
  if (!GetParam().threads) GTEST_SKIP() << "no time passes while others run";
  const TimePoint start = port_.clock().now();
  std::thread other([&] {
    std::this_thread::sleep_for(20ms);
    port_.poller().wake();
  });
  port_.poller().poll(10s);
  other.join();
  const Duration waited = port_.clock().now() - start;
  EXPECT_GE(waited, 20ms) << "it waited for the wake, or this tests nothing";
  EXPECT_LT(waited, 5s);
}

TEST_P(PortConformance, PollWaitsForItsTimeout) {
  for (const Duration timeout : {Duration(1500), Duration(5000)}) {
    const TimePoint start = port_.clock().now();
    port_.poller().poll(timeout);
    EXPECT_GE(port_.clock().now() - start, timeout);
  }
}

TEST_P(PortConformance, PollOfZeroDoesNotWait) {
  const TimePoint start = port_.clock().now();
  for (int i = 0; i < 100; ++i) port_.poller().poll(0ms);
  EXPECT_LT(port_.clock().now() - start, 500ms);
}

TEST_P(PortConformance, AWakeBeforeThePollEndsItAtOnce) {
  port_.poller().wake();
  port_.poller().wake();
  const TimePoint start = port_.clock().now();
  port_.poller().poll(10s);
  EXPECT_LT(port_.clock().now() - start, 5s);
  // Both are used up.
  const TimePoint second = port_.clock().now();
  port_.poller().poll(10ms);
  EXPECT_GE(port_.clock().now() - second, 10ms);
}

TEST_P(PortConformance, ReservesAtLeastAFew) {
  EXPECT_EQ(port_.network().reserve_connections(GetParam().connections), GetParam().connections);
}

TEST_P(PortConformance, ExitSignalsCountWhileWatched) {
  if (!GetParam().exit_signals) GTEST_SKIP() << "this system has none";
  const unsigned before = port_.poller().exit_signals();
  port_.poller().watch_exit_signals();
  port_.poller().watch_exit_signals();
  world_->raise_exit_signal();
  const TimePoint start = port_.clock().now();
  port_.poller().poll(10s);
  EXPECT_LT(port_.clock().now() - start, 5s) << "a poll returns when one comes";
  EXPECT_EQ(port_.poller().exit_signals(), before + 1);
  port_.poller().unwatch_exit_signals();
  world_->raise_exit_signal();
  EXPECT_EQ(port_.poller().exit_signals(), before + 2) << "watches nest";
  port_.poller().unwatch_exit_signals();
  EXPECT_EQ(port_.poller().exit_signals(), before + 2) << "the count stays";
  port_.poller().poll(0ms);
}

TEST_P(PortConformance, EntropyFillsEveryByte) {
  std::array<unsigned char, 67> bytes{};
  std::array<bool, 67> changed{};
  for (int i = 0; i < 20; ++i) {
    port_.entropy().fill(bytes);
    for (std::size_t at = 0; at < bytes.size(); ++at) changed[at] = changed[at] || bytes[at] != 0;
  }
  for (const bool byte : changed) EXPECT_TRUE(byte);
}

TEST_P(PortConformance, WallClockIsPlausible) {
  const std::int64_t seconds = port_.clock().unix_seconds();
  if (GetParam().wall_clock) {
    EXPECT_GT(seconds, 1'600'000'000);
  } else {
    EXPECT_EQ(seconds, 0) << "not known";
  }
}

}  // namespace
}  // namespace microdot_test
