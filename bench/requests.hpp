#pragma once
/// What is asked in the benchmarks of requests, and the routes that answer it.

#include <unistd.h>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <microdot/microdot.hpp>

#include "system.hpp"

namespace bench {

inline constexpr int kAtOnce = 16;  // requests, where they are pipelined
inline constexpr std::size_t kFileSize = 16 * 1024;

// What a browser sends with a request.
inline constexpr std::string_view kBrowser =
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 "
    "Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-US,en;q=0.9,de;q=0.8\r\n"
    "Cache-Control: max-age=0\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=0a1b2c3d4e5f60718293a4b5c6d7e8f9; theme=dark\r\n"
    "Referer: http://127.0.0.1/index.html\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Sec-Fetch-User: ?1\r\n"
    "Upgrade-Insecure-Requests: 1\r\n";

struct Case {
  std::string name;
  std::string request;
  std::string body;  // of the answer
  int at_once = 1;
  double goal = 0;  // ceiling ÷ ours
};

inline std::string request_to(std::string_view line, std::string_view fields = {},
                              std::string_view body = {}) {
  std::string request(line);
  request.append(" HTTP/1.1\r\nHost: 127.0.0.1\r\n").append(fields).append("\r\n").append(body);
  return request;
}

inline std::string some_bytes(std::size_t size) {
  std::string bytes;
  for (unsigned i = 0; bytes.size() < size; ++i) bytes += static_cast<char>('a' + i * i % 26);
  return bytes;
}

inline std::vector<Case> all_cases() {
  const std::string hello = "Hello, World!";
  const std::string body = some_bytes(1024);
  return {
      {"hello", request_to("GET /"), hello, 1, 0.90},
      {"path parameter", request_to("GET /users/12345"), "12345"},
      {"echo 1 KiB", request_to("POST /echo", "Content-Length: 1024\r\n", body), body},
      {"file 16 KiB", request_to("GET /static/file.txt"), some_bytes(kFileSize)},
      {"hello, pipelined by 16", request_to("GET /"), hello, kAtOnce, 0.60},
      {"hello, browser's fields", request_to("GET /", kBrowser), hello},
      {"pipelined, browser's fields", request_to("GET /", kBrowser), hello, kAtOnce},
  };
}

/// A directory with the file to be served.
class Directory {
 public:
  Directory() {
    if (mkdtemp(path_) == nullptr) fail("mkdtemp");
    std::ofstream(file()) << some_bytes(kFileSize);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory() {
    unlink(file().c_str());
    rmdir(path_);
  }
  std::string_view path() const { return path_; }

 private:
  std::string file() const { return std::string(path_) + "/file.txt"; }

  char path_[32] = "/tmp/microdot-bench-XXXXXX";
};

/// The routes that all of it needs; `root` is the directory, which must outlive `app`.
inline void add_routes(microdot::App& app, std::string_view root) {
  using namespace microdot;
  app.get("/", [](Request&) { return "Hello, World!"; });
  app.get("/users/<int:id>", [](Request&, int id) { return std::to_string(id); });
  app.post("/echo", [](Request& req) { return Response(req.body()); });
  app.get("/static/<path:path>", [root](Request&, std::string_view path) -> Response {
    return send_file(path, {.root = root, .max_age = 86400});
  });
}

}  // namespace bench
