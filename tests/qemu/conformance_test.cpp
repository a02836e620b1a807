// The suite of every port (tests/port) on lwIP on a board in QEMU: the tests run here and use the board's
// port from afar; clients are this machine's sockets, beyond a tap device.
//
//   test_qemu QEMU IMAGE [OPTION OF GOOGLETEST]...     firmware/qemu and the image "port" for mps2-an385

#include <memory>

#include "remote_port.hpp"
#include "tests/lwip/tap_device.hpp"
#include "tests/port/worlds.hpp"

namespace microdot_test {
namespace {

constexpr const char* kBoardAddress = "192.168.1.200";  // MICRODOT_ADDRESS, where no DHCP server answers
constexpr const char* kKernelAddress = "192.168.1.1";

std::unique_ptr<RemotePort> board;

struct QemuWorld {
  using Client = SocketClient;
  static constexpr const char* kName = "qemu";
  static constexpr const char* kHost = kBoardAddress;
  static constexpr const char* kClientAddress = microdot_test::kKernelAddress;
  static constexpr std::size_t kConnections = 16;
  static constexpr bool kThreads = false;  // the board stands still while nobody calls it
  static constexpr bool kExitSignals = false;
  static constexpr bool kWallClock = false;

  Port& port() { return *board; }
  void raise_exit_signal() {}
  std::size_t in_use() { return board->in_use(); }
  Client connect(std::uint16_t number) { return connect(number, 0); }
  Client connect_narrow(std::uint16_t number) {
    Client client = connect(number, 4096);
    client.stop_reading();
    return client;
  }

 private:
  Client connect(std::uint16_t number, int receive_buffer) {
    Client client(kBoardAddress, number, receive_buffer);
    EXPECT_TRUE(poll_until(port(), [&] { return client.connected(); })) << "neither connected nor refused";
    return client;
  }
};

using Worlds = testing::Types<QemuWorld>;

}  // namespace
}  // namespace microdot_test

#include "tests/port/conformance.hpp"

int main(int argc, char** argv) {
  using namespace microdot_test;
  testing::InitGoogleTest(&argc, argv);
  if (argc != 3) {
    std::fputs("test_qemu QEMU IMAGE [OPTION OF GOOGLETEST]...\n", stderr);
    return 2;
  }
  const int tap = enter_network_namespace() ? open_tap(kKernelAddress) : -1;
  if (tap < 0) {
    std::puts("[  SKIPPED ] no network namespace or no tap device: run it as root");
    return 77;
  }
  board = std::make_unique<RemotePort>(argv[1], argv[2], tap);
  const TimePoint start = board->clock().now();
  while (!board->online()) {
    board->poller().poll(100ms);
    if (board->clock().now() - start > 20s) {
      std::puts("the board has no address");
      return 1;
    }
  }
  const int result = RUN_ALL_TESTS();
  board.reset();
  return result;
}
