#pragma once
// What a listener promises. A part of conformance.hpp.

#include "conformance.hpp"

namespace microdot_test {
namespace {

TEST_P(PortConformance, TellsAcceptableUntilAccepted) {
  auto client = world_->connect(acceptor_.number());
  ASSERT_TRUE(poll_until([&] { return acceptor_.acceptable > 0; }));
  const int before = acceptor_.acceptable;
  port_.poller().poll(0ms);
  port_.poller().poll(0ms);
  EXPECT_EQ(acceptor_.acceptable, before + 2) << "repeats with every poll";
  Peer peer;
  ASSERT_TRUE(acceptor_.accept(peer));
  const int after = acceptor_.acceptable;
  poll_on(port_);
  EXPECT_EQ(acceptor_.acceptable, after);
  Peer other;
  EXPECT_EQ(acceptor_.accept(other).error(), Error::would_block);
  close(peer);
}

TEST_P(PortConformance, AcceptingOffLeavesThemInTheBacklog) {
  acceptor_.listener->set_accepting(false);
  auto client = world_->connect(acceptor_.number());
  client->send("early");
  poll_on(port_);
  EXPECT_EQ(acceptor_.acceptable, 0);
  acceptor_.listener->set_accepting(true);
  ASSERT_TRUE(poll_until([&] { return acceptor_.acceptable > 0; }));
  Peer peer;
  ASSERT_TRUE(acceptor_.accept(peer));
  ASSERT_TRUE(poll_until([&] { return peer.readable > 0; })) << "bytes sent before accept are not lost";
  EXPECT_EQ(peer.read(), "early");
  close(peer);
}

TEST_P(PortConformance, PortZeroGetsAPort) {
  EXPECT_NE(acceptor_.number(), 0);
  EXPECT_EQ(acceptor_.listener->local().family, Endpoint::Family::ipv4);
}

TEST_P(PortConformance, ATakenPortSaysSo) {
  Acceptor second(port_);
  EXPECT_EQ(listen(second, acceptor_.number()).error(), Error::address_in_use);
}

TEST_P(PortConformance, APortIsFreeAgainAfterClose) {
  const std::uint16_t number = acceptor_.number();
  Peer peer;
  auto client = connect(peer);
  close(peer);  // this end closes first: TIME_WAIT is here
  poll_on(port_, 3);
  acceptor_.listener->close();
  acceptor_.listener = nullptr;
  EXPECT_TRUE(listen(acceptor_, number));
}

TEST_P(PortConformance, AClosedListenerRefuses) {
  const std::uint16_t number = acceptor_.number();
  acceptor_.listener->close();
  acceptor_.listener = nullptr;
  EXPECT_TRUE(world_->connect(number)->was_reset());
}

TEST_P(PortConformance, WaitingConnectionsEndWithTheListener) {
  auto client = world_->connect(acceptor_.number());
  ASSERT_TRUE(poll_until([&] { return acceptor_.acceptable > 0; }));
  acceptor_.listener->close();
  acceptor_.listener = nullptr;
  EXPECT_TRUE(poll_until([&] { return client->was_reset(); }));
}

TEST_P(PortConformance, ClosesTheListenerFromItsOwnCallback) {
  acceptor_.when_acceptable = [this] {
    acceptor_.listener->close();
    acceptor_.listener = nullptr;
  };
  auto client = world_->connect(acceptor_.number());
  EXPECT_TRUE(poll_until([&] { return client->was_reset(); }));
  EXPECT_EQ(acceptor_.acceptable, 1);
}

TEST_P(PortConformance, BadHostsSaySo) {
  Acceptor other(port_);
  using namespace std::string_view_literals;
  for (const auto host : {"300.1.1.1"sv, "1.2.3.4.5"sv, "127.0.0.1 "sv, "a b"sv, "127.0.0.1\0x"sv})
    EXPECT_EQ(other.listen({.host = host}).error(), Error::invalid) << host;
}

}  // namespace
}  // namespace microdot_test
