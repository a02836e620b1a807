#pragma once
/// The packets in what comes from an MQTT broker (MQTT 3.1.1, sections 2 and 3).

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <microdot/ext/mqtt_protocol.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Finds the packets in a stream of bytes, wherever that is cut, and refuses what a broker may not send.
class MqttReader {
 public:
  /// Of the longest topic, and of the longest filter.
  static constexpr std::size_t kTopicBytes = 128;

  enum class Found : std::uint8_t {
    nothing,    ///< All bytes are taken, and more are needed.
    message,    ///< A piece of a PUBLISH: the whole of its payload, or what there is of it.
    packet,     ///< Another packet, whole.
    malformed,  ///< Nothing can be read any more.
  };
  enum Type : std::uint8_t { kConnack = 2, kPublish = 3, kPubrel = 6 };

  /// Takes bytes from the front until something is found.
  Found read(std::string_view& bytes) noexcept;

  std::uint8_t type() const noexcept { return first_ >> 4; }
  /// The packet identifier of a PUBLISH with a QoS, or of a `packet` that has one.
  std::uint16_t id() const noexcept { return id_; }
  /// The bytes of a `packet`.
  std::string_view packet() const noexcept { return {packet_, packet_size_}; }

  // ---- Of a message ----
  /// Views into this object and into what was read.
  MqttMessage message() const noexcept {
    return {.topic = {topic_, topic_fits() ? topic_size_ : kTopicBytes},
            .payload = payload_,
            .qos = qos(),
            .retain = (first_ & 1) != 0};
  }
  std::uint8_t qos() const noexcept { return first_ >> 1 & 3; }
  bool repeated() const noexcept { return (first_ & 8) != 0; }
  /// False: the topic is longer than `kTopicBytes`, and `message` has its beginning only.
  bool topic_fits() const noexcept { return topic_size_ <= kTopicBytes; }
  std::size_t total() const noexcept { return total_; }
  /// Where in the payload the piece begins.
  std::size_t offset() const noexcept { return total_ - left_ - payload_.size(); }
  bool is_last_piece() const noexcept { return left_ == 0; }

 private:
  enum class Part : std::uint8_t {
    first,
    length,
    rest,
    topic_high,
    topic_low,
    topic,
    id_high,
    id_low,
    payload
  };

  bool begin_packet() noexcept;
  Found begin_payload() noexcept;
  Found take(std::uint8_t byte) noexcept;

  Part part_ = Part::first;
  std::uint8_t first_ = 0;
  std::uint8_t length_bits_ = 0;
  std::uint8_t packet_size_ = 0;
  char packet_[5] = {};
  std::uint16_t id_ = 0;
  std::uint16_t topic_bytes_ = 0;  ///< As the packet says.
  std::uint16_t topic_size_ = 0;   ///< Taken so far.
  std::uint32_t left_ = 0;         ///< Bytes of the packet that are still to come.
  std::uint32_t total_ = 0;
  std::string_view payload_;
  char topic_[kTopicBytes] = {};
};

}  // namespace microdot::inline MICRODOT_ABI
