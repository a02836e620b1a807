#pragma once
/// Messages one behind the other in a block of bytes: what an MQTT client's outbox and inboxes are. Programs
/// need of it only `mqtt_message_bytes`, to size them.

#include <cstddef>
#include <cstdint>
#include <span>

#include <microdot/ext/mqtt_protocol.hpp>

namespace microdot::inline MICRODOT_ABI {

namespace detail {

/// A message that waits, its topic and payload behind it.
struct MqttEntry {
  enum class State : std::uint8_t { waits, in_flight, gone };

  std::string_view topic() const noexcept { return {reinterpret_cast<const char*>(this + 1), topic_size}; }
  std::string_view payload() const noexcept {
    return {reinterpret_cast<const char*>(this + 1) + topic_size, payload_size};
  }
  /// Views of it: valid until something is appended, unless it is the first (see `MqttStore::settle_first`).
  MqttMessage message() const noexcept {
    return {.topic = topic(), .payload = payload(), .qos = qos, .retain = retain};
  }

  std::uint32_t payload_size;
  std::uint32_t sequence;
  std::uint16_t topic_size;
  std::uint16_t id;  // while in flight
  std::uint8_t qos;
  bool retain;
  State state;
};

}  // namespace detail

/// Bytes that a message takes of an outbox or an inbox.
constexpr std::size_t mqtt_message_bytes(std::size_t topic_size, std::size_t payload_size) noexcept {
  constexpr std::size_t kAlign = alignof(detail::MqttEntry);
  return (sizeof(detail::MqttEntry) + topic_size + payload_size + kAlign - 1) / kAlign * kAlign;
}

namespace detail {

/// A queue from whose middle messages may go, in whatever order they are acknowledged. Every byte can be
/// used: when the end is reached, what is left moves to the beginning.
class MqttStore {
 public:
  MqttStore() noexcept = default;
  /// `block` is aligned as any type.
  explicit MqttStore(std::span<std::byte> block) noexcept : block_(block) {}

  /// A copy of the message, behind all others; null if there is no room, now or ever (`can_hold`).
  MqttEntry* append(const MqttMessage& message) noexcept;
  bool can_hold(const MqttMessage& message) const noexcept;
  /// The oldest message; null if there is none.
  MqttEntry* first() noexcept { return at_or_after(begin_); }
  /// The one behind it.
  MqttEntry* next(MqttEntry& entry) noexcept;
  /// Takes a message out.
  void remove(MqttEntry& entry) noexcept;
  /// Moves the first message to where it stays until it is removed, whatever is appended.
  MqttEntry* settle_first() noexcept;

  bool empty() const noexcept { return used_ == 0; }
  std::size_t capacity() const noexcept { return block_.size(); }
  /// Bytes of the messages that are there.
  std::size_t used() const noexcept { return used_; }
  std::size_t high_water() const noexcept { return high_water_; }
  /// Of the message appended last.
  std::uint32_t sequence() const noexcept { return sequence_; }

 private:
  MqttEntry* at(std::size_t offset) noexcept { return reinterpret_cast<MqttEntry*>(block_.data() + offset); }
  MqttEntry* at_or_after(std::size_t offset) noexcept;
  void compact() noexcept;

  std::span<std::byte> block_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t used_ = 0;
  std::size_t high_water_ = 0;
  std::uint32_t sequence_ = 0;
};

}  // namespace detail

}  // namespace microdot::inline MICRODOT_ABI
