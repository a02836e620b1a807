#pragma once
/// What the tests of the App share.

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include <microdot/microdot.hpp>
#include <microdot/testing/test_client.hpp>

namespace microdot::testing_support {

/// Counts how many of it there are.
class Counted {
 public:
  explicit Counted(int& alive) noexcept : alive_(&alive) { ++*alive_; }
  Counted(Counted&& other) noexcept : alive_(std::exchange(other.alive_, nullptr)) {}
  Counted& operator=(Counted&&) = delete;
  ~Counted() {
    if (alive_ != nullptr) --*alive_;
  }

 private:
  int* alive_;
};

/// Counts how often it was destroyed, moved-from ones not.
class Ended {
 public:
  explicit Ended(int& count) noexcept : count_(&count) {}
  Ended(Ended&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
  Ended& operator=(Ended&&) = delete;
  ~Ended() {
    if (count_ != nullptr) ++*count_;
  }

 private:
  int* count_;
};

/// A connection of its own to the client's App.
inline SimClient connect(TestClient& client) { return client.sim().connect(80); }

/// The lines that the App logged contain `text`.
inline bool logged(TestClient& client, std::string_view text) {
  return client.sim().log_text().find(text) != std::string_view::npos;
}

inline std::string get(std::string_view url) {
  return std::string("GET ").append(url).append(" HTTP/1.1\r\nHost: a\r\n\r\n");
}

}  // namespace microdot::testing_support

using namespace microdot;
using namespace microdot::testing_support;
using namespace std::chrono_literals;
