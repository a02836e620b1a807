#pragma once
// What every port promises (the comments of port.hpp and network.hpp), as one suite for all of them. Included
// by one source of each program, which defines `Worlds` before: the `testing::Types` of those it has.

#include <algorithm>
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

}  // namespace
}  // namespace microdot_test

#include "conformance_bytes.hpp"
#include "conformance_ends.hpp"
#include "conformance_events.hpp"
#include "conformance_listener.hpp"
