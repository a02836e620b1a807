#include "remote_port.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <new>

namespace microdot_test {
namespace {

constexpr int kPatience = 60'000;  // milliseconds without a word from the board

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "the board in QEMU: %s\n", what);
  std::abort();
}

template <typename Object, std::size_t kSize>
std::uint8_t free_place(const std::array<Object*, kSize>& objects) {
  const auto place = std::find(objects.begin(), objects.end(), nullptr);
  if (place == objects.end()) fail("no place for another object");
  return static_cast<std::uint8_t>(place - objects.begin());
}

}  // namespace

class RemoteListener final : public Listener {
 public:
  RemoteListener(RemotePort& port, std::uint8_t number, ListenerEvents& listener_events)
      : events(listener_events), port_(port), number_(number) {
    port_.listeners[number_] = this;
  }
  Result<Transport*> accept(void* storage, TransportEvents& transport_events) noexcept override {
    return port_.accept(number_, storage, transport_events);
  }
  void set_accepting(bool on) noexcept override {
    port_.call({.call = Call::set_accepting, .object = number_, .value = on});
  }
  Endpoint local() const noexcept override {
    return port_.endpoint({.call = Call::local, .object = number_});
  }
  void close() noexcept override {
    port_.call({.call = Call::close_listener, .object = number_});
    port_.listeners[number_] = nullptr;
    this->~RemoteListener();
  }

  ListenerEvents& events;

 private:
  RemotePort& port_;
  std::uint8_t number_;
};
static_assert(sizeof(RemoteListener) <= kListenerBytes);

class RemoteTransport final : public Transport {
 public:
  RemoteTransport(RemotePort& port, std::uint8_t number, TransportEvents& transport_events)
      : events(transport_events), port_(port), number_(number) {
    port_.transports[number_] = this;
  }
  Result<std::size_t> read(std::span<char> buffer) noexcept override {
    const auto most = static_cast<std::int64_t>(std::min<std::size_t>(buffer.size(), kMostBytes));
    auto size = port_.count({.call = Call::read, .object = number_, .value = most});
    if (size) std::copy_n(port_.answered().begin(), *size, buffer.begin());
    return size;
  }
  Result<std::size_t> write(std::span<const ConstBuffer> pieces, bool more) noexcept override {
    std::string bytes;
    for (const ConstBuffer& piece : pieces) {
      // The board takes no more than a connection's buffer anyway.
      const std::size_t room = kMostBytes - bytes.size() - 8;
      const auto size = static_cast<std::uint32_t>(std::min(piece.size, room));
      char head[sizeof size];
      std::memcpy(head, &size, sizeof size);
      bytes.append(head, sizeof head).append(piece.data, size);
      if (size < piece.size) {
        more = true;
        break;
      }
    }
    return port_.count({.call = Call::write, .object = number_, .value = more}, bytes);
  }
  std::size_t undrained() const noexcept override {
    return port_.count({.call = Call::undrained, .object = number_}).value_or(0);
  }
  void set_interest(bool read, bool write) noexcept override {
    port_.call({.call = Call::set_interest, .object = number_, .value = (read ? 1 : 0) + (write ? 2 : 0)});
  }
  void set_idle() noexcept override { port_.call({.call = Call::set_idle, .object = number_}); }
  void shutdown_write() noexcept override { port_.call({.call = Call::shutdown_write, .object = number_}); }
  bool close(bool abort) noexcept override {
    const bool done = port_.call({.call = Call::close, .object = number_, .value = abort}).value != 0;
    if (done) destroy();
    return done;
  }
  Endpoint peer() const noexcept override { return port_.endpoint({.call = Call::peer, .object = number_}); }
  void destroy() {
    port_.transports[number_] = nullptr;
    this->~RemoteTransport();
  }

  TransportEvents& events;

 private:
  RemotePort& port_;
  std::uint8_t number_;
};
static_assert(sizeof(RemoteTransport) <= kTransportBytes);

RemotePort::RemotePort(const std::string& qemu, const std::string& image, int tap) {
  char folder[] = "/tmp/microdot_qemu.XXXXXX";
  if (mkdtemp(folder) == nullptr) fail("no folder for its pipes");
  const auto make_pipe = [&](const char* name) {
    const std::string path = std::string(folder) + "/" + name;
    if (mkfifo(path.c_str(), 0600) != 0) fail("no pipe");
    return ::open(path.c_str(), O_RDWR | O_CLOEXEC);  // both ways, so that neither side waits for the other
  };
  to_board_ = make_pipe(kToBoard);
  from_board_ = make_pipe(kFromBoard);
  const std::string network = "tap,id=tap,fd=" + std::to_string(tap);
  const char* const arguments[] = {qemu.c_str(),
                                   "mps2-an385",
                                   image.c_str(),
                                   "none",
                                   "-netdev",
                                   network.c_str(),
                                   "-netdev",
                                   "hubport,id=tap_hub,hubid=0,netdev=tap",
                                   "-semihosting-config",
                                   "enable=on,target=native",
                                   nullptr};
  qemu_ = fork();
  if (qemu_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int nothing = ::open("/dev/null", O_RDWR);
    dup2(nothing, STDIN_FILENO);
    if (getenv("MICRODOT_UART") == nullptr) dup2(nothing, STDOUT_FILENO);
    fcntl(tap, F_SETFD, 0);
    if (chdir(folder) == 0) execv(qemu.c_str(), const_cast<char* const*>(arguments));
    _exit(127);
  }
  call({.call = Call::now});  // it has opened its pipes
  std::filesystem::remove_all(folder);
}

RemotePort::~RemotePort() {
  kill(qemu_, SIGKILL);  // it may wait for a call, and hear nothing else
  waitpid(qemu_, nullptr, 0);
  ::close(to_board_);
  ::close(from_board_);
}

void RemotePort::transfer(bool out, void* at, std::size_t size) {
  for (auto* place = static_cast<char*>(at); size != 0;) {
    pollfd ready{out ? to_board_ : from_board_, static_cast<short>(out ? POLLOUT : POLLIN), 0};
    if (::poll(&ready, 1, kPatience) != 1) fail("it does not answer");
    const ssize_t done = out ? ::write(to_board_, place, size) : ::read(from_board_, place, size);
    if (done <= 0) fail("it has ended");
    place += done;
    size -= static_cast<std::size_t>(done);
  }
}

Reply RemotePort::call(Request request, std::string_view bytes) {
  request.size = static_cast<std::uint32_t>(bytes.size());
  transfer(true, &request, sizeof request);
  transfer(true, const_cast<char*>(bytes.data()), bytes.size());
  if (request.call == Call::resume) return {};
  for (;;) {
    Reply reply;
    transfer(false, &reply, sizeof reply);
    if (reply.event == Event::none) {
      answered_.resize(reply.size);
      transfer(false, answered_.data(), reply.size);
      return reply;
    }
    tell(reply);
    call({.call = Call::resume});
  }
}

void RemotePort::tell(const Reply& event) {
  if (event.event == Event::acceptable) return listeners[event.object]->events.on_acceptable();
  RemoteTransport& transport = *transports[event.object];
  TransportEvents& events = transport.events;
  switch (event.event) {
    case Event::readable: return events.on_readable();
    case Event::writable: return events.on_writable();
    case Event::gone: return events.on_gone();
    default: transport.destroy(); return events.on_released();
  }
}

Result<std::size_t> RemotePort::count(const Request& request, std::string_view bytes) {
  const Reply reply = call(request, bytes);
  if (reply.error != 0) return Error(reply.error);
  return static_cast<std::size_t>(reply.value);
}

Endpoint RemotePort::endpoint(const Request& request) {
  call(request);
  Endpoint result;
  static_assert(std::is_trivially_copyable_v<Endpoint>);
  std::memcpy(&result, answered_.data(), sizeof result);
  return result;
}

Result<Listener*> RemotePort::listen(const ListenOptions& options, void* storage,
                                     ListenerEvents& events) noexcept {
  const std::uint8_t number = free_place(listeners);
  const Reply reply = call(
      {.call = Call::listen, .object = number, .value = options.port | std::int64_t{options.backlog} << 16},
      options.host);
  if (reply.error != 0) return Error(reply.error);
  return static_cast<Listener*>(::new (storage) RemoteListener(*this, number, events));
}

Result<Transport*> RemotePort::accept(std::uint8_t listener, void* storage, TransportEvents& events) {
  const std::uint8_t number = free_place(transports);
  const Reply reply = call({.call = Call::accept, .object = listener, .other = number});
  if (reply.error != 0) return Error(reply.error);
  return static_cast<Transport*>(::new (storage) RemoteTransport(*this, number, events));
}

std::size_t RemotePort::reserve_connections(std::size_t connections) noexcept {
  return count({.call = Call::reserve_connections, .value = static_cast<std::int64_t>(connections)})
      .value_or(0);
}

void RemotePort::fill(std::span<unsigned char> bytes) noexcept {
  call({.call = Call::entropy, .value = static_cast<std::int64_t>(bytes.size())});
  std::copy(answered_.begin(), answered_.end(), bytes.begin());
}

}  // namespace microdot_test
