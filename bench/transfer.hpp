#pragma once
/// A client of long answers: what comes is compared at once with what should, and not kept. It reads bodies
/// in chunks too (RFC 9112, section 7.1), however they are cut.

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "system.hpp"
#include "workloads.hpp"

namespace bench {

/// The files that servers serve, as `/static/NAME.txt`; `all`: the one of 1 GiB too.
inline void make_files(const std::string& folder, bool all) {
  const auto write = [&](const std::string& name, std::string_view piece, std::size_t size) {
    std::ofstream file(folder + "/" + name);
    for (std::size_t at = 0; at < size; at += piece.size()) file << piece.substr(0, size - at);
    if (!file.flush()) fail(folder + "/" + name);
  };
  const std::string piece = some_bytes(1024 * 1024 - 3);  // of an odd length: no page is like another
  mkdir((folder + "/root").c_str(), 0755);
  write("root/hello.txt", "Hello, World!", 13);
  write("file.txt", some_bytes(kFileSize), kFileSize);
  write("pieces.txt", pieces(), kPiece * kPieces);
  write("64k.txt", piece, 64 * 1024);
  write("1m.txt", piece, 1024 * 1024);
  if (all) write("1g.txt", piece, 1024 * 1024 * 1024);
}

/// A file as memory.
class Mapping {
 public:
  explicit Mapping(const std::string& path) {
    const int fd = check(open(path.c_str(), O_RDONLY | O_CLOEXEC), path.c_str());
    struct stat status {};
    check(fstat(fd, &status), "fstat");
    size_ = static_cast<std::size_t>(status.st_size);
    data_ = mmap(nullptr, size_, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (data_ == MAP_FAILED) fail("mmap");
    close(fd);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { munmap(data_, size_); }
  std::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

class Transfers {
 public:
  Transfers(std::uint16_t port, std::string request, std::string_view body, int connections)
      : request_(std::move(request)), body_(body), buffer_(256 * 1024) {
    epoll_ = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    connections_.resize(static_cast<std::size_t>(connections));
    for (Connection& connection : connections_) {
      connection.fd = connect_to(port);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.ptr = &connection;
      check(epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event), "epoll_ctl");
    }
  }
  Transfers(const Transfers&) = delete;
  Transfers& operator=(const Transfers&) = delete;
  ~Transfers() {
    for (const Connection& connection : connections_) close(connection.fd);
    close(epoll_);
  }

  /// Asks for so long, then waits for the last answers; each connection asks once at least. Gives their
  /// number.
  long run(double duration) {
    const double end = seconds() + duration;
    double heard = seconds();
    long answered = 0;
    for (Connection& connection : connections_) begin(connection);
    for (std::size_t busy = connections_.size(); busy != 0;) {
      epoll_event events[64];
      const int count = epoll_wait(epoll_, events, 64, 0);
      const double now = seconds();
      if (count > 0) heard = now;
      if (now > heard + 5) fail("nothing came for 5 s");
      for (int i = 0; i < count; ++i) {
        Connection& connection = *static_cast<Connection*>(events[i].data.ptr);
        if (!receive(connection)) continue;
        ++answered;
        if (now < end) {
          begin(connection);
        } else {
          --busy;
        }
      }
    }
    return answered;
  }

 private:
  enum class State { head, body, chunk_size, chunk, chunk_end, trailer, done };
  struct Connection {
    int fd = -1;
    State state = State::done;
    std::string line;       // the head, or the line of a chunk, as far as it has come
    std::size_t at = 0;     // bytes of the body that have come
    std::size_t chunk = 0;  // bytes that are left of the chunk
  };

  void begin(Connection& connection) {
    connection.state = State::head;
    connection.line.clear();
    connection.at = 0;
    const ssize_t sent = send(connection.fd, request_.data(), request_.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(request_.size())) fail("send");
  }

  /// True when the answer is complete.
  bool receive(Connection& connection) {
    const ssize_t got = recv(connection.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return false;
    if (got <= 0) fail("the server closed a connection");
    errno = 0;
    std::string_view left(buffer_.data(), static_cast<std::size_t>(got));
    while (!left.empty()) step(connection, left);
    return connection.state == State::done;
  }

  void step(Connection& connection, std::string_view& left) {
    switch (connection.state) {
      case State::head:
        if (line(connection, left, "\r\n\r\n")) head(connection);
        break;
      case State::body:
        compare(connection, left, body_.size() - connection.at);
        if (connection.at == body_.size()) connection.state = State::done;
        break;
      case State::chunk_size:
        if (!line(connection, left, "\r\n")) break;
        connection.chunk = std::strtoull(connection.line.c_str(), nullptr, 16);
        connection.state = connection.chunk != 0 ? State::chunk : State::trailer;
        connection.line.clear();
        break;
      case State::chunk:
        connection.chunk -= compare(connection, left, connection.chunk);
        if (connection.chunk == 0) connection.state = State::chunk_end;
        break;
      case State::chunk_end:
        if (!line(connection, left, "\r\n")) break;
        if (connection.line != "\r\n") fail("a chunk is longer than it says");
        connection.line.clear();
        connection.state = State::chunk_size;
        break;
      case State::trailer:
        if (!line(connection, left, "\r\n")) break;
        if (connection.line != "\r\n" || connection.at != body_.size()) fail("a stream ends too early");
        connection.state = State::done;
        break;
      case State::done: fail("more comes than was asked for");
    }
  }

  /// Takes bytes up to the end; true when it has come.
  static bool line(Connection& connection, std::string_view& left, std::string_view end) {
    while (!left.empty()) {
      connection.line += left.front();
      left.remove_prefix(1);
      if (connection.line.ends_with(end)) return true;
      if (connection.line.size() > 4096) fail("a head or a line of a chunk is too long");
    }
    return false;
  }

  void head(Connection& connection) {
    std::string& head = connection.line;
    if (!head.starts_with("HTTP/1.1 200 ")) fail("wrong answer:\n" + head);
    std::transform(head.begin(), head.end(), head.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (head.find("\r\ntransfer-encoding: chunked\r\n") != std::string::npos) {
      connection.state = State::chunk_size;
    } else if (head.find("\r\ncontent-length: " + std::to_string(body_.size()) + "\r\n") !=
               std::string::npos) {
      connection.state = State::body;
    } else {
      fail("wrong length:\n" + head);
    }
    head.clear();
  }

  std::size_t compare(Connection& connection, std::string_view& left, std::size_t most) {
    const std::size_t size = std::min(most, left.size());
    if (size > body_.size() - connection.at ||
        std::memcmp(left.data(), body_.data() + connection.at, size) != 0) {
      fail("wrong bytes in a body");
    }
    connection.at += size;
    left.remove_prefix(size);
    return size;
  }

  std::string request_;
  std::string_view body_;
  std::vector<char> buffer_;
  int epoll_ = -1;
  std::vector<Connection> connections_;
};

}  // namespace bench
