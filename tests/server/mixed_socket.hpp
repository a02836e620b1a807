#pragma once
/// One connection of mixed_client.hpp, and what an answer on it is.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace microdot_test {

struct Answer {
  int status = 0;  ///< 0: the connection ended instead.
  std::string head;
  std::string body;

  bool has(std::string_view field) const { return head.find(field) != head.npos; }
  std::string value(std::string_view field) const {
    const std::size_t at = head.find("\r\n" + std::string(field) + ": ");
    if (at == head.npos) return {};
    const std::size_t begin = at + field.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
};

class MixedSocket {
 public:
  /// Each comes from another address, as clients do.
  explicit MixedSocket(std::uint16_t port, int receive_buffer = 0) {
    static unsigned count = 0;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + count++ % 200);
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (receive_buffer != 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const timeval limit{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    bool ok = bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    ok = ok && connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    if (!ok) std::perror("connect");
  }
  MixedSocket(MixedSocket&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), bytes_(std::move(other.bytes_)) {}
  MixedSocket& operator=(MixedSocket&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MixedSocket() {
    if (fd_ >= 0) close(fd_);
  }

  void send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t size = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (size <= 0) return;  // the answer tells
      text.remove_prefix(static_cast<std::size_t>(size));
    }
  }
  /// Reads one answer. `head_only`: of HEAD.
  Answer receive(bool head_only = false) {
    Answer answer;
    std::size_t end = 0;
    while ((end = bytes_.find("\r\n\r\n")) == bytes_.npos) {
      if (!more()) return answer;
    }
    answer.head = bytes_.substr(0, end + 2);
    bytes_.erase(0, end + 4);
    if (!answer.head.starts_with("HTTP/1.1 ")) return answer;
    answer.status = std::atoi(answer.head.c_str() + 9);
    if (head_only || answer.status < 200 || answer.status == 204 || answer.status == 304) return answer;
    if (answer.has("Transfer-Encoding: chunked")) {
      for (;;) {
        std::size_t line = 0;
        while ((line = bytes_.find("\r\n")) == bytes_.npos && more()) {
        }
        if (line == bytes_.npos) return {};
        const std::size_t size = std::strtoul(bytes_.c_str(), nullptr, 16);
        if (!fill(line + size + 4)) return {};
        answer.body += bytes_.substr(line + 2, size);
        bytes_.erase(0, line + size + 4);
        if (size == 0) return answer;
      }
    }
    const std::string length = answer.value("Content-Length");
    if (length.empty()) {
      while (more()) {
      }
      answer.body = std::move(bytes_);
      bytes_.clear();
      return answer;
    }
    const std::size_t size = std::strtoul(length.c_str(), nullptr, 10);
    if (!fill(size)) return {};
    answer.body = bytes_.substr(0, size);
    bytes_.erase(0, size);
    return answer;
  }
  Answer ask(std::string_view request) {
    send(request);
    return receive();
  }
  /// Reads to the end of the connection; false if that did not come in time.
  bool ended() {
    while (more()) {
    }
    return error_ == 0 || error_ == ECONNRESET;
  }
  /// The connection ends with a reset.
  void reset() {
    const linger now{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(std::exchange(fd_, -1));
  }

 private:
  bool more() {
    char part[65536];
    const ssize_t size = recv(fd_, part, sizeof part, 0);
    if (size <= 0) {
      error_ = size < 0 ? errno : 0;
      return false;
    }
    bytes_.append(part, static_cast<std::size_t>(size));
    return true;
  }
  bool fill(std::size_t size) {
    while (bytes_.size() < size) {
      if (!more()) return false;
    }
    return true;
  }

  int fd_ = -1;
  int error_ = 0;
  std::string bytes_;
};

}  // namespace microdot_test
