#pragma once
// The systems that the conformance tests run on, with clients of the same shape. tests/lwip has another one.

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include <microdot/port/port.hpp>
#include <microdot/testing/sim_port.hpp>

namespace microdot_test {

using namespace microdot;
using namespace std::chrono_literals;

/// A client of a world's network.
class Client {
 public:
  virtual ~Client() = default;
  /// How many bytes were sent; the rest finds no room now.
  virtual std::size_t send(std::string_view bytes) = 0;
  virtual void shutdown_write() = 0;
  virtual void close() = 0;
  virtual void reset() = 0;
  virtual void stop_reading() = 0;
  virtual void start_reading() = 0;
  virtual const std::string& received() = 0;
  virtual bool ended() = 0;
  virtual bool was_reset() = 0;
  virtual std::uint16_t local_port() const = 0;
};

/// A plain socket.
class SocketClient final : public Client {
 public:
  /// Connected to the loopback.
  SocketClient(std::uint16_t port, bool v6 = false, int receive_buffer = 0) {
    open(v6 ? AF_INET6 : AF_INET, receive_buffer);
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    six.sin6_addr = in6addr_loopback;
    const int result = v6 ? ::connect(fd_, reinterpret_cast<sockaddr*>(&six), sizeof six)
                          : ::connect(fd_, reinterpret_cast<sockaddr*>(&v4), sizeof v4);
    refused_ = result != 0;
    fcntl(fd_, F_SETFL, O_NONBLOCK);
  }
  /// On its way to a server that this thread has to drive: until `connected`.
  SocketClient(const char* address, std::uint16_t port, int receive_buffer) {
    open(AF_INET, receive_buffer);
    fcntl(fd_, F_SETFL, O_NONBLOCK);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    inet_pton(AF_INET, address, &to.sin_addr);
    refused_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0 && errno != EINPROGRESS;
  }
  SocketClient(SocketClient&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), received_(std::move(other.received_)), refused_(other.refused_) {}
  ~SocketClient() {
    if (fd_ >= 0) ::close(fd_);
  }

  /// Whether it is settled if it could connect.
  bool connected() {
    pollfd ready{fd_, POLLOUT, 0};
    if (refused_ || ::poll(&ready, 1, 0) == 0) return refused_;
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length);
    refused_ = error != 0;
    return true;
  }
  std::size_t send(std::string_view bytes) override {
    const ssize_t size = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size < 0 && (errno == EPIPE || errno == ECONNRESET)) reset_ = true;
    return size < 0 ? 0 : static_cast<std::size_t>(size);
  }
  void shutdown_write() override { shutdown(fd_, SHUT_WR); }
  void close() override {
    ::close(fd_);
    fd_ = -1;
  }
  void reset() override {
    const linger now{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void stop_reading() override { reading_ = false; }
  void start_reading() override { reading_ = true; }
  const std::string& received() override {
    pump();
    return received_;
  }
  bool ended() override {
    pump();
    return ended_;
  }
  bool was_reset() override {
    pump();
    return reset_ || refused_;
  }
  int fd() const { return fd_; }
  /// How often in a row the kernel has sent in vain what is in flight; no value if nothing is: all has
  /// arrived, or the peer's window is closed.
  std::optional<int> sent_in_vain() const {
    tcp_info info{};
    socklen_t length = sizeof info;
    if (getsockopt(fd_, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 || info.tcpi_unacked == 0) return {};
    return info.tcpi_backoff;
  }
  std::uint16_t local_port() const override {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
    return ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port);
  }

 private:
  void open(int family, int receive_buffer) {
    fd_ = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer != 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  void pump() {
    char buffer[65536];
    while (reading_ && fd_ >= 0 && !ended_ && !reset_) {
      const ssize_t size = recv(fd_, buffer, sizeof buffer, 0);
      if (size > 0) {
        received_.append(buffer, static_cast<std::size_t>(size));
      } else if (size == 0) {
        ended_ = true;
      } else if (errno == ECONNRESET) {
        reset_ = true;
      } else {
        return;
      }
    }
  }

  int fd_ = -1;
  std::string received_;
  bool refused_ = false;
  bool reading_ = true;
  bool ended_ = false;
  bool reset_ = false;
};

/// A world is a port and clients of its network. What the tests have to know of it:
/// This one: the port of this build.
struct SystemWorld {
  using Client = SocketClient;
  static constexpr const char* kName = "system";
  static constexpr const char* kHost = "127.0.0.1";           // where to listen
  static constexpr const char* kClientAddress = "127.0.0.1";  // where clients are
  static constexpr std::size_t kConnections = 100;            // so many at once, at least
  static constexpr bool kThreads = true;  // time passes by itself, other threads are there
  static constexpr bool kExitSignals = true;
  static constexpr bool kWallClock = true;

  Port& port() { return system_port(); }
  void raise_exit_signal() { raise(SIGTERM); }
  /// What connections have taken and not given back.
  std::size_t in_use() {
    std::size_t count = 0;
    DIR* const descriptors = opendir("/proc/self/fd");
    while (readdir(descriptors) != nullptr) ++count;
    closedir(descriptors);
    return count;
  }
  Client connect(std::uint16_t number) { return Client(number); }
  /// A client whose peer can send a few kilobytes only until it reads.
  Client connect_narrow(std::uint16_t number) {
    Client client(number, false, 4096);
    client.stop_reading();
    return client;
  }
};

/// The simulator's client in the shape of `SocketClient`.
class SimulatedClient final : public Client {
 public:
  explicit SimulatedClient(SimClient client) : client_(std::move(client)) {}
  std::size_t send(std::string_view bytes) override {
    client_.send(bytes);
    return bytes.size();
  }
  void shutdown_write() override { client_.shutdown_write(); }
  void close() override { client_.close(); }
  void reset() override { client_.reset(); }
  void stop_reading() override { reading_ = false; }
  void start_reading() override { reading_ = true; }
  const std::string& received() override {
    if (reading_) {
      received_ += client_.received();
      client_.consume(client_.received().size());
    }
    return received_;
  }
  bool ended() override { return client_.ended(); }
  bool was_reset() override { return client_.was_reset(); }
  std::uint16_t local_port() const override { return client_.local().port; }
  SimClient& sim() { return client_; }

 private:
  SimClient client_;
  std::string received_;
  bool reading_ = true;
};

struct SimWorld {
  using Client = SimulatedClient;
  static constexpr const char* kName = "sim";
  static constexpr const char* kHost = "127.0.0.1";
  static constexpr const char* kClientAddress = "127.0.0.1";
  static constexpr std::size_t kConnections = 100;
  static constexpr bool kThreads = false;
  static constexpr bool kExitSignals = true;
  static constexpr bool kWallClock = true;

  explicit SimWorld(const SimOptions& options = {}) : sim(options) {}
  Port& port() { return sim; }
  void raise_exit_signal() { sim.raise_exit_signal(); }
  std::size_t in_use() { return sim.open_transports(); }
  Client connect(std::uint16_t number) { return Client(sim.connect(number)); }
  Client connect_narrow(std::uint16_t number) {
    Client client(sim.connect(number));
    client.sim().set_receive_window(5000);
    client.stop_reading();
    return client;
  }

  SimPort sim;
};

/// The simulator in the manner of lwIP: written bytes are referred to until they have arrived.
struct ReferringSimWorld : SimWorld {
  static constexpr const char* kName = "sim_referring";

  ReferringSimWorld() : SimWorld({.latency = 1ms, .refers_to_written_bytes = true}) {}
};

/// A server's connection that counts what it is told.
struct Peer final : TransportEvents {
  void on_readable() noexcept override {
    ++readable;
    if (when_readable) when_readable();
  }
  void on_writable() noexcept override {
    ++writable;
    if (when_writable) when_writable();
  }
  void on_gone() noexcept override {
    ++gone;
    if (when_gone) when_gone();
  }
  void on_released() noexcept override {
    ++released;
    transport = nullptr;
  }
  ~Peer() { EXPECT_EQ(transport, nullptr) << "a transport was left open"; }

  Result<std::size_t> write(std::string_view text) {
    const ConstBuffer piece{text.data(), text.size()};
    return transport->write({&piece, 1}, false);
  }
  /// What one read gives.
  std::string read() {
    char buffer[4096];
    const auto size = transport->read(buffer);
    last_error = size.error();
    return size ? std::string(buffer, *size) : std::string();
  }
  void close(bool abort = false) {
    if (transport->close(abort)) transport = nullptr;
  }

  alignas(void*) std::byte storage[kTransportBytes];
  Transport* transport = nullptr;
  int readable = 0, writable = 0, gone = 0, released = 0;
  Error last_error = Error::none;
  std::function<void()> when_readable, when_writable, when_gone;
};

struct Acceptor final : ListenerEvents {
  explicit Acceptor(Port& port) : port_(port) {}
  ~Acceptor() {
    if (listener != nullptr) listener->close();
  }
  void on_acceptable() noexcept override {
    ++acceptable;
    if (when_acceptable) when_acceptable();
  }
  Result<void> listen(const ListenOptions& options = {.host = "127.0.0.1"}) {
    auto made = port_.network().listen(options, storage, *this);
    if (!made) return made.error();
    listener = *made;
    return {};
  }
  Result<void> accept(Peer& peer) {
    auto accepted = listener->accept(peer.storage, peer);
    if (!accepted) return accepted.error();
    // Where its owner looks for it.
    EXPECT_EQ(static_cast<void*>(*accepted), static_cast<void*>(peer.storage));
    peer.transport = *accepted;
    return {};
  }
  std::uint16_t number() const { return listener->local().port; }

  alignas(void*) std::byte storage[kListenerBytes];
  Listener* listener = nullptr;
  int acceptable = 0;
  std::function<void()> when_acceptable;

 private:
  Port& port_;
};

/// Polls until `done`, for two seconds of the port's clock at most. True if it came.
template <typename Done>
bool poll_until(Port& port, Done done) {
  const TimePoint end = port.clock().now() + 2s;
  while (!done()) {
    if (port.clock().now() >= end) return false;
    port.poller().poll(2ms);
  }
  return true;
}

/// Polls often enough for anything that is on its way to come.
inline void poll_on(Port& port, int times = 30) {
  for (int i = 0; i < times; ++i) port.poller().poll(1ms);
}

}  // namespace microdot_test
