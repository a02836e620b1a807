#pragma once
// The reference application on the simulator, and what must be true of it between two connections.

#include <chrono>
#include <cstddef>
#include <string>

#include <microdot/base/arena.hpp>
#include <microdot/testing/test_client.hpp>

#include "corpus_app.hpp"

namespace corpus {

class Simulated {
 public:
  /// `prepare` may add hooks before the server starts.
  explicit Simulated(
      const microdot::Limits& its_limits = limits(), const microdot::TestClientOptions& options = {},
      void (*prepare)(microdot::App&) = [](microdot::App&) {})
      : reference_(its_limits),
        server_((prepare(reference_.app), reference_.app), options),
        pool_used_(microdot::task_pool().used()) {}

  microdot::App& app() { return reference_.app; }
  std::size_t calls() const { return reference_.calls; }
  std::string log() { return std::string(server_.sim().log_text()); }
  microdot::SimClient connect() { return server_.sim().connect(reference_.app.port()); }
  microdot::TimePoint now() { return server_.sim().clock().now(); }

  /// Turns the loop until `done()`, for `kPatience` of virtual time at the most; whether it was done.
  template <typename Done>
  bool until(Done done) {
    const microdot::TimePoint end = now() + kPatience;
    while (!done()) {
      if (now() >= end) return false;
      turn(kTurn);
    }
    return true;
  }

  /// Turns the loop until nothing moves any more; only timers would go on.
  void settle() {
    for (int quiet = 0; quiet < 4; ++quiet) {
      if (!server_.sim().idle()) quiet = 0;
      turn(kTurn);
    }
  }

  /// Reads all that comes until nothing does, the client's receive window at a time.
  std::string read(microdot::SimClient& client) {
    std::string all;
    do {
      settle();
      all += client.received();
      const std::size_t size = client.received().size();
      client.consume(size);
      if (size == 0) return all;
    } while (true);
  }

  /// Lets time pass for the server's timeouts.
  void pass(microdot::Duration time) {
    for (const microdot::TimePoint end = now() + time; now() < end;) turn(end - now());
  }

  /// With all clients gone: what of them is still there, or what `App::check` said after a turn (of servers
  /// for a few connections); empty if nothing.
  std::string leftovers() {
    until([&] { return app().stats().connections == 0; });
    if (wrong_ != nullptr) return wrong_;
    const microdot::Stats stats = app().stats();
    if (stats.connections != 0) return std::to_string(stats.connections) + " connections are left";
    if (stats.exchanges != 0) return std::to_string(stats.exchanges) + " exchanges are still busy";
    if (stats.queued != 0) return "somebody is still queued";
    if (server_.sim().open_transports() != 0) return "a transport is still open";
    const std::size_t used = microdot::task_pool().used();
    if (used != pool_used_) return "the task pool has " + std::to_string(used) + " bytes in use";
    return {};
  }

 private:
  static constexpr auto kTurn = std::chrono::milliseconds(1);
  static constexpr auto kPatience = std::chrono::seconds(5);  // shorter than every limit of the server

  void turn(microdot::Duration most) {
    server_.loop().turn(most);
    // Slow where there may be many connections.
    if (wrong_ == nullptr && app().limits().connections <= 16) wrong_ = app().check();
  }

  ReferenceApp reference_;
  microdot::TestClient server_;
  std::size_t pool_used_;
  const char* wrong_ = nullptr;
};

}  // namespace corpus
