/// The Linux port: one for each thread, each with its own epoll. It asks the heap for nothing.

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>

#include <microdot/port/port.hpp>

#include "files.hpp"
#include "poller.hpp"
#include "ports/common/memory.hpp"
#include "ports/common/stderr_log.hpp"
#include "pressure.hpp"
#include "sockets.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

class LinuxClock final : public Clock {
 public:
  TimePoint now() noexcept override {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return to_time_point(time);
  }
  TimePoint coarse() noexcept override {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return to_time_point(time);
  }
  std::int64_t unix_seconds() noexcept override {
    timespec time{};
    clock_gettime(CLOCK_REALTIME_COARSE, &time);
    return time.tv_sec;
  }

 private:
  static TimePoint to_time_point(const timespec& time) noexcept {
    return TimePoint(Duration(std::int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000));
  }
};

class LinuxEntropy final : public Entropy {
 public:
  void fill(std::span<unsigned char> bytes) noexcept override {
    while (!bytes.empty()) {
      const ssize_t size = getrandom(bytes.data(), bytes.size(), 0);
      if (size > 0) {
        bytes = bytes.subspan(static_cast<std::size_t>(size));
      } else if (errno != EINTR) {
        return fill_from_device(bytes);
      }
    }
  }

 private:
  static void fill_from_device(std::span<unsigned char> bytes) noexcept {
    const int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    while (!bytes.empty()) {
      const ssize_t size = read(fd, bytes.data(), bytes.size());
      if (size > 0) {
        bytes = bytes.subspan(static_cast<std::size_t>(size));
      } else if (size == 0 || errno != EINTR) {
        std::abort();  // better no server than one with keys that can be guessed
      }
    }
    close(fd);
  }
};

class LinuxPort final : public Port {
 public:
  constexpr LinuxPort() noexcept = default;

  Clock& clock() noexcept override { return clock_; }
  Poller& poller() noexcept override { return poller_; }
  Network& network() noexcept override { return network_; }
  Files& files() noexcept override { return files_; }
  Entropy& entropy() noexcept override { return entropy_; }
  Log& log() noexcept override { return log_; }
  Pressure pressure() noexcept override { return pressure_.at(clock_.now()); }
  void discard(std::span<std::byte> bytes) noexcept override { discard_pages(bytes); }

  void open() noexcept {
    // sendfile(2) has no MSG_NOSIGNAL. A program that handles SIGPIPE in its own way keeps that.
    struct sigaction action {};
    if (sigaction(SIGPIPE, nullptr, &action) == 0 && action.sa_handler == SIG_DFL) {
      action.sa_handler = SIG_IGN;
      sigaction(SIGPIPE, &action, nullptr);
    }
    files_.begin();
    network_.bind(poller_);
    poller_.bind(files_);
    (void)poller_.open();  // tried again when it is needed
  }
  void close() noexcept {
    poller_.close();
    files_.close_kept();
  }

 private:
  LinuxClock clock_;
  LinuxPoller poller_;
  LinuxNetwork network_;
  LinuxFiles files_;
  LinuxEntropy entropy_;
  StderrLog log_;
  LinuxPressure pressure_;
};

// The port itself is never destroyed, so that objects of static storage may still use it when the thread has
// ended; only its descriptors are closed.
constinit thread_local LinuxPort port;

struct Descriptors {
  Descriptors() noexcept { port.open(); }
  ~Descriptors() { port.close(); }
};

}  // namespace

Port& system_port() noexcept {
  static thread_local Descriptors descriptors;
  return port;
}

}  // namespace microdot::inline MICRODOT_ABI
