#include "tap_device.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cstdio>

namespace microdot_test {
namespace {

bool bring_up(const char* name, const char* address) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  auto& in = reinterpret_cast<sockaddr_in&>(request.ifr_addr);
  in.sin_family = AF_INET;
  bool done = true;
  if (address != nullptr) {
    inet_pton(AF_INET, address, &in.sin_addr);
    done = ioctl(fd, SIOCSIFADDR, &request) == 0;
    inet_pton(AF_INET, "255.255.255.0", &in.sin_addr);
    done = done && ioctl(fd, SIOCSIFNETMASK, &request) == 0;
  }
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  done = done && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  close(fd);
  return done;
}

}  // namespace

bool enter_network_namespace() { return unshare(CLONE_NEWNET) == 0 && bring_up("lo", nullptr); }

int open_tap(const char* address) {
  const int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (tap >= 0 && ioctl(tap, TUNSETIFF, &request) == 0 && bring_up(request.ifr_name, address)) return tap;
  if (tap >= 0) close(tap);
  return -1;
}

}  // namespace microdot_test
