#pragma once
/// The client: connections that each send some requests at once, wait for their answers and compare every
/// byte of them, again and again.

#include <sys/epoll.h>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "system.hpp"

namespace bench {

/// An answer, whose Date may differ.
class Answer {
 public:
  Answer() = default;
  explicit Answer(std::string bytes) : bytes_(std::move(bytes)) {
    constexpr std::string_view kName = "\r\nDate: ";
    const std::size_t at = bytes_.find(kName);
    if (at == std::string::npos || at > bytes_.find("\r\n\r\n")) return;
    date_ = at + kName.size();
    date_size_ = std::string_view("Sun, 06 Nov 1994 08:49:37 GMT").size();
  }

  const std::string& bytes() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  /// `other` points to `size()` bytes.
  bool matches(const char* other) const {
    const std::size_t behind = date_ + date_size_;
    return std::memcmp(other, bytes_.data(), date_) == 0 &&
           std::memcmp(other + behind, bytes_.data() + behind, size() - behind) == 0;
  }

 private:
  std::string bytes_;
  std::size_t date_ = 0;
  std::size_t date_size_ = 0;
};

/// Sends one request and gives the answer, which must be a 200 with `body`.
inline Answer fetch(std::uint16_t port, std::string_view request, std::string_view body) {
  const int fd = connect_to(port);
  check(send(fd, request.data(), request.size(), MSG_NOSIGNAL), "send");
  std::string bytes;
  char buffer[64 * 1024];
  while (bytes.find("\r\n\r\n") == std::string::npos ||
         bytes.size() < bytes.find("\r\n\r\n") + 4 + body.size()) {
    const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got <= 0) break;
    bytes.append(buffer, static_cast<std::size_t>(got));
  }
  close(fd);
  if (!bytes.starts_with("HTTP/1.1 200 OK\r\n") || bytes.substr(bytes.find("\r\n\r\n") + 4) != body) {
    errno = 0;
    fail("wrong answer:\n" + bytes.substr(0, 1000));
  }
  return Answer(bytes);
}

class Load {
 public:
  /// `at_once` requests go out together on each of `connections`. `opening`: what is sent once before, and
  /// answered with the head of an answer.
  Load(std::uint16_t port, std::string_view request, const Answer& answer, int connections, int at_once,
       std::string_view opening = {})
      : answer_(&answer), at_once_(static_cast<std::size_t>(at_once)) {
    for (int i = 0; i < at_once; ++i) requests_ += request;
    epoll_ = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    for (int i = 0; i < connections; ++i) {
      Connection& connection = connections_.emplace_back();
      connection.fd = connect_to(port);
      if (!opening.empty()) open(connection.fd, opening);
      connection.bytes.resize(answer.size() * at_once_);
    }
    for (Connection& connection : connections_) {
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.ptr = &connection;
      check(epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event), "epoll_ctl");
    }
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load() {
    for (const Connection& connection : connections_) close(connection.fd);
    close(epoll_);
  }

  /// From now on appends to `times` how many seconds each answer took.
  void keep_times(std::vector<double>& times) { times_ = &times; }
  /// Sends for so long, then waits for the last answers. Gives their number.
  long run(double duration) {
    const double end = seconds() + duration;
    long answered = 0;
    for (Connection& connection : connections_) begin(connection);
    bool sending = true;
    for (std::size_t busy = connections_.size(); busy != 0;) {
      // Never asleep: to wake a client costs a server more than the rest of an answer, and more the slower
      // the server is.
      epoll_event events[64];
      const int count = epoll_wait(epoll_, events, 64, 0);
      const double now = seconds();
      sending = sending && now < end;
      if (now > end + 5) fail("no answer for 5 s");
      for (int i = 0; i < count; ++i) {
        Connection& connection = *static_cast<Connection*>(events[i].data.ptr);
        if (!receive(connection)) continue;
        if (times_ != nullptr) times_->push_back(now - connection.began);
        answered += static_cast<long>(at_once_);
        if (sending) {
          begin(connection);
        } else {
          --busy;
        }
      }
    }
    return answered;
  }

 private:
  struct Connection {
    int fd = -1;
    std::size_t got = 0;
    double began = 0;
    std::vector<char> bytes;
  };

  static void open(int fd, std::string_view opening) {
    check(send(fd, opening.data(), opening.size(), MSG_NOSIGNAL), "send");
    std::string head;
    char byte;
    while (!head.ends_with("\r\n\r\n") && recv(fd, &byte, 1, 0) == 1) head += byte;
    if (!head.ends_with("\r\n\r\n")) fail("no answer to\n" + std::string(opening));
  }

  void begin(Connection& connection) {
    connection.got = 0;
    if (times_ != nullptr) connection.began = seconds();
    const ssize_t sent = send(connection.fd, requests_.data(), requests_.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(requests_.size())) fail("send");
  }

  /// True when all answers are there.
  bool receive(Connection& connection) {
    // One byte more than there may be, to notice it.
    char more;
    const std::size_t left = connection.bytes.size() - connection.got;
    iovec room[] = {{connection.bytes.data() + connection.got, left}, {&more, 1}};
    msghdr message{};
    message.msg_iov = room;
    message.msg_iovlen = 2;
    const ssize_t got = recvmsg(connection.fd, &message, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return false;
    if (got <= 0) fail("the server closed a connection");
    connection.got += static_cast<std::size_t>(got);
    if (connection.got < connection.bytes.size()) return false;
    bool right = connection.got == connection.bytes.size();
    for (std::size_t i = 0; i < at_once_; ++i) {
      right = right && answer_->matches(connection.bytes.data() + i * answer_->size());
    }
    errno = 0;
    if (!right) fail("wrong answer:\n" + std::string(connection.bytes.data(), connection.bytes.size()));
    return true;
  }

  const Answer* answer_;
  std::size_t at_once_;
  std::string requests_;
  int epoll_ = -1;
  std::vector<Connection> connections_;
  std::vector<double>* times_ = nullptr;
};

}  // namespace bench
