#include "interfaces.hpp"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "poller.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

constexpr std::size_t kBuffer = 8192;  // netlink(7): the kernel's messages are never larger

int open_netlink(unsigned groups) noexcept {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return -1;
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  ::close(fd);
  return -1;
}

/// Takes what waits at a socket, unread.
void drop_all(int fd) noexcept {
  char byte;
  for (int i = 0; i < 256; ++i) {
    // ENOBUFS: the kernel has dropped messages; others may follow.
    if (recv(fd, &byte, sizeof byte, MSG_DONTWAIT) < 0 && errno != ENOBUFS && errno != EINTR) return;
  }
}

bool is_wildcard(const Endpoint& endpoint) noexcept {
  return std::all_of(endpoint.address.begin(), endpoint.address.end(),
                     [](std::uint8_t byte) { return byte == 0; });
}

/// The address that a message of RTM_GETADDR's answer tells; none if it can't be used (yet).
Endpoint address_in(const nlmsghdr& header) noexcept {
  Endpoint found;
  const auto& message = *static_cast<const ifaddrmsg*>(NLMSG_DATA(&header));
  const bool checked = (message.ifa_flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC)) != IFA_F_TENTATIVE;
  if (!checked || (message.ifa_flags & IFA_F_DADFAILED) != 0) return found;
  const std::size_t size = message.ifa_family == AF_INET ? 4 : 16;
  auto length = static_cast<int>(IFA_PAYLOAD(&header));
  for (const rtattr* at = IFA_RTA(&message); RTA_OK(at, length); at = RTA_NEXT(at, length)) {
    // IFA_ADDRESS is the peer's on a point-to-point link of IPv4; IFA_LOCAL is missing for IPv6.
    if (at->rta_type != IFA_LOCAL && (at->rta_type != IFA_ADDRESS || message.ifa_family == AF_INET)) continue;
    if (RTA_PAYLOAD(at) < size) continue;
    std::memcpy(found.address.data(), RTA_DATA(at), size);
    found.family = message.ifa_family == AF_INET    ? Endpoint::Family::ipv4
                   : message.ifa_family == AF_INET6 ? Endpoint::Family::ipv6
                                                    : Endpoint::Family::none;
  }
  return found;
}

/// Whether a listener at `local` is reached by `address`.
bool serves(const Endpoint& local, bool wildcard, const Endpoint& address) noexcept {
  if (address.family == Endpoint::Family::none) return false;
  if (wildcard) {
    if (address.family == Endpoint::Family::ipv4) return true;
    // A link-local address of IPv6 comes with every interface, and browsers can't even name it.
    const bool link_local = address.address[0] == 0xfe && (address.address[1] & 0xc0) == 0x80;
    return local.family == Endpoint::Family::ipv6 && !link_local;
  }
  // All of 127.0.0.0/8 is the loopback's.
  if (local.family == Endpoint::Family::ipv4 && local.address[0] == 127)
    return address.family == Endpoint::Family::ipv4 && address.address[0] == 127;
  return address.same_address(local);
}

}  // namespace

void LinuxInterfaces::open(LinuxPoller& poller, LinuxNetwork& network) noexcept {
  news_ = open_netlink(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
  query_ = open_netlink(0);
  const int spare = query_ >= 0 ? dup(query_) : -1;  // the last descriptor is a client's
  if (spare >= 0) ::close(spare);
  if (news_ < 0 || spare < 0 || !poller.add(news_, network, EPOLLIN)) close(poller, network);
}

void LinuxInterfaces::close(LinuxPoller& poller, LinuxNetwork& network) noexcept {
  if (news_ >= 0) {
    poller.remove(news_, network);
    ::close(news_);
  }
  if (query_ >= 0) ::close(query_);
  news_ = query_ = -1;
}

void LinuxInterfaces::drain() noexcept { drop_all(news_); }

bool LinuxInterfaces::usable(unsigned index, bool loopback_counts) const noexcept {
  ifreq request{};
  request.ifr_ifindex = static_cast<int>(index);
  if (ioctl(query_, SIOCGIFNAME, &request) != 0 || ioctl(query_, SIOCGIFFLAGS, &request) != 0) return false;
  constexpr int kUp = IFF_UP | IFF_RUNNING;
  return (request.ifr_flags & kUp) == kUp && (loopback_counts || (request.ifr_flags & IFF_LOOPBACK) == 0);
}

Error LinuxInterfaces::check_address(const Endpoint& local) noexcept {
  if (query_ < 0) return Error::unsupported;
  drop_all(query_);  // of a question that failed in the middle: the kernel takes no other before its end
  const bool wildcard = is_wildcard(local);
  struct {
    nlmsghdr header;
    ifaddrmsg message;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETADDR;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.header.nlmsg_seq = ++question_;
  request.message.ifa_family = AF_UNSPEC;
  if (send(query_, &request, sizeof request, 0) < 0) return Error::io;
  // A change meanwhile makes the answer doubtful, and news that lead to the next question.
  Error found = wildcard ? Error::network_down : Error::address_unavailable;
  for (;;) {
    alignas(nlmsghdr) char buffer[kBuffer];
    const ssize_t size = recv(query_, buffer, sizeof buffer, 0);
    if (size <= 0) return Error::io;
    auto left = static_cast<unsigned>(size);
    for (auto* at = reinterpret_cast<nlmsghdr*>(buffer); NLMSG_OK(at, left); at = NLMSG_NEXT(at, left)) {
      if (at->nlmsg_seq != question_) continue;
      if (at->nlmsg_type == NLMSG_DONE) return found;
      if (at->nlmsg_type == NLMSG_ERROR) return Error::io;
      if (at->nlmsg_type != RTM_NEWADDR || found == Error::none) continue;
      if (!serves(local, wildcard, address_in(*at))) continue;
      const unsigned index = static_cast<const ifaddrmsg*>(NLMSG_DATA(at))->ifa_index;
      found = usable(index, !wildcard) ? Error::none : Error::network_down;
    }
  }
}

}  // namespace microdot::inline MICRODOT_ABI
