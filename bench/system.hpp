#pragma once
/// What the benchmark needs of Linux: sockets, child processes, cores and their clocks. Any failure ends it.

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <utility>

namespace bench {

/// Ends the program with the reason and errno.
[[noreturn]] inline void fail(const std::string& reason) {
  std::perror(("bench: " + reason).c_str());
  std::exit(1);
}

/// As it is, or the end of the program if it says that a system call failed.
template <typename T>
T check(T result, const char* what) {
  if (result < 0) fail(what);
  return result;
}

inline double seconds(clockid_t clock = CLOCK_MONOTONIC) {
  timespec time{};
  check(clock_gettime(clock, &time), "clock_gettime");
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// Keeps this process on the n-th of the cores that the program was started on. False if there are fewer.
inline bool pin_to_core(int n) {
  static const cpu_set_t allowed = [] {
    cpu_set_t set;
    check(sched_getaffinity(0, sizeof set, &set), "sched_getaffinity");
    return set;
  }();
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &allowed) || n-- != 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0;
  }
  return false;
}

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

inline void set_option(int fd, int level, int name, int value) {
  check(setsockopt(fd, level, name, &value, sizeof value), "setsockopt");
}

inline int connect_to(std::uint16_t port) {
  const int fd = check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  const sockaddr_in address = loopback(port);
  check(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), "connect");
  return fd;
}

/// User time so far: counted in the kernel's ticks, so only long times are exact.
inline double user_seconds(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  std::FILE* file = std::fopen(path.c_str(), "r");
  if (file == nullptr) fail(path);
  unsigned long ticks = 0;
  const int found = std::fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu", &ticks);
  std::fclose(file);
  if (found != 1) fail(path);
  return static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

/// A server in a process of its own, on the first core; ended with this object.
class Child {
 public:
  /// `serve` gets a function that must be told the port, and does not return.
  template <typename Serve>
  Child(const char* name, Serve serve) {
    int ends[2];
    check(pipe2(ends, O_CLOEXEC), "pipe");
    pid_ = check(fork(), "fork");
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      prctl(PR_SET_NAME, name);
      pin_to_core(0);
      serve([end = ends[1]](std::uint16_t port) { check(write(end, &port, sizeof port), "write"); });
      _exit(0);
    }
    close(ends[1]);
    if (read(ends[0], &port_, sizeof port_) != sizeof port_) fail(std::string(name) + " does not start");
    close(ends[0]);
    clock_ = 0;
    if (clock_getcpuclockid(pid_, &clock_) != 0) fail("clock_getcpuclockid");
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }

  std::uint16_t port() const { return port_; }
  pid_t pid() const { return pid_; }
  /// User and system time so far.
  double cpu_seconds() const { return seconds(clock_); }
  /// Of that, the user's.
  double user_seconds() const { return bench::user_seconds(pid_); }

 private:
  pid_t pid_ = 0;
  clockid_t clock_ = 0;
  std::uint16_t port_ = 0;
};

}  // namespace bench
