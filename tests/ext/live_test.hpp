#pragma once
/// What the tests of live streams share.

#include <optional>

#include <gtest/gtest.h>

#include "../app/support.hpp"

namespace microdot::testing_support {

/// Few and small streams, whose WebSockets take messages of up to 1000 bytes.
inline Limits few_streams() {
  Limits limits;
  limits.streams = 4;
  limits.stream_bytes = 8192;
  limits.ws_message_bytes = 1000;
  return limits;
}

/// An App with streams, and a client, which starts it when it is asked for.
class LiveTest : public testing::Test {
 protected:
  explicit LiveTest(const Limits& limits = few_streams()) : app(limits) {}

  TestClient& client() {
    if (!client_) client_.emplace(app);
    return *client_;
  }
  /// All streams and requests have ended, and nothing is left of them.
  void expect_all_ended() {
    client().run_for(std::chrono::seconds(5));
    EXPECT_EQ(app.stats().streams, 0U);
    EXPECT_EQ(app.stats().exchanges, 0U);
    EXPECT_EQ(app.check(), nullptr) << app.check();
  }

  App app;
  std::optional<TestClient> client_;
};

}  // namespace microdot::testing_support
