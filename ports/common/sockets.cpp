#include "sockets.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#if MICRODOT_HOSTED
#include <sys/resource.h>
#endif

#include "errors.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  bool both_families = false;

  void set_any_v4(std::uint16_t port) noexcept {
    auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
    v4 = {};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    length = sizeof v4;
    both_families = false;
  }
  void set_any(std::uint16_t port) noexcept {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
    v6 = {};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    length = sizeof v6;
    both_families = true;
  }
};

Endpoint to_endpoint(const sockaddr_storage& address) noexcept {
  Endpoint endpoint;
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    endpoint.family = Endpoint::Family::ipv4;
    endpoint.port = ntohs(v4.sin_port);
    std::memcpy(endpoint.address.data(), &v4.sin_addr, 4);
  } else if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    endpoint.family = Endpoint::Family::ipv6;
    endpoint.port = ntohs(v6.sin6_port);
    std::memcpy(endpoint.address.data(), &v6.sin6_addr, 16);
    endpoint = endpoint.unmapped();
  }
  return endpoint;
}

/// "127.0.0.1", "::1", "fe80::1%eth0": without the system's resolver, which takes from the heap. A server
/// that listens again must not.
bool parse_literal(char* name, std::uint16_t port, Address& address) noexcept {
  auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
  address.set_any_v4(port);
  if (inet_pton(AF_INET, name, &v4.sin_addr) == 1) return true;
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
  address.set_any(port);
  address.both_families = false;
  char* const scope = std::strchr(name, '%');
  if (scope != nullptr) {
    v6.sin6_scope_id = if_nametoindex(scope + 1);
    if (v6.sin6_scope_id == 0) return false;
    *scope = '\0';
  }
  const bool parsed = inet_pton(AF_INET6, name, &v6.sin6_addr) == 1;
  if (scope != nullptr) *scope = '%';
  return parsed;
}

Result<Address> resolve(std::string_view host, std::uint16_t port) noexcept {
  Address address;
  if (host.empty() || host == "::") {
    address.set_any(port);
    return address;
  }
  char name[256];
  if (host == "localhost") host = "127.0.0.1";
  if (host.size() >= sizeof name || host.find('\0') != host.npos) return Error::invalid;
  name[host.copy(name, host.size())] = '\0';
  if (parse_literal(name, port, address)) return address;
  char service[6];
  std::snprintf(service, sizeof service, "%u", static_cast<unsigned>(port));

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV | AI_NUMERICHOST;
  addrinfo* found = nullptr;
  int code = getaddrinfo(name, service, &hints, &found);
  if (code == EAI_NONAME) {
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    code = getaddrinfo(name, service, &hints, &found);
  }
  if (code == EAI_MEMORY) return Error::no_memory;
#ifdef EAI_SYSTEM
  if (code == EAI_SYSTEM && (errno == EMFILE || errno == ENFILE)) return Error::no_descriptors;
#endif
  if (code != 0) return Error::invalid;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.length = static_cast<socklen_t>(found->ai_addrlen);
  freeaddrinfo(found);
  return address;
}

// What a client does not take waits with us, where there are time-outs and rates, rather than in the system's
// memory: megabytes for each connection that is not read, which all programs share.
#ifdef TCP_NOTSENT_LOWAT
constexpr int kUnsentBytes = 128 * 1024;
#endif

void set_option(int fd, int level, int name, int value) noexcept {
  setsockopt(fd, level, name, &value, sizeof value);
}

#ifndef SOCK_NONBLOCK
bool set_flags(int fd) noexcept {
  fcntl(fd, F_SETFD, FD_CLOEXEC);  // a system without programs to execute knows none
  return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0;
}
#endif

int close_with(int fd, int number) noexcept {
  close(fd);
  errno = number;
  return -1;
}

/// -1 with errno.
int open_socket(int family) noexcept {
#ifdef SOCK_NONBLOCK
  return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
#else
  const int fd = socket(family, SOCK_STREAM, 0);
  return fd < 0 || set_flags(fd) ? fd : close_with(fd, errno);
#endif
}

/// Lets other listeners of this user have the same port, and the system divide connections among them.
void share_port(int fd) noexcept {
#if defined(SO_REUSEPORT_LB)  // FreeBSD, whose SO_REUSEPORT gives all to one
  set_option(fd, SOL_SOCKET, SO_REUSEPORT_LB, 1);
#elif defined(SO_REUSEPORT)
  set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
#else
  (void)fd;
#endif
}

// On Linux the first is bound alone, and shares the port afterwards: so it finds out whether another program
// has it, also one of the same user that would share it.
#ifdef __linux__
constexpr bool kSharesAfterBind = true;
#else
constexpr bool kSharesAfterBind = false;
#endif

int listen_on(const Address& address, const ListenOptions& options) noexcept {
  const int family = address.storage.ss_family;
  const int fd = open_socket(family);
  if (fd < 0) return -1;
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  // Accepted sockets inherit these.
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
#ifdef TCP_NOTSENT_LOWAT
  set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsentBytes);
#endif
  if (family == AF_INET6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, address.both_families ? 0 : 1);
  const bool alone_first = options.sharing == PortSharing::first && kSharesAfterBind;
  if (options.sharing != PortSharing::none && !alone_first) share_port(fd);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0)
    return close_with(fd, errno);
  if (alone_first) share_port(fd);
  if (listen(fd, options.backlog) != 0) return close_with(fd, errno);
  return fd;
}

template <typename Call>
Endpoint address_of(int fd, Call call) noexcept {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (call(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return {};
  return to_endpoint(address);
}

}  // namespace

Result<int> open_listener(const ListenOptions& options) noexcept {
  auto address = resolve(options.host, options.port);
  if (!address) return address.error();
  int fd = listen_on(*address, options);
  if (fd < 0 && address->both_families && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
    address->set_any_v4(options.port);  // a system without IPv6
    fd = listen_on(*address, options);
  }
  if (fd < 0) return listen_error(errno);
  return fd;
}

int accept_connection(int listener, Endpoint& peer) noexcept {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* const address = reinterpret_cast<sockaddr*>(&storage);
  int fd;
  do {
#if defined(SOCK_NONBLOCK)
    fd = accept4(listener, address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
    fd = accept(listener, address, &length);
#endif
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return -1;
#ifndef SOCK_NONBLOCK
  if (!set_flags(fd)) return close_with(fd, errno);
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);  // not every system's sockets inherit
#endif
#ifdef SO_NOSIGPIPE
  set_option(fd, SOL_SOCKET, SO_NOSIGPIPE, 1);  // where there is no MSG_NOSIGNAL
#endif
  peer = to_endpoint(storage);
  return fd;
}

Endpoint local_address(int fd) noexcept {
  return address_of(fd, [](auto... arguments) { return getsockname(arguments...); });
}

Endpoint peer_address(int fd) noexcept {
  return address_of(fd, [](auto... arguments) { return getpeername(arguments...); });
}

void reset_on_close(int fd) noexcept {
  const linger now{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

#if MICRODOT_HOSTED
std::size_t reserve_descriptors(std::size_t connections) noexcept {
  constexpr rlim_t kOthers = 64;  // the port's own, the program's, and files being opened
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return connections;
  const rlim_t wanted = 2 * rlim_t{connections} + kOthers;  // each connection may be sending a file
  if (limit.rlim_cur < wanted) {
    rlimit raised = limit;
    raised.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  const rlim_t possible = limit.rlim_cur > 2 * kOthers ? limit.rlim_cur - kOthers : limit.rlim_cur / 2;
  return possible < connections ? static_cast<std::size_t>(possible) : connections;
}
#endif

}  // namespace microdot::inline MICRODOT_ABI
