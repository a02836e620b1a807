#pragma once
#include <cstdint>

#include <microdot/port/network.hpp>

namespace microdot::inline MICRODOT_ABI {

class LinuxNetwork;
class LinuxPoller;

/// The kernel's news of interfaces and addresses: rtnetlink(7). Where that is not to be had (a sandbox, no
/// descriptor left) there is none. Asks the heap for nothing.
class LinuxInterfaces {
 public:
  constexpr LinuxInterfaces() noexcept = default;

  /// From now on `poller` tells `network` when there is news.
  void open(LinuxPoller& poller, LinuxNetwork& network) noexcept;
  void close(LinuxPoller& poller, LinuxNetwork& network) noexcept;
  /// Takes the news, unread: they only say that it is time to ask.
  void drain() noexcept;
  /// See `Network::check_address`.
  Error check_address(const Endpoint& local) noexcept;

 private:
  /// Up, and its cable or radio too.
  bool usable(unsigned index, bool loopback_counts) const noexcept;

  int news_ = -1;               // subscribed to the groups
  int query_ = -1;              // for questions, so that answers and news do not mix
  std::uint32_t question_ = 0;  // the last one's number; answers bear it
};

}  // namespace microdot::inline MICRODOT_ABI
