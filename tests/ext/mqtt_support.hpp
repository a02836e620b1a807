#pragma once
/// What the tests of the MQTT client share: a broker in memory, and programs on the simulator.

#include <string>
#include <string_view>
#include <vector>

#include <microdot/async/gather.hpp>
#include <microdot/ext/mqtt.hpp>
#include <microdot/testing/test_mqtt.hpp>

#include "../async/sim_run.hpp"

namespace microdot_test {

inline const MqttOptions kMqttOptions{.host = "broker", .client_id = "hub"};

/// Room for exactly `count` messages "t" with payloads of `size` bytes.
constexpr std::uint32_t room_for(std::size_t count, std::size_t size) {
  return static_cast<std::uint32_t>(count * mqtt_message_bytes(1, size));
}

class MqttTest : public AsyncTest {
 protected:
  /// The payloads of what the broker has, one after the other.
  std::string payloads() const {
    std::string all;
    for (const TestMqttMessage& message : broker_.published)
      all += (all.empty() ? "" : " ") + message.payload;
    return all;
  }
  std::size_t log_lines() const {
    const std::string_view text = sim_.log_text();
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  /// A handler that notes what comes.
  auto noting(std::string_view name = {}) {
    return [this, name](const MqttMessage& message) {
      note(std::string(name) + std::string(message.topic) + "=" + std::string(message.payload));
    };
  }

  TestMqttBroker broker_;
};

}  // namespace microdot_test
