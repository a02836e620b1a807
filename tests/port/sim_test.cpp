// What tests that use the simulator rely on.

#include <vector>

#include "worlds.hpp"

namespace microdot_test {
namespace {

/// Writes what happens, so that two runs can be compared.
class SimTest : public testing::Test {
 protected:
  struct Server {
    explicit Server(SimPort& port) : acceptor(port) { EXPECT_TRUE(acceptor.listen({.port = 80})); }
    Acceptor acceptor;
    Peer peer;
    std::vector<std::string> pieces;

    void accept(SimPort& sim) {
      ASSERT_TRUE(poll_until(sim, [&] { return bool(acceptor.accept(peer)); }));
      peer.when_readable = [this] { pieces.push_back(peer.read()); };
    }
    ~Server() {
      if (peer.transport != nullptr) peer.close(true);
    }
  };
};

TEST_F(SimTest, EverySendIsAPieceOfItsOwn) {
  SimPort sim;
  Server server(sim);
  SimClient client = sim.connect(80);
  client.send("one");
  client.send("two");
  client.set_segment_sizes({1, 3});
  client.send("abcdefgh");
  client.set_segment_size(2);
  client.send("12345");
  client.shutdown_write();
  server.accept(sim);
  poll_on(sim);
  // "one" and perhaps more came before accept, as in a kernel's buffer; from then on nothing is joined.
  std::string all;
  for (const auto& piece : server.pieces) all += piece;
  EXPECT_EQ(all, "onetwoabcdefgh12345");
  ASSERT_GE(server.pieces.size(), 7u);
  const std::vector<std::string> end(server.pieces.end() - 7, server.pieces.end());
  EXPECT_EQ(end, (std::vector<std::string>{"a", "bcd", "efgh", "12", "34", "5", ""}));
}

TEST_F(SimTest, ThePortBelongsToNobody) {
  SimPort sim;
  SimClient client = sim.connect(81);
  EXPECT_TRUE(client.was_reset());
  EXPECT_FALSE(client.accepted());
  client.send("x");
  EXPECT_TRUE(sim.idle());
}

TEST_F(SimTest, ADeadlockIsSeen) {
  SimPort sim;
  Server server(sim);
  EXPECT_FALSE(sim.stuck());
  sim.poller().poll(-1us);
  EXPECT_TRUE(sim.stuck());
  SimClient client = sim.connect(80);
  EXPECT_FALSE(sim.idle());
  sim.poller().poll(-1us);
  EXPECT_FALSE(sim.stuck());
  server.accept(sim);
  EXPECT_TRUE(client.accepted());
  sim.poller().poll(-1us);
  EXPECT_TRUE(sim.stuck());
  EXPECT_TRUE(sim.idle());
}

TEST_F(SimTest, TimeMovesToTheNextEventOrByTheTimeout) {
  SimPort sim({.unix_seconds = 1000, .latency = 30ms});
  Server server(sim);
  const TimePoint start = sim.clock().now();
  SimClient client = sim.connect(80);
  sim.poller().poll(10ms);
  EXPECT_EQ(sim.clock().now() - start, 10ms);
  sim.poller().poll(100ms);
  EXPECT_EQ(sim.clock().now() - start, 30ms);
  EXPECT_EQ(server.acceptor.acceptable, 1);
  server.accept(sim);
  client.send("ping");
  sim.poller().poll(-1us);
  EXPECT_EQ(sim.clock().now() - start, 60ms);
  EXPECT_EQ(server.pieces, std::vector<std::string>{"ping"});
  ASSERT_TRUE(server.peer.write("pong"));
  EXPECT_EQ(client.received(), "");
  sim.poller().poll(1h);
  EXPECT_EQ(sim.clock().now() - start, 90ms);
  EXPECT_EQ(client.received(), "pong");
  sim.poller().poll(1h);
  EXPECT_EQ(sim.clock().now() - start, 1h + 90ms);
  EXPECT_EQ(sim.clock().unix_seconds(), 1000 + 3600);
  sim.set_unix_seconds(5);
  sim.advance(1500ms);
  EXPECT_EQ(sim.clock().unix_seconds(), 6);
}

TEST_F(SimTest, ASpinDoesNotStopTheClock) {
  SimPort sim({.latency = 50ms});
  Server server(sim);
  SimClient client = sim.connect(80);
  for (int i = 0; i < 10'000 && server.acceptor.acceptable == 0; ++i) sim.poller().poll(0ms);
  EXPECT_GT(server.acceptor.acceptable, 0);
  server.accept(sim);
}

TEST_F(SimTest, TheWindowIsTheClients) {
  SimPort sim({.receive_window = 10});
  Server server(sim);
  SimClient client = sim.connect(80);
  server.accept(sim);
  EXPECT_EQ(server.peer.write("0123456789abcdef").value_or(0), 10u);
  EXPECT_EQ(server.peer.write("x").error(), Error::would_block);
  server.peer.transport->set_interest(true, true);
  poll_on(sim, 3);
  EXPECT_EQ(server.peer.writable, 0);
  client.consume(4);
  sim.poller().poll(0ms);
  EXPECT_EQ(server.peer.writable, 1);
  EXPECT_EQ(server.peer.write("abcdef").value_or(0), 4u);
  EXPECT_EQ(client.received(), "456789abcd");
  client.set_receive_window(12);
  EXPECT_EQ(server.peer.write("ef!").value_or(0), 2u);
}

TEST_F(SimTest, BytesAreReferredToUntilTheyArrive) {
  SimPort sim({.latency = 5ms, .refers_to_written_bytes = true});
  Server server(sim);
  SimClient client = sim.connect(80);
  server.accept(sim);
  std::string bytes = "right";
  ASSERT_TRUE(server.peer.write(bytes));
  EXPECT_FALSE(server.peer.transport->drained());
  bytes = "wrong";
  poll_on(sim, 10);
  EXPECT_EQ(client.received(), "wrong") << "a program that changes them too early is found out";
  EXPECT_TRUE(server.peer.transport->drained());

  ASSERT_TRUE(server.peer.write("last"));
  server.peer.close();
  EXPECT_NE(server.peer.transport, nullptr) << "not released yet";
  EXPECT_EQ(sim.open_transports(), 1u);
  poll_on(sim, 10);
  EXPECT_EQ(server.peer.released, 1);
  EXPECT_EQ(sim.open_transports(), 0u);
  client.consume(5);
  EXPECT_EQ(client.received(), "last");
  EXPECT_TRUE(client.ended());
}

TEST_F(SimTest, AResetReleasesWhatWasReferredTo) {
  SimPort sim({.latency = 5ms, .refers_to_written_bytes = true});
  Server server(sim);
  SimClient client = sim.connect(80);
  server.accept(sim);
  client.set_receive_window(100);
  ASSERT_TRUE(server.peer.write("never arrives"));
  client.reset();
  server.peer.close();
  poll_on(sim, 10);
  EXPECT_EQ(server.peer.released, 1);
}

struct Faults final : SimFaults {
  std::size_t read_limit(unsigned, std::size_t) noexcept override { return reads; }
  std::size_t write_limit(unsigned, std::size_t offered) noexcept override {
    return blocks_once ? (blocks_once = false, 0) : std::min(offered, writes);
  }
  Duration delay(unsigned, SimDirection direction) noexcept override {
    return direction == SimDirection::to_client ? stall : Duration::zero();
  }
  std::uint64_t reset_after(unsigned, SimDirection direction) noexcept override {
    return direction == SimDirection::to_server ? in : out;
  }
  Error on_listen(std::uint16_t) noexcept override { return std::exchange(listen, Error::none); }
  Error on_accept(unsigned) noexcept override { return std::exchange(accept, Error::none); }
  Error on_open(std::string_view) noexcept override { return std::exchange(open, Error::none); }

  std::size_t reads = SIZE_MAX, writes = SIZE_MAX;
  bool blocks_once = false;
  Duration stall = Duration::zero();
  std::uint64_t in = kNever, out = kNever;
  Error listen = Error::none, accept = Error::none, open = Error::none;
};

TEST_F(SimTest, FaultsLimitReadsAndWrites) {
  Faults faults;
  faults.reads = 2;
  faults.writes = 3;
  SimPort sim({.faults = &faults});
  Server server(sim);
  SimClient client = sim.connect(80);
  server.accept(sim);
  client.send("hello");
  poll_on(sim, 10);
  EXPECT_EQ(server.pieces, (std::vector<std::string>{"he", "ll", "o"}));
  EXPECT_EQ(server.peer.write("hello").value_or(0), 3u);
  faults.blocks_once = true;
  EXPECT_EQ(server.peer.write("lo").error(), Error::would_block);
  server.peer.transport->set_interest(true, true);
  poll_on(sim, 1);
  EXPECT_EQ(server.peer.writable, 1) << "the news follows";
  EXPECT_EQ(server.peer.write("lo").value_or(0), 2u);
  EXPECT_EQ(client.received(), "hello");
}

TEST_F(SimTest, FaultsStallInOrder) {
  Faults faults;
  SimPort sim({.faults = &faults});
  Server server(sim);
  SimClient client = sim.connect(80);
  server.accept(sim);
  faults.stall = 1s;
  ASSERT_TRUE(server.peer.write("slow "));
  faults.stall = 0s;
  ASSERT_TRUE(server.peer.write("fast"));
  EXPECT_EQ(client.received(), "");
  const TimePoint start = sim.clock().now();
  while (client.received().size() < 9 && !sim.stuck()) sim.poller().poll(-1us);
  EXPECT_EQ(client.received(), "slow fast");
  EXPECT_EQ(sim.clock().now() - start, 1s);
}

TEST_F(SimTest, FaultsResetAtAnyByte) {
  for (std::uint64_t at = 0; at <= 6; ++at) {
    Faults faults;
    faults.out = at;
    SimPort sim({.faults = &faults});
    Server server(sim);
    SimClient client = sim.connect(80);
    server.accept(sim);
    std::size_t sent = 0;
    Error error = Error::none;
    for (int i = 0; i < 3 && error == Error::none; ++i) {
      const auto taken = server.peer.write(std::string_view("sixsix").substr(sent));
      error = taken.error();
      if (taken) sent += *taken;
      if (sent == 6) break;
      poll_on(sim, 3);
    }
    EXPECT_EQ(client.received().size(), at);
    EXPECT_EQ(client.was_reset(), at < 6) << at;
    EXPECT_EQ(server.peer.gone, at < 6 ? (at == 0 ? server.peer.gone : 1) : 0);
  }
  for (std::uint64_t at = 0; at < 6; ++at) {
    Faults faults;
    faults.in = at;
    SimPort sim({.faults = &faults});
    Server server(sim);
    SimClient client = sim.connect(80);
    server.accept(sim);
    client.send("sixsix");
    poll_on(sim, 3);
    std::string all;
    for (const auto& piece : server.pieces) all += piece;
    EXPECT_EQ(all.size(), at);
    EXPECT_EQ(server.peer.gone, 1);
    EXPECT_TRUE(client.was_reset());
  }
}

TEST_F(SimTest, BothSidesAreToldOfAResetHoweverFarTheyAreApart) {
  for (const bool of_answer : {false, true}) {
    for (const bool server_aborts : {false, true}) {
      Faults faults;
      (of_answer ? faults.out : faults.in) = 3;
      SimPort sim({.latency = 5ms, .faults = &faults});
      Server server(sim);
      SimClient client = sim.connect(80);
      server.accept(sim);
      if (of_answer) {
        EXPECT_EQ(server.peer.write("sixsix").value_or(0), 3u);
      } else {
        client.send("sixsix");
      }
      if (server_aborts) server.peer.close(true);
      while (!client.closed() && !sim.stuck()) sim.poller().poll(-1us);
      EXPECT_TRUE(client.was_reset()) << of_answer << server_aborts;
      if (!server_aborts) {
        while (server.peer.gone == 0 && !sim.stuck()) sim.poller().poll(-1us);
        EXPECT_EQ(server.peer.gone, 1) << of_answer;
      }
    }
  }
}

TEST_F(SimTest, FaultsOfReadingFiles) {
  struct FileFaults final : SimFaults {
    std::size_t file_read_limit(std::size_t available) noexcept override {
      return std::min(available, limit);
    }
    Duration file_read_time(std::size_t) noexcept override { return time; }
    std::size_t limit = SIZE_MAX;
    Duration time = Duration::zero();
  } faults;
  SimPort sim({.faults = &faults});
  sim.add_file("f", "content");
  const Result<File> file = sim.files().open("", "f");
  ASSERT_TRUE(file);
  char buffer[16];
  EXPECT_EQ(file->read(0, buffer).value_or(0), 7u);
  faults.limit = 3;
  EXPECT_EQ(file->read(5, buffer).value_or(0), 2u);
  EXPECT_EQ(file->read(0, buffer).value_or(0), 3u);
  faults.limit = 0;
  EXPECT_EQ(file->read(0, buffer).error(), Error::io);
  EXPECT_EQ(file->read(7, buffer).value_or(1), 0u) << "the end is no failure";
  faults.limit = SIZE_MAX;
  faults.time = 50ms;
  const TimePoint before = sim.clock().now();
  EXPECT_EQ(file->read(0, buffer).value_or(0), 7u);
  EXPECT_EQ(sim.clock().now() - before, 50ms);
}

TEST_F(SimTest, FaultsOfListenAcceptAndOpen) {
  Faults faults;
  SimPort sim({.faults = &faults});
  sim.add_file("f", "x");
  faults.open = Error::no_descriptors;
  EXPECT_EQ(sim.files().open("", "f").error(), Error::no_descriptors);
  EXPECT_TRUE(sim.files().open("", "f"));
  Acceptor acceptor(sim);
  faults.listen = Error::network_down;
  EXPECT_EQ(acceptor.listen({.port = 80}).error(), Error::network_down);
  ASSERT_TRUE(acceptor.listen({.port = 80}));
  SimClient one = sim.connect(80), two = sim.connect(80);
  poll_on(sim, 2);
  Peer peer;
  faults.accept = Error::no_descriptors;
  EXPECT_EQ(acceptor.accept(peer).error(), Error::no_descriptors);
  faults.accept = Error::closed;
  EXPECT_EQ(acceptor.accept(peer).error(), Error::closed);
  EXPECT_TRUE(one.was_reset());
  ASSERT_TRUE(acceptor.accept(peer));
  EXPECT_TRUE(two.accepted());
  peer.close();
}

TEST_F(SimTest, WhileTheInterfaceIsDownNothingArrives) {
  SimPort sim({.latency = 10ms});
  Server server(sim);
  SimClient client = sim.connect(80);
  server.accept(sim);
  client.send("before");
  sim.set_network(false);
  ASSERT_TRUE(server.peer.write("answer"));
  SimClient late = sim.connect(80);
  poll_on(sim, 100);
  EXPECT_EQ(client.received(), "");
  EXPECT_TRUE(server.pieces.empty());
  EXPECT_FALSE(late.closed());
  Peer peer;
  EXPECT_EQ(server.acceptor.accept(peer).error(), Error::network_down);
  Acceptor other(sim);
  EXPECT_EQ(other.listen({.port = 81}).error(), Error::network_down);
  sim.set_network(true);
  poll_on(sim, 20);
  EXPECT_EQ(client.received(), "answer");
  EXPECT_EQ(server.pieces, std::vector<std::string>{"before"});
  ASSERT_TRUE(server.acceptor.accept(peer));
  EXPECT_TRUE(late.accepted());
  peer.close();
}

TEST_F(SimTest, AChangeOfTheAddressIsToldAndEndsConnections) {
  struct Told final : NetworkEvents {
    void on_network_changed() noexcept override { ++changes; }
    int changes = 0;
  } watcher;
  SimPort sim;
  sim.network().watch(watcher);
  Server server(sim);
  SimClient client = sim.connect(80);
  server.accept(sim);
  sim.set_address("10.0.0.1");
  sim.set_address("10.0.0.1");
  poll_on(sim, 3);
  EXPECT_EQ(watcher.changes, 1);
  EXPECT_EQ(server.peer.gone, 1);
  EXPECT_TRUE(client.was_reset());
  Acceptor here(sim), elsewhere(sim), loopback(sim);
  EXPECT_TRUE(here.listen({.host = "10.0.0.1", .port = 81}));
  EXPECT_TRUE(loopback.listen({.host = "127.0.0.1", .port = 82}));
  EXPECT_EQ(elsewhere.listen({.host = "10.0.0.2", .port = 83}).error(), Error::address_unavailable);
  sim.set_address("");
  EXPECT_EQ(sim.network().check_address(here.listener->local()), Error::address_unavailable);
  Peer peer;
  EXPECT_EQ(here.accept(peer).error(), Error::address_unavailable);
  sim.network().unwatch(watcher);
  poll_on(sim, 3);
  EXPECT_EQ(watcher.changes, 1);
}

TEST_F(SimTest, TheSameSeedIsTheSameRun) {
  const auto draw = [](std::uint64_t seed) {
    SimPort sim({.seed = seed});
    return std::vector<std::uint64_t>{sim.random(), sim.random(), sim.random()};
  };
  EXPECT_EQ(draw(7), draw(7));
  EXPECT_NE(draw(7), draw(8));
}

TEST_F(SimTest, KeepsTheLog) {
  SimPort sim;
  sim.log().write(LogLevel::info, "one");
  sim.log().write(LogLevel::error, "two");
  EXPECT_EQ(sim.log_text(), "one\ntwo\n");
  sim.clear_log();
  EXPECT_EQ(sim.log_text(), "");
}

TEST_F(SimTest, AClientThatIsDroppedCloses) {
  SimPort sim;
  Server server(sim);
  { SimClient client = sim.connect(80); }
  server.accept(sim);
  poll_on(sim, 3);
  EXPECT_EQ(server.pieces, std::vector<std::string>{""}) << "a FIN";
  ASSERT_TRUE(server.peer.write("to nobody"));
  poll_on(sim, 3);
  EXPECT_EQ(server.peer.gone, 1) << "answered with a reset";
}

}  // namespace
}  // namespace microdot_test
