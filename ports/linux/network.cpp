#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

#include "sockets.hpp"

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

/// Names beyond "localhost" ask the system's resolver, which may wait: only when a server starts.
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
  if (code == EAI_SYSTEM && (errno == EMFILE || errno == ENFILE)) return Error::no_descriptors;
  if (code != 0) return Error::invalid;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.length = found->ai_addrlen;
  freeaddrinfo(found);
  return address;
}

Error listen_error(int number) noexcept {
  switch (number) {
    case EADDRINUSE: return Error::address_in_use;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case ENODEV: return Error::address_unavailable;
    case EACCES:
    case EPERM: return Error::permission;
    case EMFILE:
    case ENFILE: return Error::no_descriptors;
    case ENOBUFS:
    case ENOMEM: return Error::no_memory;
    case ENETDOWN: return Error::network_down;
    case EINVAL: return Error::invalid;
    default: return Error::io;
  }
}

// What a client does not take waits with us, where there are time-outs and rates, rather than in the system's
// memory: megabytes for each connection that is not read, which all programs share.
constexpr int kUnsentBytes = 128 * 1024;

void set_option(int fd, int level, int name, int value) noexcept {
  setsockopt(fd, level, name, &value, sizeof value);
}

/// A listening socket, or -1 with errno.
int open_listener(const Address& address, int backlog) noexcept {
  const int family = address.storage.ss_family;
  const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  // Accepted sockets inherit these.
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsentBytes);
  if (family == AF_INET6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, address.both_families ? 0 : 1);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0 ||
      listen(fd, backlog) != 0) {
    const int number = errno;
    close(fd);
    errno = number;
    return -1;
  }
  return fd;
}

}  // namespace

Result<Listener*> LinuxNetwork::listen(const ListenOptions& options, void* storage,
                                       ListenerEvents& events) noexcept {
  if (const auto opened = poller_->open(); !opened) return opened.error();
  auto address = resolve(options.host, options.port);
  if (!address) return address.error();
  int fd = open_listener(*address, options.backlog);
  if (fd < 0 && address->both_families && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
    address->set_any_v4(options.port);  // a system without IPv6
    fd = open_listener(*address, options.backlog);
  }
  if (fd < 0) return listen_error(errno);
  auto* listener = ::new (storage) LinuxListener(*poller_, events, fd);
  if (const auto added = poller_->add(fd, *listener, EPOLLIN); !added) {
    listener->close();
    return added.error();
  }
  return static_cast<Listener*>(listener);
}

std::size_t LinuxNetwork::reserve_connections(std::size_t connections) noexcept {
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

}  // namespace microdot::inline MICRODOT_ABI
