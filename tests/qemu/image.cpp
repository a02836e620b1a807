// The board's side of the conformance suite: its port, as protocol.hpp says. Bytes come and go by semihosting
// (ARM DUI 0471, chapter 8), while which the board stands still.

#include <lwip/stats.h>
#include <array>
#include <cstring>

#include <microdot/port/port.hpp>

#include "firmware.hpp"
#include "tests/qemu/protocol.hpp"

namespace microdot_test {
namespace {

using namespace microdot;

// ---- Semihosting -----------------------------------------------------------------------------------

int semihost(int operation, const void* arguments) noexcept {
  register int r0 asm("r0") = operation;
  register const void* r1 asm("r1") = arguments;
  asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

int open_pipe(const char* name, std::size_t size, int mode) noexcept {
  const std::uint32_t arguments[] = {reinterpret_cast<std::uintptr_t>(name), static_cast<std::uint32_t>(mode),
                                     size};
  const int handle = semihost(1, arguments);
  if (handle < 0) firmware::stop("no pipe");
  return handle;
}

/// Reads or writes all of it.
void transfer(int operation, int handle, std::uintptr_t at, std::uint32_t size) noexcept {
  while (size != 0) {
    const std::uint32_t arguments[] = {static_cast<std::uint32_t>(handle), at, size};
    const auto left = static_cast<std::uint32_t>(semihost(operation, arguments));
    if (left >= size) firmware::stop("the other side has gone");
    at += size - left;
    size = left;
  }
}

int from_tests, to_tests;

void receive(void* to, std::uint32_t size) noexcept {
  transfer(6, from_tests, reinterpret_cast<std::uintptr_t>(to), size);
}
void send(const void* from, std::uint32_t size) noexcept {
  transfer(5, to_tests, reinterpret_cast<std::uintptr_t>(from), size);
}

// ---- Objects ---------------------------------------------------------------------------------------

void serve(bool nested) noexcept;

void tell(Event event, std::uint8_t object) noexcept {
  const Reply reply{.event = event, .object = object};
  send(&reply, sizeof reply);
  serve(true);
}

struct RemoteListener final : ListenerEvents {
  void on_acceptable() noexcept override { tell(Event::acceptable, number()); }
  std::uint8_t number() const noexcept;

  alignas(void*) std::byte storage[kListenerBytes];
  Listener* listener = nullptr;
};
std::array<RemoteListener, kListeners> listeners;
std::uint8_t RemoteListener::number() const noexcept {
  return static_cast<std::uint8_t>(this - listeners.data());
}

struct RemoteTransport final : TransportEvents {
  void on_readable() noexcept override { tell(Event::readable, number()); }
  void on_writable() noexcept override { tell(Event::writable, number()); }
  void on_gone() noexcept override { tell(Event::gone, number()); }
  void on_released() noexcept override { tell(Event::released, number()); }
  std::uint8_t number() const noexcept;

  alignas(void*) std::byte storage[kTransportBytes];
  Transport* transport = nullptr;
};
std::array<RemoteTransport, kTransports> transports;
std::uint8_t RemoteTransport::number() const noexcept {
  return static_cast<std::uint8_t>(this - transports.data());
}

// Bytes of calls; those that a transport has taken stay where they are for long.
std::array<char, 1024 * 1024> bytes;
std::size_t bytes_used;

char* take_bytes(std::uint32_t size) noexcept {
  if (size > kMostBytes) firmware::stop("a call is too large");
  if (bytes.size() - bytes_used < size) bytes_used = 0;
  return bytes.data() + bytes_used;
}

Result<std::size_t> write(Transport& transport, const char* text, std::uint32_t size, bool more) noexcept {
  std::array<ConstBuffer, kMostPieces> pieces{};
  std::size_t count = 0;
  for (const char* at = text; at < text + size; ++count) {
    std::uint32_t piece;
    std::memcpy(&piece, at, sizeof piece);
    pieces[count] = {at + sizeof piece, piece};
    at += sizeof piece + piece;
  }
  bytes_used += size;
  return transport.write({pieces.data(), count}, more);
}

// ---- Calls -----------------------------------------------------------------------------------------

void answer(const Request& request, char* text) noexcept {
  Port& port = system_port();
  RemoteListener& listener = listeners[request.object % kListeners];
  RemoteTransport& transport = transports[request.object % kTransports];
  Reply reply;
  const auto with_bytes = [&](const void* from, std::size_t size) {
    std::memcpy(text, from, size);
    reply.size = static_cast<std::uint32_t>(size);
  };
  const auto with_count = [&](const Result<std::size_t>& count) {
    reply.error = static_cast<std::uint8_t>(count.error());
    reply.value = static_cast<std::int64_t>(count.value_or(0));
  };
  switch (request.call) {
    case Call::poll: port.poller().poll(Duration(request.value)); break;
    case Call::resume: return;
    case Call::now: reply.value = port.clock().now().time_since_epoch().count(); break;
    case Call::wake: port.poller().wake(); break;
    case Call::entropy:
      reply.size = static_cast<std::uint32_t>(request.value);
      port.entropy().fill({reinterpret_cast<unsigned char*>(text), reply.size});
      break;
    case Call::unix_seconds: reply.value = port.clock().unix_seconds(); break;
    case Call::in_use:
      reply.value = lwip_stats.mem.used;
      for (const int pool : {MEMP_PBUF, MEMP_PBUF_POOL, MEMP_TCP_SEG})
        reply.value += lwip_stats.memp[pool]->used;
      break;
    case Call::reserve_connections:
      with_count(port.network().reserve_connections(static_cast<std::size_t>(request.value)));
      break;
    case Call::check_address:
      reply.error = static_cast<std::uint8_t>(port.network().check_address(Endpoint{}));
      break;
    case Call::listen: {
      const auto made = port.network().listen({.host = {text, request.size},
                                               .port = static_cast<std::uint16_t>(request.value & 0xFFFF),
                                               .backlog = static_cast<int>(request.value >> 16)},
                                              listener.storage, listener);
      reply.error = static_cast<std::uint8_t>(made.error());
      listener.listener = made.value_or(nullptr);
      break;
    }
    case Call::accept: {
      RemoteTransport& made = transports[request.other % kTransports];
      const auto accepted = listener.listener->accept(made.storage, made);
      reply.error = static_cast<std::uint8_t>(accepted.error());
      made.transport = accepted.value_or(nullptr);
      break;
    }
    case Call::set_accepting: listener.listener->set_accepting(request.value != 0); break;
    case Call::local: {
      const Endpoint local = listener.listener->local();
      with_bytes(&local, sizeof local);
      break;
    }
    case Call::close_listener: listener.listener->close(); break;
    case Call::read: {
      with_count(transport.transport->read({text, static_cast<std::size_t>(request.value)}));
      reply.size = static_cast<std::uint32_t>(reply.value);
      break;
    }
    case Call::write: with_count(write(*transport.transport, text, request.size, request.value != 0)); break;
    case Call::undrained: with_count(transport.transport->undrained()); break;
    case Call::set_interest:
      transport.transport->set_interest((request.value & 1) != 0, (request.value & 2) != 0);
      break;
    case Call::set_idle: transport.transport->set_idle(); break;
    case Call::shutdown_write: transport.transport->shutdown_write(); break;
    case Call::close: reply.value = transport.transport->close(request.value != 0) ? 1 : 0; break;
    case Call::peer: {
      const Endpoint peer = transport.transport->peer();
      with_bytes(&peer, sizeof peer);
      break;
    }
  }
  send(&reply, sizeof reply);
  send(text, reply.size);
}

/// Answers calls: for ever, or until `resume`.
void serve(bool nested) noexcept {
  for (;;) {
    Request request;
    receive(&request, sizeof request);
    if (nested && request.call == Call::resume) return;
    char* const text = take_bytes(kMostBytes);
    receive(text, request.size);
    answer(request, text);
  }
}

}  // namespace
}  // namespace microdot_test

int main(int, char**) {
  using namespace microdot_test;
  from_tests = open_pipe(kToBoard, sizeof kToBoard - 1, 1);    // "rb"
  to_tests = open_pipe(kFromBoard, sizeof kFromBoard - 1, 5);  // "wb"
  serve(false);
}
