#pragma once
// How connections end. A part of conformance.hpp.

#include "conformance.hpp"

namespace microdot_test {
namespace {

TEST_P(PortConformance, AFinIsReadOnceAsTheEnd) {
  Peer peer;
  auto client = connect(peer);
  client->send("last");
  client->shutdown_write();
  std::string got;
  bool ended = false;
  peer.when_readable = [&] {
    const std::string piece = peer.read();
    got += piece;
    ended = piece.empty() && peer.last_error == Error::none;
  };
  ASSERT_TRUE(poll_until([&] { return ended; }));
  EXPECT_EQ(got, "last");
  const int readable = peer.readable;
  poll_on(port_);
  EXPECT_EQ(peer.readable, readable) << "the end of stream does not come twice";
  EXPECT_EQ(peer.gone, 0) << "half-closed is not gone";
  // Toggling the interest does not bring it back either.
  peer.transport->set_interest(false, false);
  peer.transport->set_interest(true, false);
  poll_on(port_);
  EXPECT_EQ(peer.readable, readable);

  EXPECT_EQ(peer.write("answer").value_or(0), 6u);
  EXPECT_TRUE(poll_until([&] { return client->received() == "answer"; }));
  EXPECT_FALSE(client->ended());
  close(peer);
  EXPECT_TRUE(poll_until([&] { return client->ended(); }));
  EXPECT_FALSE(client->was_reset());
}

TEST_P(PortConformance, ShutdownWriteSendsFinAndReadsOn) {
  Peer peer;
  auto client = connect(peer);
  EXPECT_TRUE(peer.write("bye"));
  peer.transport->shutdown_write();
  EXPECT_TRUE(poll_until([&] { return client->ended(); }));
  EXPECT_EQ(client->received(), "bye");
  EXPECT_EQ(peer.write("more").error(), Error::closed);
  client->send("late");
  ASSERT_TRUE(poll_until([&] { return peer.readable > 0; }));
  EXPECT_EQ(peer.read(), "late");
  client->shutdown_write();
  // Both directions are at their end, and the last byte is still to be read: that is no reason for on_gone.
  ASSERT_TRUE(poll_until([&] { return peer.readable > 1; }));
  EXPECT_EQ(peer.gone, 0);
  EXPECT_EQ(peer.read(), "");
  EXPECT_EQ(peer.last_error, Error::none);
  close(peer);
}

TEST_P(PortConformance, AResetIsGoneOnceWhateverTheInterest) {
  for (const bool read_interest : {true, false}) {
    Peer peer;
    auto client = connect(peer);
    peer.transport->set_interest(read_interest, false);
    client->reset();
    ASSERT_TRUE(poll_until([&] { return peer.gone > 0; })) << read_interest;
    EXPECT_EQ(peer.read(), "");
    EXPECT_EQ(peer.last_error, Error::closed);
    EXPECT_EQ(peer.write("x").error(), Error::closed);
    peer.transport->set_interest(true, true);
    poll_on(port_);
    EXPECT_EQ(peer.gone, 1);
    EXPECT_EQ(peer.readable, 0);
    EXPECT_EQ(peer.writable, 0);
    close(peer);
  }
}

TEST_P(PortConformance, WritingToAClientThatLeftIsClosedAndNeverASignal) {
  Peer peer;
  auto client = connect(peer);
  client->close();
  Error error = Error::none;
  peer.when_gone = [&] { error = Error::closed; };
  ASSERT_TRUE(poll_until([&] {
    if (error == Error::none) error = peer.write("x").error();
    if (error == Error::would_block) error = Error::none;  // full, before the client's system has answered
    return error != Error::none;
  }));
  EXPECT_EQ(error, Error::closed);
  EXPECT_EQ(peer.write("x").error(), Error::closed);
  EXPECT_EQ(peer.write("x").error(), Error::closed);
  close(peer);
}

TEST_P(PortConformance, AbortResetsAndCloseDoesNot) {
  Peer peer;
  auto client = connect(peer);
  close(peer, true);
  EXPECT_TRUE(poll_until([&] { return client->was_reset(); }));

  auto other = connect(peer);
  EXPECT_TRUE(peer.write("in order"));
  close(peer, false);
  EXPECT_TRUE(poll_until([&] { return other->ended(); }));
  EXPECT_EQ(other->received(), "in order");
  EXPECT_FALSE(other->was_reset());
}

TEST_P(PortConformance, CloseWithUnreadBytesResets) {
  Peer peer;
  auto client = connect(peer);
  client->send("never read");
  ASSERT_TRUE(poll_until([&] { return peer.readable > 0; }));
  close(peer, false);
  EXPECT_TRUE(poll_until([&] { return client->was_reset(); }));
}

TEST_P(PortConformance, BytesForAClosedConnectionAreAnsweredWithAReset) {
  Peer peer;
  auto client = connect(peer);
  close(peer, false);
  ASSERT_TRUE(poll_until([&] { return client->ended(); }));
  EXPECT_TRUE(poll_until([&] {
    client->send("too late");
    return client->was_reset();
  }));
}

TEST_P(PortConformance, CloseWithBytesUnderWayStillDeliversThem) {
  Peer peer;
  auto client = connect_narrow(peer);
  const std::string sent = fill(peer);
  peer.close(false);  // perhaps to be completed later
  client->start_reading();
  ASSERT_TRUE(poll_until([&] {
    client->received();
    return client->ended() && peer.transport == nullptr;
  })) << client->received().size()
      << " of " << sent.size();
  EXPECT_TRUE(client->received() == sent) << "bytes were changed or lost";
  EXPECT_FALSE(client->was_reset());
  EXPECT_EQ(peer.readable + peer.writable + peer.gone, 0) << "a closed connection tells nothing";
  EXPECT_LE(peer.released, 1);
}

TEST_P(PortConformance, AnAbortEndsTheWaitForBytesUnderWay) {
  Peer peer;
  auto client = connect_narrow(peer);
  fill(peer);
  peer.close(false);
  if (peer.transport != nullptr) peer.close(true);
  EXPECT_EQ(peer.transport, nullptr);
  poll_on(port_);
  EXPECT_EQ(peer.released, 0) << "who is told by the call is not told again";
}

TEST_P(PortConformance, AResetReleasesWhatWasClosedBefore) {
  Peer peer;
  auto client = connect_narrow(peer);
  fill(peer);
  peer.close(false);
  client->reset();
  EXPECT_TRUE(poll_until([&] { return peer.transport == nullptr; }));
}

}  // namespace
}  // namespace microdot_test
