#pragma once
// What every port promises (the comments of port.hpp and network.hpp), as one suite for all of them. Included
// by one source of each program, which defines `Worlds` before: the `testing::Types` of those it has.

#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "worlds.hpp"

namespace microdot_test {
namespace {

/// A world of worlds.hpp, whichever it is: so the tests are compiled once and not for each.
class AnyWorld {
 public:
  virtual ~AnyWorld() = default;
  virtual Port& port() = 0;
  virtual void raise_exit_signal() = 0;
  virtual std::size_t in_use() = 0;
  virtual std::unique_ptr<Client> connect(std::uint16_t number) = 0;
  virtual std::unique_ptr<Client> connect_narrow(std::uint16_t number) = 0;
};

template <typename World>
class WorldOf final : public AnyWorld {
 public:
  Port& port() override { return world_.port(); }
  void raise_exit_signal() override { world_.raise_exit_signal(); }
  std::size_t in_use() override { return world_.in_use(); }
  std::unique_ptr<Client> connect(std::uint16_t number) override { return held(world_.connect(number)); }
  std::unique_ptr<Client> connect_narrow(std::uint16_t number) override {
    return held(world_.connect_narrow(number));
  }

 private:
  static std::unique_ptr<Client> held(typename World::Client client) {
    return std::make_unique<typename World::Client>(std::move(client));
  }

  World world_;
};

/// What there is to know of a world before it is made.
struct Kind {
  const char* name;
  const char* host;
  const char* client_address;
  std::size_t connections;
  bool threads, exit_signals, wall_clock;
  std::unique_ptr<AnyWorld> (*make)();

  friend std::ostream& operator<<(std::ostream& out, const Kind& kind) { return out << kind.name; }
};

template <typename... All>
std::vector<Kind> kinds(testing::Types<All...>) {
  return {Kind{All::kName, All::kHost, All::kClientAddress, All::kConnections, All::kThreads,
               All::kExitSignals, All::kWallClock,
               []() -> std::unique_ptr<AnyWorld> { return std::make_unique<WorldOf<All>>(); }}...};
}

class PortConformance : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override { ASSERT_TRUE(listen(acceptor_)); }

  Result<void> listen(Acceptor& acceptor, std::uint16_t number = 0) {
    return acceptor.listen({.host = GetParam().host, .port = number});
  }

  /// A client and the server's end of its connection.
  std::unique_ptr<Client> connect(Peer& peer) { return accept(world_->connect(acceptor_.number()), peer); }
  std::unique_ptr<Client> connect_narrow(Peer& peer) {
    return accept(world_->connect_narrow(acceptor_.number()), peer);
  }
  std::unique_ptr<Client> accept(std::unique_ptr<Client> client, Peer& peer) {
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

  const std::unique_ptr<AnyWorld> world_ = GetParam().make();
  Port& port_ = world_->port();
  Acceptor acceptor_{port_};
  const std::string chunk_ = std::string(999, 'a') + '\n';
};

INSTANTIATE_TEST_SUITE_P(Worlds, PortConformance, testing::ValuesIn(kinds(Worlds())),
                         testing::PrintToStringParamName());

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

TEST_P(PortConformance, ReadsWhatCame) {
  Peer peer;
  auto client = connect(peer);
  EXPECT_EQ(peer.read(), "");
  EXPECT_EQ(peer.last_error, Error::would_block);
  client->send("hello");
  ASSERT_TRUE(poll_until([&] { return peer.readable > 0; }));
  char two[2];
  EXPECT_EQ(peer.transport->read(two).value_or(0), 2u);
  EXPECT_EQ(std::string(two, 2), "he");
  const int before = peer.readable;
  port_.poller().poll(0ms);
  EXPECT_EQ(peer.readable, before + 1) << "repeats until all is read";
  EXPECT_EQ(peer.read(), "llo");
  const int after = peer.readable;
  poll_on(port_);
  EXPECT_EQ(peer.readable, after);
  EXPECT_EQ(peer.writable, 0) << "write interest is off after accept";
  close(peer);
}

TEST_P(PortConformance, KnowsItsPeer) {
  Peer peer;
  auto client = connect(peer);
  char text[Endpoint::kMaxText];
  EXPECT_EQ(peer.transport->peer().format_address(text), GetParam().client_address);
  EXPECT_EQ(peer.transport->peer().port, client->local_port());
  close(peer);
}

TEST_P(PortConformance, WritesPiecesInOrder) {
  Peer peer;
  auto client = connect(peer);
  const ConstBuffer pieces[] = {{"one ", 4}, {"", 0}, {"two ", 4}, {"three", 5}};
  EXPECT_EQ(peer.transport->write(pieces, true).value_or(0), 13u);
  EXPECT_EQ(peer.write("!").value_or(0), 1u);
  EXPECT_TRUE(poll_until([&] { return client->received() == "one two three!"; })) << client->received();
  EXPECT_TRUE(poll_until([&] { return peer.transport->drained(); }));
  EXPECT_EQ(peer.transport->write({}, false).value_or(9), 0u);
  close(peer);
}

TEST_P(PortConformance, BytesThatNoneFollowAfterAllStillArrive) {
  Peer peer;
  auto client = connect(peer);
  const ConstBuffer piece{"promised more", 13};
  EXPECT_EQ(peer.transport->write({&piece, 1}, true).value_or(0), 13u);
  EXPECT_TRUE(poll_until([&] { return client->received() == "promised more"; }));
  close(peer);
}

TEST_P(PortConformance, AHundredPiecesArriveWhole) {
  Peer peer;
  auto client = connect(peer);
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
  EXPECT_TRUE(poll_until([&] { return client->received() == expected; })) << client->received();
  peer.transport->set_interest(true, false);
  close(peer);
}

TEST_P(PortConformance, AFullWayBlocksUntilThePeerReads) {
  Peer peer;
  auto client = connect_narrow(peer);
  // What is under way arrives, and the system finds some more room: until it is full for good.
  std::string sent = fill(peer);
  ASSERT_FALSE(sent.empty());
  for (int round = 0; round < 5; ++round) {
    poll_on(port_, 5);
    sent += fill(peer);
  }
  peer.transport->set_interest(true, true);
  poll_on(port_, 10);
  const int drained = peer.writable;  // perhaps the news that all is drained
  EXPECT_LT(drained, 5) << "it is told to be writable and is not";
  client->start_reading();
  ASSERT_TRUE(poll_until([&] {
    client->received();
    return peer.writable > drained;
  }));
  peer.transport->set_interest(true, false);
  ASSERT_TRUE(poll_until([&] { return client->received().size() >= sent.size(); }));
  EXPECT_TRUE(client->received() == sent) << "bytes were changed or lost";
  const int writable = peer.writable;
  poll_on(port_);
  EXPECT_EQ(peer.writable, writable) << "write interest is off";
  close(peer);
}

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

TEST_P(PortConformance, AReaderThatWaitsLosesNothing) {
  // Nobody reads what a client sends: it stays with TCP, in order.
  Peer peer;
  auto client = connect(peer);
  peer.transport->set_interest(false, false);
  std::string text;
  for (int i = 0; text.size() < 200'000; ++i) text += std::to_string(i) + ' ';
  std::size_t sent = 0;
  const auto send_on = [&] { sent += client->send(std::string_view(text).substr(sent)); };
  for (int i = 0; i < 20; ++i) {
    send_on();
    poll_on(port_, 2);
  }
  EXPECT_EQ(peer.readable, 0);
  std::string got;
  peer.when_readable = [&] { got += peer.read(); };
  peer.transport->set_interest(true, false);
  ASSERT_TRUE(poll_until([&] {
    send_on();
    return got.size() >= text.size();
  })) << got.size()
      << " of " << sent << " sent";
  EXPECT_TRUE(got == text) << "bytes were changed or lost";
  close(peer);
}

TEST_P(PortConformance, ManyBytesArriveInBothDirectionsAtOnce) {
  Peer peer;
  auto client = connect(peer);
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
  ASSERT_TRUE(poll_until([&] {
    sent += client->send(std::string_view(up).substr(sent));
    return client->received().size() >= down.size() && got.size() >= up.size();
  })) << client->received().size()
      << " down, " << got.size() << " up";
  EXPECT_TRUE(client->received() == down) << "bytes were changed or lost";
  EXPECT_TRUE(got == up) << "bytes were changed or lost";
  close(peer);
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

TEST_P(PortConformance, AConnectionThatIsIdleGoesOn) {
  Peer peer;
  auto client = connect(peer);
  for (int round = 0; round < 3; ++round) {
    peer.transport->set_idle();
    poll_on(port_, 3);
    const int readable = peer.readable;
    client->send("question");
    ASSERT_TRUE(poll_until([&] { return peer.readable > readable; }));
    EXPECT_EQ(peer.read(), "question");
    EXPECT_EQ(peer.write("answer").value_or(0), 6u);
    ASSERT_TRUE(poll_until([&] { return client->received().size() == 6u * (unsigned(round) + 1); }));
  }
  EXPECT_EQ(peer.gone, 0);
  close(peer);
}

TEST_P(PortConformance, AsManyConnectionsAsThereAreAtOnce) {
  std::vector<std::unique_ptr<Peer>> peers;
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < GetParam().connections; ++i) {
    peers.push_back(std::make_unique<Peer>());
    clients.push_back(connect(*peers.back()));
    clients.back()->send(std::to_string(i));
  }
  std::vector<std::string> answers;
  for (std::size_t i = 0; i < peers.size(); ++i) answers.push_back("to " + std::to_string(i));
  for (std::size_t i = 0; i < peers.size(); ++i) {
    Peer& peer = *peers[i];
    ASSERT_TRUE(poll_until([&] { return peer.readable > 0; })) << i;
    EXPECT_EQ(peer.read(), std::to_string(i));
    EXPECT_EQ(peer.write(answers[i]).value_or(0), answers[i].size()) << i;
  }
  for (std::size_t i = 0; i < peers.size(); ++i) {
    EXPECT_TRUE(poll_until([&] { return clients[i]->received() == answers[i]; })) << i;
    close(*peers[i]);
  }
}

TEST_P(PortConformance, AThousandConnectionsLeaveNothing) {
  std::size_t before = 0;
  for (int i = 0; i < 1000; ++i) {
    if (i == 20) before = world_->in_use();  // what is taken once is there by now
    Peer peer;
    auto client = connect(peer);
    client->send("hello");
    ASSERT_TRUE(poll_until([&] { return peer.readable > 0; })) << i;
    if (i % 5 != 0) {  // else it ends in a reset
      EXPECT_EQ(peer.read(), "hello") << i;
    }
    EXPECT_TRUE(peer.write("bye")) << i;
    switch (i % 4) {
      case 0: client->close(); break;
      case 1: client->reset(); break;
      case 2: client->shutdown_write(); break;
      default: break;  // this end closes first
    }
    if (i % 3 == 0) port_.poller().poll(0ms);
    close(peer, i % 7 == 0);
  }
  ASSERT_TRUE(poll_until([&] { return world_->in_use() <= before; })) << world_->in_use();
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
