#pragma once
/// An App that serves on the simulator, driven step by step; and small tools for talking to it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <microdot/microdot.hpp>
#include <microdot/testing/sim_port.hpp>

#include "server_run.hpp"

namespace microdot_test {

using namespace microdot;
using namespace std::chrono_literals;

inline constexpr std::uint16_t kPort = 80;

class SimServer {
 public:
  explicit SimServer(
      App& app, const SimOptions& options = {},
      const ServerOptions& server = {.host = "",
                                     .port = kPort,
                                     .trusted_proxies = "127.0.0.1"})  // they all come from there
      : app_(app), sim(options), loop(sim), run_(new ServerRun(app, loop, server)) {
    settle();
  }
  SimServer(const SimServer&) = delete;
  SimServer& operator=(const SimServer&) = delete;
  ~SimServer() {
    if (run_ == nullptr) return;
    app_.shutdown();
    for (int i = 0; i < 1000 && !run_->done(); ++i) loop.turn(1s);
    EXPECT_TRUE(run_->done()) << "the server does not end";
    delete run_;
    EXPECT_EQ(sim.open_transports(), 0U);
    EXPECT_EQ(sim.open_files(), 0U);
  }

  /// Does all that can be done without time passing.
  void settle() {
    for (int quiet = 0, i = 0; quiet < 4 && i < 900; ++i) {
      loop.turn(Duration{0});
      quiet = sim.idle() && loop.ready().empty() ? quiet + 1 : 0;
    }
  }
  void run_for(Duration time) {
    const TimePoint end = sim.clock().now() + time;
    while (sim.clock().now() < end) loop.turn(end - sim.clock().now());
    settle();
  }
  /// Connects, sends and lets the server do what it can.
  SimClient send(std::string_view bytes) {
    SimClient client = sim.connect(kPort);
    client.send(bytes);
    settle();
    return client;
  }
  /// The same from an address of its own.
  SimClient send_from(std::string_view address, std::string_view bytes) {
    SimClient client = sim.connect(kPort, Endpoint::from_address(address));
    client.send(bytes);
    settle();
    return client;
  }
  /// What a client gets that reads all and does nothing else.
  std::string exchange(std::string_view bytes) {
    SimClient client = send(bytes);
    return std::string(client.received());
  }
  bool done() const { return run_->done(); }
  /// Ends the task that runs the server, as `TaskHandle::cancel` does.
  void cancel() { delete std::exchange(run_, nullptr); }
  Stats stats() const { return app_.stats(); }
  std::string log() const { return std::string(sim.log_text()); }

  /// Nothing of any request is left.
  void expect_clean(std::string_view when) {
    EXPECT_EQ(stats().connections, 0U) << when;
    EXPECT_EQ(stats().exchanges, 0U) << when;
    EXPECT_EQ(stats().queued, 0U) << when;
    EXPECT_EQ(sim.open_transports(), 0U) << when;
    EXPECT_EQ(sim.open_files(), 0U) << when;
  }

 private:
  App& app_;

 public:
  SimPort sim;
  Loop loop;

 private:
  ServerRun* run_;
};

inline std::string get(std::string_view path, std::string_view fields = {}) {
  std::string text = "GET ";
  return text.append(path).append(" HTTP/1.1\r\nHost: a\r\n").append(fields).append("\r\n");
}
inline std::string post(std::string_view path, std::string_view body, std::string_view fields = {}) {
  std::string text = "POST ";
  text.append(path).append(" HTTP/1.1\r\nHost: a\r\nContent-Length: ").append(std::to_string(body.size()));
  return text.append("\r\n").append(fields).append("\r\n").append(body);
}
/// The status of the answer that `bytes` begin with; 0 if none.
inline int status_of(std::string_view bytes) {
  if (bytes.substr(0, 9) != "HTTP/1.1 " || bytes.size() < 12) return 0;
  return std::stoi(std::string(bytes.substr(9, 3)));
}
/// How many answers there are in `bytes` (of bodies that do not contain "HTTP/1.1 ").
inline int answers_in(std::string_view bytes) {
  int count = 0;
  for (std::size_t at = bytes.find("HTTP/1.1 "); at != std::string_view::npos;
       at = bytes.find("HTTP/1.1 ", at + 9))
    ++count;
  return count;
}
/// What follows the head of the first answer.
inline std::string_view body_of(std::string_view bytes) {
  const std::size_t end = bytes.find("\r\n\r\n");
  return end == std::string_view::npos ? std::string_view{} : bytes.substr(end + 4);
}
/// Text that differs at every place.
inline std::string numbered(std::size_t size) {
  std::string text;
  text.reserve(size + 12);
  for (std::size_t i = 0; text.size() < size; ++i) text.append(std::to_string(i)).append(" ");
  text.resize(size);
  return text;
}

}  // namespace microdot_test
