#pragma once
// lwIP on a tap device for the tests of tests/port: clients are the kernel's sockets.

#include <lwip/stats.h>

#include "tap.hpp"
#include "tests/port/worlds.hpp"

namespace microdot_test {

/// lwIP has but one state, so all tests of a program share it.
struct LwipWorld {
  using Client = SocketClient;
  static constexpr const char* kName = "lwip";
  static constexpr const char* kHost = kLwipAddress;
  static constexpr const char* kClientAddress = kKernelAddress;
  static constexpr std::size_t kConnections = MEMP_NUM_TCP_PCB;
  static constexpr bool kThreads = true;
  static constexpr bool kExitSignals = false;
  static constexpr bool kWallClock = true;

  /// Before any world: false if this machine lets nobody make a tap device.
  static bool start();
  static TapBoard& board();
  static LwipPort& lwip();

  Port& port() { return lwip(); }
  void raise_exit_signal() {}
  Client connect(std::uint16_t number) { return connect(number, 0); }
  Client connect_narrow(std::uint16_t number) {
    Client client = connect(number, 4096);
    client.stop_reading();
    return client;
  }
  /// Pieces of lwIP's pools, but for connections in TIME_WAIT, and bytes of its heap.
  std::size_t in_use() {
    std::size_t count = lwip_stats.mem.used;
    for (const int pool : {MEMP_PBUF, MEMP_PBUF_POOL, MEMP_TCP_SEG}) count += lwip_stats.memp[pool]->used;
    return count;
  }

 private:
  Client connect(std::uint16_t number, int receive_buffer) {
    Client client(kLwipAddress, number, receive_buffer);
    EXPECT_TRUE(poll_until(port(), [&] { return client.connected(); })) << "neither connected nor refused";
    return client;
  }
};

}  // namespace microdot_test
