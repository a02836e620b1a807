#pragma once
/// How much an MQTT client may have, how it publishes, and what it tells of itself.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <microdot/limits.hpp>

namespace microdot::inline MICRODOT_ABI {

/// What is done with a message for which an outbox, or an inbox, has no room.
enum class MqttWhenFull : std::uint8_t {
  wait,         ///< Whoever publishes waits; an inbox makes the broker wait.
  drop_oldest,  ///< The oldest go for it, and are counted; never what is in flight already.
  refuse,       ///< It is not taken, and counted.
};

/// The memory of a client. A structural type, so that it can be a template argument.
struct MqttLimits {
  std::uint32_t outbox_bytes = 64 * 1024;   ///< Messages not acknowledged yet: see `mqtt_message_bytes`.
  std::uint32_t message_bytes = 16 * 1024;  ///< Largest topic and payload, together, that is received; what
                                            ///< is larger is dropped and counted.
  std::uint32_t subscription_bytes =
      4096;  ///< Filters, and handlers with what they capture. On 32 bits about 100 bytes each.
  MqttWhenFull when_full =
      MqttWhenFull::wait;  ///< What meets a full outbox, also while there is no connection.

  friend constexpr bool operator==(const MqttLimits&, const MqttLimits&) noexcept = default;
  static constexpr MqttLimits host() noexcept { return {}; }
  static constexpr MqttLimits device() noexcept {
    return {.outbox_bytes = 1024, .message_bytes = 512, .subscription_bytes = 512};
  }
  /// Bytes of the block that the three lie in.
  constexpr std::size_t block_bytes() const noexcept {
    return detail::align_up(std::size_t{outbox_bytes}) + detail::align_up(std::size_t{message_bytes}) +
           detail::align_up(std::size_t{subscription_bytes});
  }
};

enum class MqttState : std::uint8_t {
  idle,           ///< `connect` was not called yet.
  connecting,     ///< An attempt is made.
  connected,      ///< The broker has accepted.
  waiting,        ///< Until the next attempt.
  disconnecting,  ///< `disconnect` was called, or the program is to exit.
  disconnected,   ///< It has ended. `connect` begins anew.
};

/// What a client has done since it was made. `published` is the sum of `acknowledged`, `dropped` and what
/// lies in the outbox.
struct MqttStats {
  std::uint32_t connects = 0;      ///< Attempts that the broker has accepted.
  std::uint32_t failures = 0;      ///< Attempts that came to nothing.
  std::uint32_t losses = 0;        ///< Connections that were lost.
  std::uint32_t denied = 0;        ///< Subscriptions that the broker has refused.
  std::uint64_t published = 0;     ///< Messages taken into the outbox.
  std::uint64_t acknowledged = 0;  ///< Of them, those the broker has; of QoS 0: the system has.
  std::uint64_t dropped = 0;       ///< Of them, those that went for newer ones, or with a connection (QoS 0).
  std::uint64_t refused = 0;       ///< Messages not taken, since the outbox was full.
  std::uint64_t received = 0;      ///< Messages that came.
  std::uint64_t too_large = 0;     ///< Messages that came and were larger than `MqttLimits::message_bytes`.
  std::uint64_t inbox_dropped = 0;  ///< Messages that full inboxes did not get.
  std::size_t outbox_bytes = 0;
  std::size_t outbox_high_water = 0;
  std::string_view last_reason = {};  ///< Why the last connection, or attempt, came to its end; static.
};

/// How a message is published.
struct MqttPublishOptions {
  std::uint8_t qos = 0;
  bool retain = false;
};

}  // namespace microdot::inline MICRODOT_ABI
