#pragma once
/// What the benchmarks ask of a server, and what it must answer.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

inline constexpr int kAtOnce = 16;  // requests, where they are pipelined
inline constexpr std::size_t kFileSize = 16 * 1024;

/// What a browser sends with a request.
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
  std::string key;   ///< of the command line
  std::string name;  ///< of the table
  std::string request;
  std::string body;  ///< of the answer
  int at_once = 1;
  double goal = 0;  ///< ceiling ÷ ours
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

/// A long body, and the pieces that it is streamed in.
inline constexpr std::size_t kPiece = 4096;
inline constexpr std::size_t kPieces = 64;

inline std::string pieces() {
  const std::string piece = some_bytes(kPiece);
  std::string all;
  for (std::size_t i = 0; i < kPieces; ++i) all += piece;
  return all;
}

inline std::vector<Case> all_cases() {
  const std::string hello = "Hello, World!";
  const std::string body = some_bytes(1024);
  return {
      {"hello", "hello", request_to("GET /"), hello, 1, 0.90},
      {"parameter", "path parameter", request_to("GET /users/12345"), "12345"},
      {"echo", "echo 1 KiB", request_to("POST /echo", "Content-Length: 1024\r\n", body), body},
      {"file", "file 16 KiB", request_to("GET /static/file.txt"), some_bytes(kFileSize)},
      {"pipelined", "hello, pipelined by 16", request_to("GET /"), hello, kAtOnce, 0.60},
      {"browser", "hello, browser's fields", request_to("GET /", kBrowser), hello},
      {"pipelined-browser", "pipelined, browser's fields", request_to("GET /", kBrowser), hello, kAtOnce},
  };
}

}  // namespace bench
