#pragma once
/// An App with little of everything, for the tests of who gets it.

#include <string>
#include <string_view>
#include <vector>

#include "sim_server.hpp"

namespace microdot_test {

inline constexpr Limits kAdmissionLimits{.connections = 8,
                                         .exchanges = 3,
                                         .queue_length = 4,
                                         .background_tasks = 2,
                                         .head_bytes = 512,
                                         .response_bytes = 512,
                                         .arena_bytes = 4096,
                                         .max_content_length = 1024 * 1024,
                                         .max_body_length = 8192,
                                         .first_timeout = 20s,
                                         .head_timeout = 20s,
                                         .body_timeout = 30s,
                                         .write_timeout = 30s,
                                         .body_rate = 100,
                                         .write_rate = 100,
                                         .slow_grace = 2s,
                                         .queue_timeout = 10s};

inline constexpr std::string_view kMe = "10.9.9.9";

class Admission : public testing::Test {
 protected:
  explicit Admission(const Limits& limits = kAdmissionLimits) : app_(limits) { add_routes(app_); }

  static void add_routes(App& app) {
    app.get("/", [](Request&) { return "Hello"; });
    app.get("/sleep/<int:seconds>", [](Request&, int seconds) -> Task<Response> {
      co_await sleep_for(std::chrono::seconds(seconds));
      co_return Response("slept");
    });
    app.post("/echo", [](Request& req) { return Response(req.body()); });
    app.post("/stream", [](Request& req) -> Task<Response> {
      for (;;) {
        const auto part = co_await req.stream().next();
        if (!part) co_return Response(to_string(part.error()), 400);
        if (part->empty()) co_return Response("read");
      }
    });
    app.get("/owned", [](Request&) { return numbered(100'000); });
    app.get("/view", [](Request&) {
      static const std::string kLarge = numbered(100'000);
      return std::string_view(kLarge);
    });
    app.get("/generator", [](Request&) -> Generator<std::string_view> {
      static const std::string kLarge = numbered(1000);
      for (int i = 0; i < 100; ++i) co_yield kLarge;
    });
  }

  /// `n` clients from addresses of their own.
  static std::string address(std::size_t n) { return "10.0.0." + std::to_string(n + 1); }
  static std::vector<SimClient> send_all(SimServer& server, std::size_t n, std::string_view bytes) {
    std::vector<SimClient> clients;
    for (std::size_t i = 0; i < n; ++i) clients.push_back(server.send_from(address(i), bytes));
    return clients;
  }
  App app_;
};

}  // namespace microdot_test
