#pragma once
// How bytes come and go, on one connection and on many. A part of conformance.hpp.

#include "conformance.hpp"

namespace microdot_test {
namespace {

TEST_P(PortConformance, WhatLiesBesideDiscardedBytesStays) {
  std::vector<std::byte> bytes(100'000, std::byte{7});
  port_.discard(std::span(bytes).subspan(10'000, 80'000));
  EXPECT_EQ(std::count(bytes.begin(), bytes.begin() + 10'000, std::byte{7}), 10'000);
  EXPECT_EQ(std::count(bytes.end() - 10'000, bytes.end(), std::byte{7}), 10'000);
  std::fill(bytes.begin(), bytes.end(), std::byte{8});
  EXPECT_EQ(std::count(bytes.begin(), bytes.end(), std::byte{8}), 100'000);
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

}  // namespace
}  // namespace microdot_test
