#pragma once
// The reference application of the corpus (README.md), with microdot.

#include <cstddef>
#include <string>
#include <string_view>

#include <microdot/microdot.hpp>

namespace corpus {

/// The limits that cases/limits.txt speaks of.
inline microdot::Limits limits() {
  microdot::Limits limits = microdot::Limits::host();
  limits.max_readline = 2048;
  limits.head_bytes = 8192;
  limits.header_count = 64;
  limits.max_content_length = 16 * 1024;
  return limits;
}

/// The application, and how many of its handlers were reached.
class ReferenceApp {
 public:
  explicit ReferenceApp(const microdot::Limits& its_limits = limits()) : app(its_limits) {
    using microdot::Request;
    using microdot::Response;
    using microdot::Task;
    app.get("/", [this](Request&) { return count("hello"); });
    app.get("/users/<int:id>", [this](Request&, int id) { return count(std::to_string(id)); });
    app.get("/files/<path:p>", [this](Request&, std::string_view p) { return count(Response(p)); });
    app.post("/echo", [this](Request& req) { return count(Response(req.body())); });
    app.post("/len", [this](Request& req) -> Task<std::string> {
      ++calls;
      char part[512];
      std::size_t sum = 0;
      for (;;) {
        const microdot::Result<std::size_t> n = co_await req.stream().read(part);
        if (!n || *n == 0) break;
        sum += *n;
      }
      co_return std::to_string(sum);
    });
    app.get("/query", [this](Request& req) {
      std::string text;
      for (const auto& [name, value] : req.args) {
        text.append("[").append(name).append("]=[").append(value).append("]");
      }
      return count(text);
    });
    app.get("/host", [this](Request& req) { return count(bracketed(req.headers["Host"])); });
    app.get("/header", [this](Request& req) { return count(bracketed(req.headers["X-Value"])); });
    app.route("/method", {"GET", "POST", "PUT", "PATCH", "DELETE"},
              [this](Request& req) { return count(std::string(req.method)); });
    app.get("/chunked", [this](Request&) { return count(parts()); });
    app.get("/empty", [this](Request&) { return count(204); });
    app.get("/probe", [](Request&) { return "probe"; });
    app.get("/calls", [this](Request&) { return std::to_string(calls); });
  }

  microdot::App app;
  std::size_t calls = 0;

 private:
  template <typename T>
  T count(T answer) {
    ++calls;
    return answer;
  }

  static std::string bracketed(std::string_view text) { return "[" + std::string(text) + "]"; }

  static microdot::Generator<std::string_view> parts() {
    co_yield "a";
    co_yield "bc";
    co_yield "def";
  }
};

}  // namespace corpus
