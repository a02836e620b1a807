#pragma once
// What every port promises (the comments of port.hpp and network.hpp), as one suite for all of them. Included
// by one source of each program, which defines `Worlds` before: the `testing::Types` of those it has.

#include <thread>
#include <vector>

#include "worlds.hpp"

namespace microdot_test {
namespace {

template <typename World>
class PortConformance : public testing::Test {
 protected:
  using Client = typename World::Client;

  void SetUp() override { ASSERT_TRUE(listen(acceptor_)); }

  Result<void> listen(Acceptor& acceptor, std::uint16_t number = 0) {
    return acceptor.listen({.host = World::kHost, .port = number});
  }

  /// A client and the server's end of its connection.
  Client connect(Peer& peer) { return accept(world_.connect(acceptor_.number()), peer); }
  Client connect_narrow(Peer& peer) { return accept(world_.connect_narrow(acceptor_.number()), peer); }
  Client accept(Client client, Peer& peer) {
    EXPECT_TRUE(poll_until([&] { return bool(acceptor_.accept(peer)); }));
    return client;
  }
  template <typename Done>
  bool poll_until(Done done) {
    return microdot_test::poll_until(port_, done);
  }
  void close(Peer& peer, bool abort = false) {
    peer.close(abort);
    EXPECT_TRUE(poll_until([&] { return peer.transport == nullptr; }));
  }
  /// Fills the way to a client that does not read; returns what was taken.
  std::string fill(Peer& peer) {
    std::string all;
    for (int i = 0; i < 100'000; ++i) {
      const auto taken = peer.write(chunk_);
      if (!taken) {
        EXPECT_EQ(taken.error(), Error::would_block);
        return all;
      }
      all.append(chunk_, 0, *taken);
    }
    ADD_FAILURE() << "never full";
    return all;
  }

  World world_;
  Port& port_ = world_.port();
  Acceptor acceptor_{port_};
  const std::string chunk_ = std::string(999, 'a') + '\n';
};

class Names {
 public:
  template <typename World>
  static std::string GetName(int) {
    return World::kName;
  }
};
TYPED_TEST_SUITE(PortConformance, Worlds, Names);

TYPED_TEST(PortConformance, TellsAcceptableUntilAccepted) {
  auto client = this->world_.connect(this->acceptor_.number());
  ASSERT_TRUE(this->poll_until([&] { return this->acceptor_.acceptable > 0; }));
  const int before = this->acceptor_.acceptable;
  this->port_.poller().poll(0ms);
  this->port_.poller().poll(0ms);
  EXPECT_EQ(this->acceptor_.acceptable, before + 2) << "repeats with every poll";
  Peer peer;
  ASSERT_TRUE(this->acceptor_.accept(peer));
  const int after = this->acceptor_.acceptable;
  poll_on(this->port_);
  EXPECT_EQ(this->acceptor_.acceptable, after);
  Peer other;
  EXPECT_EQ(this->acceptor_.accept(other).error(), Error::would_block);
  this->close(peer);
}

TYPED_TEST(PortConformance, AcceptingOffLeavesThemInTheBacklog) {
  this->acceptor_.listener->set_accepting(false);
  auto client = this->world_.connect(this->acceptor_.number());
  client.send("early");
  poll_on(this->port_);
  EXPECT_EQ(this->acceptor_.acceptable, 0);
  this->acceptor_.listener->set_accepting(true);
  ASSERT_TRUE(this->poll_until([&] { return this->acceptor_.acceptable > 0; }));
  Peer peer;
  ASSERT_TRUE(this->acceptor_.accept(peer));
  ASSERT_TRUE(this->poll_until([&] { return peer.readable > 0; })) << "bytes sent before accept are not lost";
  EXPECT_EQ(peer.read(), "early");
  this->close(peer);
}

TYPED_TEST(PortConformance, PortZeroGetsAPort) {
  EXPECT_NE(this->acceptor_.number(), 0);
  EXPECT_EQ(this->acceptor_.listener->local().family, Endpoint::Family::ipv4);
}

TYPED_TEST(PortConformance, ATakenPortSaysSo) {
  Acceptor second(this->port_);
  EXPECT_EQ(this->listen(second, this->acceptor_.number()).error(), Error::address_in_use);
}

TYPED_TEST(PortConformance, APortIsFreeAgainAfterClose) {
  const std::uint16_t number = this->acceptor_.number();
  Peer peer;
  auto client = this->connect(peer);
  this->close(peer);  // this end closes first: TIME_WAIT is here
  poll_on(this->port_, 3);
  this->acceptor_.listener->close();
  this->acceptor_.listener = nullptr;
  EXPECT_TRUE(this->listen(this->acceptor_, number));
}

TYPED_TEST(PortConformance, AClosedListenerRefuses) {
  const std::uint16_t number = this->acceptor_.number();
  this->acceptor_.listener->close();
  this->acceptor_.listener = nullptr;
  EXPECT_TRUE(this->world_.connect(number).was_reset());
}

TYPED_TEST(PortConformance, WaitingConnectionsEndWithTheListener) {
  auto client = this->world_.connect(this->acceptor_.number());
  ASSERT_TRUE(this->poll_until([&] { return this->acceptor_.acceptable > 0; }));
  this->acceptor_.listener->close();
  this->acceptor_.listener = nullptr;
  EXPECT_TRUE(this->poll_until([&] { return client.was_reset(); }));
}

TYPED_TEST(PortConformance, ClosesTheListenerFromItsOwnCallback) {
  this->acceptor_.when_acceptable = [this] {
    this->acceptor_.listener->close();
    this->acceptor_.listener = nullptr;
  };
  auto client = this->world_.connect(this->acceptor_.number());
  EXPECT_TRUE(this->poll_until([&] { return client.was_reset(); }));
  EXPECT_EQ(this->acceptor_.acceptable, 1);
}

TYPED_TEST(PortConformance, BadHostsSaySo) {
  Acceptor other(this->port_);
  using namespace std::string_view_literals;
  for (const auto host : {"300.1.1.1"sv, "1.2.3.4.5"sv, "127.0.0.1 "sv, "a b"sv, "127.0.0.1\0x"sv})
    EXPECT_EQ(other.listen({.host = host}).error(), Error::invalid) << host;
}

TYPED_TEST(PortConformance, ReadsWhatCame) {
  Peer peer;
  auto client = this->connect(peer);
  EXPECT_EQ(peer.read(), "");
  EXPECT_EQ(peer.last_error, Error::would_block);
  client.send("hello");
  ASSERT_TRUE(this->poll_until([&] { return peer.readable > 0; }));
  char two[2];
  EXPECT_EQ(peer.transport->read(two).value_or(0), 2u);
  EXPECT_EQ(std::string(two, 2), "he");
  const int before = peer.readable;
  this->port_.poller().poll(0ms);
  EXPECT_EQ(peer.readable, before + 1) << "repeats until all is read";
  EXPECT_EQ(peer.read(), "llo");
  const int after = peer.readable;
  poll_on(this->port_);
  EXPECT_EQ(peer.readable, after);
  EXPECT_EQ(peer.writable, 0) << "write interest is off after accept";
  this->close(peer);
}

TYPED_TEST(PortConformance, KnowsItsPeer) {
  Peer peer;
  auto client = this->connect(peer);
  char text[Endpoint::kMaxText];
  EXPECT_EQ(peer.transport->peer().format_address(text), TypeParam::kClientAddress);
  EXPECT_EQ(peer.transport->peer().port, client.local_port());
  this->close(peer);
}

TYPED_TEST(PortConformance, WritesPiecesInOrder) {
  Peer peer;
  auto client = this->connect(peer);
  const ConstBuffer pieces[] = {{"one ", 4}, {"", 0}, {"two ", 4}, {"three", 5}};
  EXPECT_EQ(peer.transport->write(pieces, true).value_or(0), 13u);
  EXPECT_EQ(peer.write("!").value_or(0), 1u);
  EXPECT_TRUE(this->poll_until([&] { return client.received() == "one two three!"; })) << client.received();
  EXPECT_TRUE(this->poll_until([&] { return peer.transport->drained(); }));
  EXPECT_EQ(peer.transport->write({}, false).value_or(9), 0u);
  this->close(peer);
}

TYPED_TEST(PortConformance, BytesThatNoneFollowAfterAllStillArrive) {
  Peer peer;
  auto client = this->connect(peer);
  const ConstBuffer piece{"promised more", 13};
  EXPECT_EQ(peer.transport->write({&piece, 1}, true).value_or(0), 13u);
  EXPECT_TRUE(this->poll_until([&] { return client.received() == "promised more"; }));
  this->close(peer);
}

TYPED_TEST(PortConformance, AHundredPiecesArriveWhole) {
  Peer peer;
  auto client = this->connect(peer);
  std::string expected;
  std::vector<std::string> parts;
  for (int i = 0; i < 100; ++i) parts.push_back(std::to_string(i) + ',');
  std::vector<ConstBuffer> pieces;
  for (const auto& part : parts) {
    pieces.push_back({part.data(), part.size()});
    expected += part;
  }
  std::size_t sent = 0;
  const auto write_on = [&] {
    while (sent < expected.size()) {
      std::vector<ConstBuffer> left;
      std::size_t skip = sent;
      for (const auto& piece : pieces) {
        const std::size_t cut = std::min(skip, piece.size);
        skip -= cut;
        if (cut < piece.size) left.push_back({piece.data + cut, piece.size - cut});
      }
      const auto taken = peer.transport->write(left, false);
      if (!taken) return;
      sent += *taken;
    }
  };
  peer.when_writable = write_on;
  write_on();
  peer.transport->set_interest(true, true);
  EXPECT_TRUE(this->poll_until([&] { return client.received() == expected; })) << client.received();
  peer.transport->set_interest(true, false);
  this->close(peer);
}

TYPED_TEST(PortConformance, AFullWayBlocksUntilThePeerReads) {
  Peer peer;
  auto client = this->connect_narrow(peer);
  // What is under way arrives, and the system finds some more room: until it is full for good.
  std::string sent = this->fill(peer);
  ASSERT_FALSE(sent.empty());
  for (int round = 0; round < 5; ++round) {
    poll_on(this->port_, 5);
    sent += this->fill(peer);
  }
  peer.transport->set_interest(true, true);
  poll_on(this->port_, 10);
  const int drained = peer.writable;  // perhaps the news that all is drained
  EXPECT_LT(drained, 5) << "it is told to be writable and is not";
  client.start_reading();
  ASSERT_TRUE(this->poll_until([&] {
    client.received();
    return peer.writable > drained;
  }));
  peer.transport->set_interest(true, false);
  ASSERT_TRUE(this->poll_until([&] { return client.received().size() >= sent.size(); }));
  EXPECT_TRUE(client.received() == sent) << "bytes were changed or lost";
  const int writable = peer.writable;
  poll_on(this->port_);
  EXPECT_EQ(peer.writable, writable) << "write interest is off";
  this->close(peer);
}

TYPED_TEST(PortConformance, AFinIsReadOnceAsTheEnd) {
  Peer peer;
  auto client = this->connect(peer);
  client.send("last");
  client.shutdown_write();
  std::string got;
  bool ended = false;
  peer.when_readable = [&] {
    const std::string piece = peer.read();
    got += piece;
    ended = piece.empty() && peer.last_error == Error::none;
  };
  ASSERT_TRUE(this->poll_until([&] { return ended; }));
  EXPECT_EQ(got, "last");
  const int readable = peer.readable;
  poll_on(this->port_);
  EXPECT_EQ(peer.readable, readable) << "the end of stream does not come twice";
  EXPECT_EQ(peer.gone, 0) << "half-closed is not gone";
  // Toggling the interest does not bring it back either.
  peer.transport->set_interest(false, false);
  peer.transport->set_interest(true, false);
  poll_on(this->port_);
  EXPECT_EQ(peer.readable, readable);

  EXPECT_EQ(peer.write("answer").value_or(0), 6u);
  EXPECT_TRUE(this->poll_until([&] { return client.received() == "answer"; }));
  EXPECT_FALSE(client.ended());
  this->close(peer);
  EXPECT_TRUE(this->poll_until([&] { return client.ended(); }));
  EXPECT_FALSE(client.was_reset());
}

TYPED_TEST(PortConformance, ShutdownWriteSendsFinAndReadsOn) {
  Peer peer;
  auto client = this->connect(peer);
  EXPECT_TRUE(peer.write("bye"));
  peer.transport->shutdown_write();
  EXPECT_TRUE(this->poll_until([&] { return client.ended(); }));
  EXPECT_EQ(client.received(), "bye");
  EXPECT_EQ(peer.write("more").error(), Error::closed);
  client.send("late");
  ASSERT_TRUE(this->poll_until([&] { return peer.readable > 0; }));
  EXPECT_EQ(peer.read(), "late");
  client.shutdown_write();
  // Both directions are at their end, and the last byte is still to be read: that is no reason for on_gone.
  ASSERT_TRUE(this->poll_until([&] { return peer.readable > 1; }));
  EXPECT_EQ(peer.gone, 0);
  EXPECT_EQ(peer.read(), "");
  EXPECT_EQ(peer.last_error, Error::none);
  this->close(peer);
}

TYPED_TEST(PortConformance, AResetIsGoneOnceWhateverTheInterest) {
  for (const bool read_interest : {true, false}) {
    Peer peer;
    auto client = this->connect(peer);
    peer.transport->set_interest(read_interest, false);
    client.reset();
    ASSERT_TRUE(this->poll_until([&] { return peer.gone > 0; })) << read_interest;
    EXPECT_EQ(peer.read(), "");
    EXPECT_EQ(peer.last_error, Error::closed);
    EXPECT_EQ(peer.write("x").error(), Error::closed);
    peer.transport->set_interest(true, true);
    poll_on(this->port_);
    EXPECT_EQ(peer.gone, 1);
    EXPECT_EQ(peer.readable, 0);
    EXPECT_EQ(peer.writable, 0);
    this->close(peer);
  }
}

TYPED_TEST(PortConformance, WritingToAClientThatLeftIsClosedAndNeverASignal) {
  Peer peer;
  auto client = this->connect(peer);
  client.close();
  Error error = Error::none;
  peer.when_gone = [&] { error = Error::closed; };
  ASSERT_TRUE(this->poll_until([&] {
    if (error == Error::none) error = peer.write("x").error();
    if (error == Error::would_block) error = Error::none;  // full, before the client's system has answered
    return error != Error::none;
  }));
  EXPECT_EQ(error, Error::closed);
  EXPECT_EQ(peer.write("x").error(), Error::closed);
  EXPECT_EQ(peer.write("x").error(), Error::closed);
  this->close(peer);
}

TYPED_TEST(PortConformance, InterestOffIsSilentAndOnAgainTellsAtOnce) {
  Peer peer;
  auto client = this->connect(peer);
  peer.transport->set_interest(false, false);
  client.send("waiting");
  poll_on(this->port_);
  EXPECT_EQ(peer.readable, 0);
  peer.transport->set_interest(true, false);
  ASSERT_TRUE(this->poll_until([&] { return peer.readable > 0; }));
  EXPECT_EQ(peer.read(), "waiting");
  // And once more, now that the port may have disarmed it.
  client.send("again");
  ASSERT_TRUE(this->poll_until([&] { return peer.readable > 1; }));
  EXPECT_EQ(peer.read(), "again");
  this->close(peer);
}

TYPED_TEST(PortConformance, InterestOffDoesNotSpin) {
  Peer peer;
  auto client = this->connect(peer);
  peer.transport->set_interest(false, false);
  client.send("unwanted");
  poll_on(this->port_, 3);
  const TimePoint start = this->port_.clock().now();
  this->port_.poller().poll(20ms);  // a poll that spins would return at once
  EXPECT_GE(this->port_.clock().now() - start, 19ms);
  this->close(peer);
}

TYPED_TEST(PortConformance, EndedConnectionsDoNotSpin) {
  Peer reset, ended, both;
  auto first = this->connect(reset);
  auto second = this->connect(ended);
  auto third = this->connect(both);
  first.reset();
  second.shutdown_write();
  third.shutdown_write();
  both.transport->shutdown_write();
  ended.when_readable = [&] { EXPECT_EQ(ended.read(), ""); };
  both.when_readable = [&] {
    EXPECT_EQ(both.read(), "");
    both.transport->set_interest(false, false);
  };
  poll_on(this->port_, 10);
  EXPECT_EQ(reset.gone, 1);
  EXPECT_EQ(both.gone, 1) << "both directions are over and nothing is wanted";
  const TimePoint start = this->port_.clock().now();
  this->port_.poller().poll(20ms);
  EXPECT_GE(this->port_.clock().now() - start, 19ms);
  for (Peer* peer : {&reset, &ended, &both}) this->close(*peer);
}

TYPED_TEST(PortConformance, WritableRepeatsOnlyWhileWanted) {
  Peer peer;
  auto client = this->connect(peer);
  peer.transport->set_interest(true, true);
  ASSERT_TRUE(this->poll_until([&] { return peer.writable > 1; }));
  peer.transport->set_interest(true, false);
  const int writable = peer.writable;
  poll_on(this->port_);
  EXPECT_EQ(peer.writable, writable);
  this->close(peer);
}

TYPED_TEST(PortConformance, AConnectionClosedDuringDispatchIsNotCalled) {
  Peer first, second;
  auto one = this->connect(first);
  auto two = this->connect(second);
  one.send("a");
  two.send("b");
  // Whoever is called first closes the other, whose event is in the same batch.
  first.when_readable = [&] {
    if (second.transport != nullptr) second.close(true);
    first.read();
  };
  second.when_readable = [&] {
    if (first.transport != nullptr) first.close(true);
    second.read();
  };
  ASSERT_TRUE(this->poll_until([&] { return first.readable + second.readable > 0; }));
  poll_on(this->port_);
  EXPECT_EQ((first.readable != 0) + (second.readable != 0), 1);
  for (Peer* peer : {&first, &second}) {
    if (peer->transport != nullptr) this->close(*peer);
  }
}

TYPED_TEST(PortConformance, StorageIsUsedAnewDuringDispatch) {
  // The storage of a connection whose event is still in the batch goes to a newcomer, which must not get it.
  Peer first, second, newcomer;
  auto one = this->connect(first);
  auto two = this->connect(second);
  auto three = this->world_.connect(this->acceptor_.number());
  ASSERT_TRUE(this->poll_until([&] { return this->acceptor_.acceptable > 0; }));
  one.send("a");
  two.send("b");
  const auto replace = [&](Peer& victim) {
    if (victim.transport == nullptr || newcomer.transport != nullptr) return;
    victim.close(true);
    auto accepted = this->acceptor_.listener->accept(victim.storage, newcomer);
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
  ASSERT_TRUE(this->poll_until([&] { return first.readable + second.readable > 0; }));
  poll_on(this->port_);
  EXPECT_EQ(newcomer.readable, 0);
  three.send("mine");
  ASSERT_TRUE(this->poll_until([&] { return newcomer.readable > 0; }));
  EXPECT_EQ(newcomer.read(), "mine");
  for (Peer* peer : {&first, &second, &newcomer}) {
    if (peer->transport != nullptr) this->close(*peer);
  }
}

TYPED_TEST(PortConformance, ClosesItselfFromItsCallbacks) {
  Peer peer;
  auto client = this->connect(peer);
  peer.when_readable = [&] { peer.close(true); };
  peer.transport->set_interest(true, true);  // a writable event is due in the same batch
  client.send("x");
  peer.when_writable = [&] { ASSERT_NE(peer.transport, nullptr); };
  ASSERT_TRUE(this->poll_until([&] { return peer.transport == nullptr; }));
  poll_on(this->port_, 5);
  EXPECT_TRUE(client.was_reset());
}

TYPED_TEST(PortConformance, AbortResetsAndCloseDoesNot) {
  Peer peer;
  auto client = this->connect(peer);
  this->close(peer, true);
  EXPECT_TRUE(this->poll_until([&] { return client.was_reset(); }));

  auto other = this->connect(peer);
  EXPECT_TRUE(peer.write("in order"));
  this->close(peer, false);
  EXPECT_TRUE(this->poll_until([&] { return other.ended(); }));
  EXPECT_EQ(other.received(), "in order");
  EXPECT_FALSE(other.was_reset());
}

TYPED_TEST(PortConformance, CloseWithUnreadBytesResets) {
  Peer peer;
  auto client = this->connect(peer);
  client.send("never read");
  ASSERT_TRUE(this->poll_until([&] { return peer.readable > 0; }));
  this->close(peer, false);
  EXPECT_TRUE(this->poll_until([&] { return client.was_reset(); }));
}

TYPED_TEST(PortConformance, BytesForAClosedConnectionAreAnsweredWithAReset) {
  Peer peer;
  auto client = this->connect(peer);
  this->close(peer, false);
  ASSERT_TRUE(this->poll_until([&] { return client.ended(); }));
  EXPECT_TRUE(this->poll_until([&] {
    client.send("too late");
    return client.was_reset();
  }));
}

TYPED_TEST(PortConformance, AReaderThatWaitsLosesNothing) {
  // Nobody reads what a client sends: it stays with TCP, in order.
  Peer peer;
  auto client = this->connect(peer);
  peer.transport->set_interest(false, false);
  std::string text;
  for (int i = 0; text.size() < 200'000; ++i) text += std::to_string(i) + ' ';
  std::size_t sent = 0;
  const auto send_on = [&] { sent += client.send(std::string_view(text).substr(sent)); };
  for (int i = 0; i < 20; ++i) {
    send_on();
    poll_on(this->port_, 2);
  }
  EXPECT_EQ(peer.readable, 0);
  std::string got;
  peer.when_readable = [&] { got += peer.read(); };
  peer.transport->set_interest(true, false);
  ASSERT_TRUE(this->poll_until([&] {
    send_on();
    return got.size() >= text.size();
  })) << got.size()
      << " of " << sent << " sent";
  EXPECT_TRUE(got == text) << "bytes were changed or lost";
  this->close(peer);
}

TYPED_TEST(PortConformance, ManyBytesArriveInBothDirectionsAtOnce) {
  Peer peer;
  auto client = this->connect(peer);
  std::string up, down;
  for (int i = 0; up.size() < 100'000; ++i) {
    up += std::to_string(i) + ' ';
    down += std::to_string(2 * i) + ',';
  }
  std::string got;
  std::size_t sent = 0, written = 0;
  peer.when_readable = [&] { got += peer.read(); };
  peer.when_writable = [&] {
    while (written < down.size()) {
      const auto taken = peer.write(std::string_view(down).substr(written));
      if (!taken) return;
      written += *taken;
    }
    peer.transport->set_interest(true, false);
  };
  peer.transport->set_interest(true, true);
  ASSERT_TRUE(this->poll_until([&] {
    sent += client.send(std::string_view(up).substr(sent));
    return client.received().size() >= down.size() && got.size() >= up.size();
  })) << client.received().size()
      << " down, " << got.size() << " up";
  EXPECT_TRUE(client.received() == down) << "bytes were changed or lost";
  EXPECT_TRUE(got == up) << "bytes were changed or lost";
  this->close(peer);
}

TYPED_TEST(PortConformance, CloseWithBytesUnderWayStillDeliversThem) {
  Peer peer;
  auto client = this->connect_narrow(peer);
  const std::string sent = this->fill(peer);
  peer.close(false);  // perhaps to be completed later
  client.start_reading();
  ASSERT_TRUE(this->poll_until([&] {
    client.received();
    return client.ended() && peer.transport == nullptr;
  })) << client.received().size()
      << " of " << sent.size();
  EXPECT_TRUE(client.received() == sent) << "bytes were changed or lost";
  EXPECT_FALSE(client.was_reset());
  EXPECT_EQ(peer.readable + peer.writable + peer.gone, 0) << "a closed connection tells nothing";
  EXPECT_LE(peer.released, 1);
}

TYPED_TEST(PortConformance, AnAbortEndsTheWaitForBytesUnderWay) {
  Peer peer;
  auto client = this->connect_narrow(peer);
  this->fill(peer);
  peer.close(false);
  if (peer.transport != nullptr) peer.close(true);
  EXPECT_EQ(peer.transport, nullptr);
  poll_on(this->port_);
  EXPECT_EQ(peer.released, 0) << "who is told by the call is not told again";
}

TYPED_TEST(PortConformance, AResetReleasesWhatWasClosedBefore) {
  Peer peer;
  auto client = this->connect_narrow(peer);
  this->fill(peer);
  peer.close(false);
  client.reset();
  EXPECT_TRUE(this->poll_until([&] { return peer.transport == nullptr; }));
}

TYPED_TEST(PortConformance, AConnectionThatIsIdleGoesOn) {
  Peer peer;
  auto client = this->connect(peer);
  for (int round = 0; round < 3; ++round) {
    peer.transport->set_idle();
    poll_on(this->port_, 3);
    const int readable = peer.readable;
    client.send("question");
    ASSERT_TRUE(this->poll_until([&] { return peer.readable > readable; }));
    EXPECT_EQ(peer.read(), "question");
    EXPECT_EQ(peer.write("answer").value_or(0), 6u);
    ASSERT_TRUE(this->poll_until([&] { return client.received().size() == 6u * (unsigned(round) + 1); }));
  }
  EXPECT_EQ(peer.gone, 0);
  this->close(peer);
}

TYPED_TEST(PortConformance, AsManyConnectionsAsThereAreAtOnce) {
  std::vector<std::unique_ptr<Peer>> peers;
  std::vector<typename TestFixture::Client> clients;
  for (std::size_t i = 0; i < TypeParam::kConnections; ++i) {
    peers.push_back(std::make_unique<Peer>());
    clients.push_back(this->connect(*peers.back()));
    clients.back().send(std::to_string(i));
  }
  std::vector<std::string> answers;
  for (std::size_t i = 0; i < peers.size(); ++i) answers.push_back("to " + std::to_string(i));
  for (std::size_t i = 0; i < peers.size(); ++i) {
    Peer& peer = *peers[i];
    ASSERT_TRUE(this->poll_until([&] { return peer.readable > 0; })) << i;
    EXPECT_EQ(peer.read(), std::to_string(i));
    EXPECT_EQ(peer.write(answers[i]).value_or(0), answers[i].size()) << i;
  }
  for (std::size_t i = 0; i < peers.size(); ++i) {
    EXPECT_TRUE(this->poll_until([&] { return clients[i].received() == answers[i]; })) << i;
    this->close(*peers[i]);
  }
}

TYPED_TEST(PortConformance, AThousandConnectionsLeaveNothing) {
  std::size_t before = 0;
  for (int i = 0; i < 1000; ++i) {
    if (i == 20) before = this->world_.in_use();  // what is taken once is there by now
    Peer peer;
    auto client = this->connect(peer);
    client.send("hello");
    ASSERT_TRUE(this->poll_until([&] { return peer.readable > 0; })) << i;
    if (i % 5 != 0) {  // else it ends in a reset
      EXPECT_EQ(peer.read(), "hello") << i;
    }
    EXPECT_TRUE(peer.write("bye")) << i;
    switch (i % 4) {
      case 0: client.close(); break;
      case 1: client.reset(); break;
      case 2: client.shutdown_write(); break;
      default: break;  // this end closes first
    }
    if (i % 3 == 0) this->port_.poller().poll(0ms);
    this->close(peer, i % 7 == 0);
  }
  ASSERT_TRUE(this->poll_until([&] { return this->world_.in_use() <= before; })) << this->world_.in_use();
}

TYPED_TEST(PortConformance, AWakeFromAnotherThreadEndsThePoll) {
  if (!TypeParam::kThreads) GTEST_SKIP() << "no time passes while others run";
  const TimePoint start = this->port_.clock().now();
  std::thread other([&] {
    std::this_thread::sleep_for(20ms);
    this->port_.poller().wake();
  });
  this->port_.poller().poll(10s);
  other.join();
  const Duration waited = this->port_.clock().now() - start;
  EXPECT_GE(waited, 20ms) << "it waited for the wake, or this tests nothing";
  EXPECT_LT(waited, 5s);
}

TYPED_TEST(PortConformance, PollWaitsForItsTimeout) {
  for (const Duration timeout : {Duration(1500), Duration(5000)}) {
    const TimePoint start = this->port_.clock().now();
    this->port_.poller().poll(timeout);
    EXPECT_GE(this->port_.clock().now() - start, timeout);
  }
}

TYPED_TEST(PortConformance, PollOfZeroDoesNotWait) {
  const TimePoint start = this->port_.clock().now();
  for (int i = 0; i < 100; ++i) this->port_.poller().poll(0ms);
  EXPECT_LT(this->port_.clock().now() - start, 500ms);
}

TYPED_TEST(PortConformance, AWakeBeforeThePollEndsItAtOnce) {
  this->port_.poller().wake();
  this->port_.poller().wake();
  const TimePoint start = this->port_.clock().now();
  this->port_.poller().poll(10s);
  EXPECT_LT(this->port_.clock().now() - start, 5s);
  // Both are used up.
  const TimePoint second = this->port_.clock().now();
  this->port_.poller().poll(10ms);
  EXPECT_GE(this->port_.clock().now() - second, 10ms);
}

TYPED_TEST(PortConformance, ReservesAtLeastAFew) {
  EXPECT_EQ(this->port_.network().reserve_connections(TypeParam::kConnections), TypeParam::kConnections);
}

TYPED_TEST(PortConformance, ExitSignalsCountWhileWatched) {
  if (!TypeParam::kExitSignals) GTEST_SKIP() << "this system has none";
  const unsigned before = this->port_.poller().exit_signals();
  this->port_.poller().watch_exit_signals();
  this->port_.poller().watch_exit_signals();
  this->world_.raise_exit_signal();
  const TimePoint start = this->port_.clock().now();
  this->port_.poller().poll(10s);
  EXPECT_LT(this->port_.clock().now() - start, 5s) << "a poll returns when one comes";
  EXPECT_EQ(this->port_.poller().exit_signals(), before + 1);
  this->port_.poller().unwatch_exit_signals();
  this->world_.raise_exit_signal();
  EXPECT_EQ(this->port_.poller().exit_signals(), before + 2) << "watches nest";
  this->port_.poller().unwatch_exit_signals();
  EXPECT_EQ(this->port_.poller().exit_signals(), before + 2) << "the count stays";
  this->port_.poller().poll(0ms);
}

TYPED_TEST(PortConformance, EntropyFillsEveryByte) {
  std::array<unsigned char, 67> bytes{};
  std::array<bool, 67> changed{};
  for (int i = 0; i < 20; ++i) {
    this->port_.entropy().fill(bytes);
    for (std::size_t at = 0; at < bytes.size(); ++at) changed[at] = changed[at] || bytes[at] != 0;
  }
  for (const bool byte : changed) EXPECT_TRUE(byte);
}

TYPED_TEST(PortConformance, WallClockIsPlausible) {
  const std::int64_t seconds = this->port_.clock().unix_seconds();
  if (TypeParam::kWallClock) {
    EXPECT_GT(seconds, 1'600'000'000);
  } else {
    EXPECT_EQ(seconds, 0) << "not known";
  }
}

}  // namespace
}  // namespace microdot_test
