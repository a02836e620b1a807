#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>

namespace microdot_test {

/// A blocking client socket.
class Socket {
 public:
  explicit Socket(std::uint16_t port, const char* host = "127.0.0.1") {
    if (std::string_view(host).find(':') != std::string_view::npos) {
      sockaddr_in6 address{};
      address.sin6_family = AF_INET6;
      address.sin6_port = htons(port);
      inet_pton(AF_INET6, host, &address.sin6_addr);
      fd_ = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
      connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    } else {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(port);
      inet_pton(AF_INET, host, &address.sin_addr);
      fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    }
    const timeval limit{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { close(fd_); }

  bool connected() const { return connected_; }
  bool send_all(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t size = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (size <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(size));
    }
    return true;
  }
  /// Up to the end of the connection; `error_` tells how that came.
  std::string read_all() {
    std::string text;
    char bytes[65536];
    for (;;) {
      const ssize_t size = recv(fd_, bytes, sizeof bytes, 0);
      if (size <= 0) {
        error_ = size < 0 ? errno : 0;
        return text;
      }
      text.append(bytes, static_cast<std::size_t>(size));
    }
  }
  std::string read_until(std::string_view end) {
    std::string text;
    char byte;
    while (!text.ends_with(end) && recv(fd_, &byte, 1, 0) == 1) text += byte;
    return text;
  }
  /// So many bytes; fewer at the end.
  std::string read_some(std::size_t count) {
    std::string text(count, '\0');
    const ssize_t size = count != 0 ? recv(fd_, text.data(), count, MSG_WAITALL) : 0;
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
  }
  /// Reads and drops some bytes; false at the end.
  bool skip() {
    char bytes[65536];
    return recv(fd_, bytes, sizeof bytes, 0) > 0;
  }
  int error() const { return error_; }
  void end() { shutdown(fd_, SHUT_WR); }
  void reset() {
    const linger now{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }

 private:
  int fd_ = -1;
  bool connected_ = false;
  int error_ = 0;
};

}  // namespace microdot_test
