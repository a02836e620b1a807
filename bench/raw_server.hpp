#pragma once
/// The ceiling: an epoll loop that parses nothing. It counts the bytes of requests, which are all of one
/// size, and gives the same answer to each; those of one read in one write. No server on these system calls
/// can be faster.

#include <poll.h>
#include <sys/epoll.h>
#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "system.hpp"

namespace bench {

class RawServer {
 public:
  /// `most` requests come at once.
  RawServer(std::size_t request_size, std::string_view answer, std::size_t most)
      : request_size_(request_size), answer_size_(answer.size()) {
    for (std::size_t i = 0; i < most; ++i) answers_ += answer;
  }

  /// Serves for ever.
  template <typename Ready>
  void run(Ready ready) {
    const int listener = check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    set_option(listener, IPPROTO_TCP, TCP_NODELAY, 1);  // accepted sockets inherit it
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    check(bind(listener, reinterpret_cast<sockaddr*>(&address), size), "bind");
    check(listen(listener, 1024), "listen");
    check(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    const int epoll = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    watch(epoll, listener);
    ready(ntohs(address.sin_port));

    char request[64 * 1024];
    epoll_event events[64];
    for (;;) {
      const int count = epoll_wait(epoll, events, 64, -1);
      for (int i = 0; i < count; ++i) {
        const int fd = events[i].data.fd;
        if (fd == listener) {
          const int client = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
          if (client >= 0) watch(epoll, client);
          continue;
        }
        const ssize_t got = read(fd, request, sizeof request);
        if (got < 0 && errno == EAGAIN) continue;
        if (got <= 0) {
          close(fd);
          continue;
        }
        std::size_t& begun = begun_[static_cast<std::size_t>(fd)];
        begun += static_cast<std::size_t>(got);
        answer(fd, begun / request_size_);
        begun %= request_size_;
      }
    }
  }

 private:
  void watch(int epoll, int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    if (begun_.size() <= static_cast<std::size_t>(fd)) begun_.resize(static_cast<std::size_t>(fd) + 1);
    begun_[static_cast<std::size_t>(fd)] = 0;
  }

  void answer(int fd, std::size_t count) {
    std::string_view left = std::string_view(answers_).substr(0, count * answer_size_);
    while (!left.empty()) {
      const ssize_t sent = send(fd, left.data(), left.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        left.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN) {
        pollfd writable{fd, POLLOUT, 0};
        poll(&writable, 1, 1000);
      } else {
        return;
      }
    }
  }

  std::size_t request_size_;
  std::size_t answer_size_;
  std::string answers_;
  std::vector<std::size_t> begun_;  // by descriptor: bytes of the request that has not come whole
};

}  // namespace bench
