// What is particular to lwIP: its few connections, its pools, and who has the bytes.

#include <arpa/inet.h>
#include <lwip/mem.h>
#include <lwip/memp.h>
#include <lwip/pbuf.h>
#include <lwip/priv/memp_priv.h>
#include <algorithm>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "lwip_world.hpp"

namespace microdot_test {
namespace {

class Lwip : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(acceptor_.listen({.host = kLwipAddress}));
    // No connection of an earlier test takes a place.
    for (int i = 0; i < 20; ++i) skip(250ms);
  }
  void TearDown() override { LwipWorld::board().set_faults({}); }

  SocketClient connect(Peer& peer, bool narrow = false) {
    SocketClient client =
        narrow ? world_.connect_narrow(acceptor_.number()) : world_.connect(acceptor_.number());
    EXPECT_TRUE(poll_until(port_, [&] { return bool(acceptor_.accept(peer)); }));
    return client;
  }
  void skip(Duration time) {
    LwipWorld::board().advance(time);
    port_.poller().poll(0ms);
  }
  static std::size_t free_frames() {
    return lwip_stats.memp[MEMP_PBUF_POOL]->avail - lwip_stats.memp[MEMP_PBUF_POOL]->used;
  }

  LwipWorld world_;
  Port& port_ = world_.port();
  Acceptor acceptor_{port_};
};

// Of RFC 1071, byte by byte; in the byte order of the processor, as lwIP wants it.
std::uint16_t checksum_of(std::span<const unsigned char> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += static_cast<std::uint32_t>(bytes[i]) << 8;
    if (i + 1 < bytes.size()) sum += bytes[i + 1];
    sum = (sum >> 16) + (sum & 0xFFFF);
  }
  return htons(static_cast<std::uint16_t>(sum));
}

TEST(LwipChecksum, IsTheInternets) {
  std::mt19937 random(1);
  std::vector<unsigned char> bytes(70000, 0xFF);
  const auto expect_right = [&](std::size_t offset, std::size_t size) {
    const std::span<const unsigned char> part = std::span(bytes).subspan(offset, size);
    ASSERT_EQ(microdot_lwip_checksum(part.data(), static_cast<int>(size)), checksum_of(part))
        << offset << " " << size;
  };
  for (const bool mixed : {false, true}) {
    for (std::size_t offset = 0; offset < 8; ++offset) {
      for (std::size_t size = 0; size < 100; ++size) expect_right(offset, size);
      for (const std::size_t size : {1460U, 1461U, 65535U, 65536U}) expect_right(offset, size);
    }
    if (!mixed) {
      for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(random());
    }
  }
  EXPECT_EQ(microdot_lwip_checksum(bytes.data(), 0), 0);
}

TEST_F(Lwip, ANewcomerTakesThePlaceOfWhoIsIdleLongest) {
  std::vector<Peer> peers(MEMP_NUM_TCP_PCB);
  std::vector<SocketClient> clients;
  for (Peer& peer : peers) clients.push_back(connect(peer));
  for (const std::size_t idle : {5u, 3u}) {
    peers[idle].transport->set_idle();
    skip(1s);
  }
  clients[5].send("x");  // in flight again
  ASSERT_TRUE(poll_until(port_, [&] { return peers[5].readable > 0; }));
  EXPECT_EQ(peers[5].read(), "x");
  peers[7].transport->set_idle();

  Peer newcomer;
  const SocketClient client = connect(newcomer);
  EXPECT_EQ(peers[3].gone, 1);
  EXPECT_EQ(peers[3].read(), "");
  EXPECT_EQ(peers[3].last_error, Error::closed);
  Peer second;
  const SocketClient other = connect(second);
  EXPECT_EQ(peers[7].gone, 1);
  SocketClient third(kLwipAddress, acceptor_.number(), 0);
  poll_on(port_);
  EXPECT_FALSE(third.connected()) << "nobody is idle any more";
  int gone = 0;
  for (Peer& peer : peers) gone += peer.gone;
  EXPECT_EQ(gone, 2) << "nobody else had to go";
  for (Peer* peer : {&newcomer, &second}) peer->close(true);
  for (Peer& peer : peers) peer.close(true);
}

TEST_F(Lwip, NobodyInFlightGoesForANewcomer) {
  std::vector<Peer> peers(MEMP_NUM_TCP_PCB);
  std::vector<SocketClient> clients;
  for (Peer& peer : peers) {
    clients.push_back(connect(peer));
    EXPECT_TRUE(peer.write("one piece of a stream"));  // that has arrived, and the next one takes a while
    EXPECT_TRUE(poll_until(port_, [&] { return !clients.back().received().empty(); }));
  }
  for (int i = 0; i < 4; ++i) skip(50ms);
  SocketClient newcomer(kLwipAddress, acceptor_.number(), 0);
  poll_on(port_);
  EXPECT_FALSE(newcomer.connected()) << "it waits for the kernel to ask again";
  for (Peer& peer : peers) EXPECT_EQ(peer.gone, 0);
  peers[0].close(false);  // and gets the place of the first that ends
  EXPECT_TRUE(poll_until(port_, [&] { return newcomer.connected(); }));
  for (std::size_t i = 1; i < peers.size(); ++i) peers[i].close(true);
}

TEST_F(Lwip, AnAnswerThatIsNotAcknowledgedKeepsItsPlace) {
  std::vector<Peer> peers(MEMP_NUM_TCP_PCB);
  std::vector<SocketClient> clients;
  for (Peer& peer : peers) clients.push_back(connect(peer));
  LwipWorld::board().set_faults({.lost = 1000});
  EXPECT_TRUE(peers[0].write("an answer"));
  peers[0].transport->set_idle();
  skip(1s);
  LwipWorld::board().set_faults({});
  SocketClient newcomer(kLwipAddress, acceptor_.number(), 0);
  port_.poller().poll(0ms);
  EXPECT_EQ(peers[0].gone, 0);
  for (int i = 0; i < 20; ++i) skip(250ms);  // it is sent again
  EXPECT_TRUE(poll_until(port_, [&] { return clients[0].received() == "an answer"; }));
  EXPECT_TRUE(poll_until(port_, [&] { return newcomer.connected(); }));
  EXPECT_EQ(peers[0].gone, 1) << "now it is really idle";
  for (Peer& peer : peers) peer.close(true);
}

TEST_F(Lwip, AConnectionThatIsOverForLwipIsNotTakenForAnother) {
  Peer over;
  SocketClient client = connect(over);
  over.transport->shutdown_write();
  client.shutdown_write();
  ASSERT_TRUE(poll_until(port_, [&] { return over.readable > 0; }));
  EXPECT_EQ(over.read(), "");
  for (int i = 0; i < 20; ++i) skip(250ms);   // lwIP forgets it
  std::vector<Peer> peers(MEMP_NUM_TCP_PCB);  // and has its block for one of these
  std::vector<SocketClient> clients;
  for (Peer& peer : peers) clients.push_back(connect(peer));
  EXPECT_EQ(over.write("x").error(), Error::closed);
  over.close(true);
  poll_on(port_, 3);
  for (std::size_t i = 0; i < peers.size(); ++i) {
    EXPECT_FALSE(clients[i].was_reset()) << i;
    peers[i].close(true);
  }
}

TEST_F(Lwip, WhatIsKeptBackForMoreLeavesWithTheNextPoll) {
  Peer peer;
  SocketClient client = connect(peer);
  const ConstBuffer piece{"promised more", 13};
  EXPECT_EQ(peer.transport->write({&piece, 1}, true).value_or(0), 13u);
  EXPECT_EQ(client.received(), "");
  port_.poller().poll(0ms);
  EXPECT_EQ(client.received(), "promised more");
  peer.close(true);
}

TEST_F(Lwip, TheBacklogIsAsLongAsWasAsked) {
  Acceptor acceptor(port_);
  ASSERT_TRUE(acceptor.listen({.host = kLwipAddress, .backlog = 2}));
  std::vector<SocketClient> clients;
  for (int i = 0; i < 4; ++i) clients.emplace_back(kLwipAddress, acceptor.number(), 0);
  poll_on(port_);
  int connected = 0;
  for (auto& client : clients) connected += client.connected();
  EXPECT_EQ(connected, 2);
  Peer peer;
  EXPECT_TRUE(acceptor.accept(peer));
  EXPECT_TRUE(poll_until(port_, [&] {  // the kernel asks again after a second
    connected = 0;
    for (auto& client : clients) connected += client.connected();
    return connected == 3;
  }));
  peer.close(true);
}

TEST_F(Lwip, AWaitingConnectionThatIsResetIsForgotten) {
  SocketClient client = world_.connect(acceptor_.number());
  client.send("unread");
  poll_on(port_, 3);
  client.reset();
  poll_on(port_, 3);
  Peer peer;
  EXPECT_EQ(acceptor_.accept(peer).error(), Error::would_block);
  const int acceptable = acceptor_.acceptable;
  poll_on(port_, 3);
  EXPECT_EQ(acceptor_.acceptable, acceptable);
}

TEST_F(Lwip, SmallAnswersAreCopiedAndLargeOnesAreNot) {
  Peer peer;
  SocketClient client = connect(peer);
  std::string small(500, 's'), large(3000, 'l');
  const std::string expected = small + large;
  EXPECT_EQ(peer.write(small).value_or(0), small.size());
  EXPECT_TRUE(peer.transport->drained());
  small.assign(small.size(), '?');
  const std::size_t heap = lwip_stats.mem.used;
  EXPECT_EQ(peer.write(large).value_or(0), large.size());
  EXPECT_FALSE(peer.transport->drained());
  EXPECT_LT(lwip_stats.mem.used - heap, 600u) << "headers alone";
  EXPECT_TRUE(poll_until(port_, [&] { return peer.transport->drained(); }));
  large.assign(large.size(), '?');
  EXPECT_TRUE(poll_until(port_, [&] { return client.received() == expected; }));
  peer.close(true);
}

TEST_F(Lwip, WhatIsStillReferredToIsCountedFromTheLastByteTaken) {
  Peer peer;
  SocketClient client = connect(peer);
  const std::string large(3000, 'l'), small(100, 's');
  EXPECT_EQ(peer.write(large).value_or(0), large.size());
  EXPECT_EQ(peer.transport->undrained(), large.size());
  EXPECT_EQ(peer.write(small).value_or(0), small.size());
  EXPECT_EQ(peer.transport->undrained(), large.size() + small.size())
      << "the large one is behind the small one";
  EXPECT_TRUE(poll_until(port_, [&] { return peer.transport->undrained() == 0; }));
  peer.close(true);
}

TEST_F(Lwip, ACloseThatRefersToBytesIsCompletedWhenTheyHaveArrived) {
  Peer peer;
  SocketClient client = connect(peer);
  const std::string text(4000, 't');
  EXPECT_EQ(peer.write(text).value_or(0), text.size());
  peer.close(false);
  EXPECT_NE(peer.transport, nullptr);
  EXPECT_EQ(peer.released, 0);
  EXPECT_TRUE(poll_until(port_, [&] { return peer.released == 1; }));
  EXPECT_TRUE(poll_until(port_, [&] { return client.ended(); }));
  EXPECT_EQ(client.received(), text);
}

TEST_F(Lwip, ACloseGivesUpOnAPeerThatAcknowledgesNothing) {
  Peer peer;
  SocketClient client = connect(peer, true);
  const std::string text(5000, 't');
  LwipWorld::board().set_faults({.lost = 1000});
  EXPECT_TRUE(peer.write(text));
  peer.close(false);
  for (int i = 0; i < 9 * 4; ++i) skip(250ms);
  EXPECT_EQ(peer.released, 0);
  for (int i = 0; i < 2 * 4; ++i) skip(250ms);
  EXPECT_EQ(peer.released, 1) << "after ten seconds";
}

TEST_F(Lwip, AClosedConnectionWhosePeerAcknowledgesNothingKeepsNoPlace) {
  const std::size_t before = world_.in_use();
  std::vector<Peer> peers(MEMP_NUM_TCP_PCB);
  std::vector<SocketClient> clients;
  for (Peer& peer : peers) clients.push_back(connect(peer));
  LwipWorld::board().set_faults({.lost = 1000});
  for (Peer& peer : peers) {
    EXPECT_TRUE(peer.write("small, so it is copied"));
    peer.close(false);
    EXPECT_EQ(peer.transport, nullptr);
  }
  for (int i = 0; i < 9 * 4; ++i) skip(250ms);
  EXPECT_GT(world_.in_use(), before);
  for (int i = 0; i < 3 * 4; ++i) skip(250ms);
  EXPECT_EQ(world_.in_use(), before) << "after ten seconds";
  LwipWorld::board().set_faults({});
  for (Peer& peer : peers) clients.push_back(connect(peer));
  for (Peer& peer : peers) peer.close(true);
}

TEST_F(Lwip, AClosedConnectionWaitsForTheEndOfItsPeer) {
  Peer peer;
  SocketClient client = connect(peer);
  EXPECT_TRUE(peer.write("all"));
  peer.close(false);
  EXPECT_TRUE(poll_until(port_, [&] { return client.ended(); }));
  for (int i = 0; i < 15 * 4; ++i) skip(250ms);  // everything has arrived: there is nothing to give up
  EXPECT_EQ(client.send("late"), 4u) << "it was reset";
  EXPECT_EQ(client.received(), "all");
}

TEST_F(Lwip, HavingNoMemoryIsWaitedOut) {
  Peer peer, other;
  SocketClient client = connect(peer), second = connect(other);
  std::vector<void*> taken;
  while (void* block = mem_malloc(64)) taken.push_back(block);
  const std::string text(5000, 't');
  EXPECT_EQ(peer.write(text).error(), Error::would_block);
  peer.transport->set_interest(true, true);
  poll_on(port_, 10);
  EXPECT_EQ(peer.writable, 0) << "there is none yet, and nothing spins";
  const TimePoint start = port_.clock().now();
  port_.poller().poll(20ms);
  EXPECT_GE(port_.clock().now() - start, 19ms);
  for (void* block : taken) mem_free(block);
  // Nobody tells that: it is found out within half a second.
  for (int i = 0; i < 4 && peer.writable == 0; ++i) skip(250ms);
  EXPECT_GT(peer.writable, 0);
  EXPECT_EQ(peer.write(text).value_or(0), text.size());
  EXPECT_TRUE(poll_until(port_, [&] { return client.received() == text; }));
  peer.close(true);
  other.close(true);
}

TEST_F(Lwip, MemoryThatAnotherConnectionGivesBackIsTaken) {
  Peer peer, other;
  SocketClient client = connect(peer), second = connect(other);
  const std::string text(3000, 't');
  EXPECT_EQ(other.write(text).value_or(0), text.size());  // has some, and will give it back
  std::vector<void*> taken;
  while (void* block = mem_malloc(16)) taken.push_back(block);
  EXPECT_EQ(peer.write(text).error(), Error::would_block);
  peer.transport->set_interest(true, true);
  EXPECT_TRUE(poll_until(port_, [&] { return peer.writable > 0; }));
  EXPECT_TRUE(peer.write(text)) << "of what the other had";
  for (void* block : taken) mem_free(block);
  peer.close(true);
  other.close(true);
}

TEST_F(Lwip, DataLeavesSegmentsForNewcomers) {
  std::vector<Peer> peers(MEMP_NUM_TCP_PCB - 1);
  std::vector<SocketClient> clients;
  for (Peer& peer : peers) clients.push_back(connect(peer));
  LwipWorld::board().set_faults({.lost = 1000});  // nothing is acknowledged
  const std::string text(kSendBufferBytes, 't');
  std::size_t taken = 0;
  for (Peer& peer : peers) taken += peer.write(text).value_or(0);
  EXPECT_GE(taken, (MEMP_NUM_TCP_SEG - 8) * kSegmentBytes) << "nearly all were to be had";
  LwipWorld::board().set_faults({});
  Peer newcomer;
  const TimePoint start = port_.clock().now();
  SocketClient client = connect(newcomer);
  EXPECT_LT(port_.clock().now() - start, 900ms) << "its SYN was answered at once";
  for (Peer& peer : peers) peer.close(true);
  newcomer.close(true);
}

TEST_F(Lwip, SingleBytesThatNobodyReadsDoNotTakeEveryFrame) {
  Peer peer;
  SocketClient client = connect(peer);
  peer.transport->set_interest(false, false);
  const std::size_t before = free_frames();
  std::string sent;
  for (int i = 0; i < 1000; ++i) {
    const char byte = static_cast<char>('a' + i % 26);
    client.send({&byte, 1});
    sent += byte;
    port_.poller().poll(0ms);
  }
  poll_on(port_, 10);
  EXPECT_GE(free_frames() + 2, before);
  std::string got;
  peer.when_readable = [&] { got += peer.read(); };
  peer.transport->set_interest(true, false);
  EXPECT_TRUE(poll_until(port_, [&] { return got.size() == sent.size(); }));
  EXPECT_EQ(got, sent);
  peer.close(true);
}

TEST_F(Lwip, ManyWhoSendWhatNobodyReadsLeaveFramesForOthers) {
  constexpr std::size_t kHogs = MEMP_NUM_TCP_PCB - 2;
  std::vector<Peer> hogs(kHogs);
  std::vector<SocketClient> clients;
  std::string text;
  for (int i = 0; text.size() < 20'000; ++i) text += std::to_string(i) + ' ';
  std::vector<std::size_t> sent(kHogs);
  for (Peer& hog : hogs) {
    clients.push_back(connect(hog));
    hog.transport->set_interest(false, false);
  }
  for (int round = 0; round < 10; ++round) {
    for (std::size_t i = 0; i < kHogs; ++i)
      sent[i] += clients[i].send(std::string_view(text).substr(sent[i]));
    poll_on(port_, 2);
  }
  EXPECT_GE(free_frames(), 4u);
  Peer peer;
  SocketClient client = connect(peer);
  client.send("a question");
  ASSERT_TRUE(poll_until(port_, [&] { return peer.readable > 0; }));
  EXPECT_EQ(peer.read(), "a question");
  EXPECT_TRUE(peer.write("an answer"));
  EXPECT_TRUE(poll_until(port_, [&] { return client.received() == "an answer"; }));
  peer.close(true);
  // Nothing of the others is lost, either. The kernel waits twice as long each time before it sends again
  // what was not taken, and they all come at once: so what counts is how often it did so in vain, and not the
  // time.
  static constexpr int kInVain = 7;
  std::vector<std::string> got(kHogs);
  for (std::size_t i = 0; i < kHogs; ++i) {
    hogs[i].when_readable = [&, i] { got[i] += hogs[i].read(); };
    hogs[i].transport->set_interest(true, false);
  }
  const auto all_came = [&] {
    bool all = true;
    for (std::size_t i = 0; i < kHogs; ++i) {
      sent[i] += clients[i].send(std::string_view(text).substr(sent[i]));
      all = all && got[i].size() >= text.size();
    }
    return all;
  };
  const auto is_under_way = [](const SocketClient& of) {
    return of.sent_in_vain().value_or(kInVain) < kInVain;
  };
  while (!poll_until(port_, all_came) && std::any_of(clients.begin(), clients.end(), is_under_way)) {
  }
  for (std::size_t i = 0; i < kHogs; ++i) {
    EXPECT_TRUE(got[i] == text) << i << ": " << got[i].size() << " of " << sent[i];
    hogs[i].close(false);
  }
}

TEST_F(Lwip, TheLastFramesAreForAcknowledgmentsAndForThoseInTheMiddleOfARequest) {
  Peer answered, asking, idle;
  SocketClient one = connect(answered), two = connect(asking), three = connect(idle);
  two.send("half of ");
  ASSERT_TRUE(poll_until(port_, [&] { return asking.readable > 0; }));
  EXPECT_EQ(asking.read(), "half of ");
  idle.transport->set_idle();
  const std::string answer(2000, 'a');
  EXPECT_EQ(answered.write(answer).value_or(0), answer.size());
  std::vector<pbuf*> taken;
  while (free_frames() > 2) taken.push_back(pbuf_alloc(PBUF_RAW, 1, PBUF_POOL));
  ASSERT_FALSE(taken.empty());

  one.send("next");  // together with the acknowledgment, perhaps
  three.send("new");
  two.send("a request");
  EXPECT_TRUE(poll_until(port_, [&] { return one.received() == answer && answered.transport->drained(); }));
  EXPECT_TRUE(poll_until(port_, [&] { return asking.readable > 1; }));
  EXPECT_EQ(asking.read(), "a request");
  poll_on(port_);
  EXPECT_EQ(answered.readable, 0);
  EXPECT_EQ(idle.readable, 0);

  for (pbuf* frame : taken) pbuf_free(frame);
  EXPECT_TRUE(poll_until(port_, [&] { return answered.readable > 0 && idle.readable > 0; }))
      << "they come again";
  EXPECT_EQ(answered.read(), "next");
  EXPECT_EQ(idle.read(), "new");
  for (Peer* peer : {&answered, &asking, &idle}) peer->close(true);
}

// Whoever has sent something that was cut off is not idle: nobody takes its place.
TEST_F(Lwip, WhoseBytesFoundNoFrameKeepsItsPlace) {
  std::vector<Peer> peers(MEMP_NUM_TCP_PCB);
  std::vector<SocketClient> clients;
  for (Peer& peer : peers) clients.push_back(connect(peer));
  peers[3].transport->set_idle();
  std::vector<pbuf*> taken;
  while (free_frames() > 2) taken.push_back(pbuf_alloc(PBUF_RAW, 1, PBUF_POOL));
  clients[3].send("x");
  poll_on(port_, 5);
  EXPECT_EQ(peers[3].readable, 0);
  for (pbuf* frame : taken) pbuf_free(frame);

  SocketClient newcomer(kLwipAddress, acceptor_.number(), 0);
  poll_on(port_);
  EXPECT_FALSE(newcomer.connected());
  EXPECT_EQ(peers[3].gone, 0);
  EXPECT_TRUE(poll_until(port_, [&] { return peers[3].readable > 0; }));
  for (Peer& peer : peers) peer.close(true);
}

TEST_F(Lwip, PressureIsThatOfThePools) {
  EXPECT_EQ(port_.pressure(), Pressure::none);
  std::vector<pbuf*> frames;
  const std::size_t all = free_frames();
  const auto take = [&](std::size_t left) {
    while (free_frames() > left) frames.push_back(pbuf_alloc(PBUF_RAW, 100, PBUF_POOL));
  };
  take(all / 4 - 1);
  EXPECT_EQ(port_.pressure(), Pressure::some);
  take(all / 8 - 1);
  EXPECT_EQ(port_.pressure(), Pressure::high);
  for (pbuf* frame : frames) pbuf_free(frame);
  EXPECT_EQ(port_.pressure(), Pressure::none);
  void* block = mem_malloc(MEM_SIZE * 15 / 16);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(port_.pressure(), Pressure::high);
  mem_free(block);
}

TEST_F(Lwip, AnInterfaceThatGoesAndComesIsTold) {
  struct Watcher final : NetworkEvents {
    void on_network_changed() noexcept override { ++told; }
    int told = 0;
  } watcher;
  Network& network = port_.network();
  const Endpoint local = acceptor_.listener->local();
  Endpoint every = local;
  every.address = {};
  network.watch(watcher);
  EXPECT_EQ(network.check_address(local), Error::none);
  EXPECT_EQ(network.check_address(every), Error::none);
  struct netif& interface = LwipWorld::board().interface();
  netif_set_link_down(&interface);
  port_.poller().poll(0ms);
  EXPECT_EQ(watcher.told, 1);
  EXPECT_EQ(network.check_address(local), Error::network_down);
  EXPECT_EQ(network.check_address(every), Error::network_down);
  netif_set_link_up(&interface);
  ip_addr_t kept = *netif_ip_addr4(&interface), other;
  ipaddr_aton("10.79.0.3", &other);
  netif_set_ipaddr(&interface, ip_2_ip4(&other));
  port_.poller().poll(0ms);
  EXPECT_GE(watcher.told, 2);
  EXPECT_EQ(network.check_address(local), Error::address_unavailable);
  EXPECT_EQ(network.check_address(every), Error::none);
  netif_set_ipaddr(&interface, ip_2_ip4(&kept));
  port_.poller().poll(0ms);
  EXPECT_EQ(network.check_address(local), Error::none);
  network.unwatch(watcher);
}

TEST_F(Lwip, AnAddressOfNobodyCannotBeListenedOn) {
  Acceptor other(port_);
  EXPECT_EQ(other.listen({.host = "10.79.0.77"}).error(), Error::address_unavailable);
  EXPECT_EQ(other.listen({.host = "::1"}).error(), Error::invalid) << "no IPv6 here";
  EXPECT_TRUE(other.listen({.host = ""}));
}

TEST_F(Lwip, FramesThatAreLostRepeatedAndOvertakenChangeNothing) {
  for (std::uint32_t seed = 1; seed <= 3; ++seed) {
    Peer peer;
    SocketClient client = connect(peer);
    LwipWorld::board().set_faults({.lost = 20, .repeated = 20, .delayed = 100, .delay = 3ms}, seed);
    const std::size_t lost = LwipWorld::board().lost();
    std::string up, down;
    for (int i = 0; up.size() < 60'000; ++i) {
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
    for (int i = 0; i < 2000; ++i) {
      sent += client.send(std::string_view(up).substr(sent));
      if (client.received().size() >= down.size() && got.size() >= up.size()) break;
      port_.poller().poll(5ms);
      if (i % 4 == 3) skip(50ms);  // lwIP is not in a hurry to send again
    }
    EXPECT_TRUE(client.received() == down) << seed << ": " << client.received().size();
    EXPECT_TRUE(got == up) << seed << ": " << got.size();
    EXPECT_GT(LwipWorld::board().lost(), lost) << "nothing was lost: this tests nothing";
    EXPECT_EQ(peer.gone, 0);
    LwipWorld::board().set_faults({});
    peer.close(true);
  }
}

}  // namespace
}  // namespace microdot_test
