#include "mqtt_reader.hpp"

#include <algorithm>

namespace microdot::inline MICRODOT_ABI {
namespace {

// What follows the length in packets of fixed size, by type; 0xFF: a broker sends none.
constexpr std::uint8_t kNone = 0xFF;
constexpr std::uint8_t kRests[16] = {kNone, kNone, 2,     kNone, 2,     2, 2,     2,
                                     kNone, 3,     kNone, 2,     kNone, 0, kNone, kNone};

}  // namespace

MqttReader::Found MqttReader::read(std::string_view& bytes) noexcept {
  while (!bytes.empty()) {
    if (part_ == Part::payload) {
      const std::size_t size = std::min<std::size_t>(bytes.size(), left_);
      payload_ = {bytes.data(), size};
      bytes.remove_prefix(size);
      left_ -= static_cast<std::uint32_t>(size);
      if (left_ == 0) part_ = Part::first;
      return Found::message;
    }
    const auto byte = static_cast<std::uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    const Found found = take(byte);
    if (found != Found::nothing) return found;
  }
  return Found::nothing;
}

MqttReader::Found MqttReader::take(std::uint8_t byte) noexcept {
  if (part_ > Part::length) --left_;
  switch (part_) {
    case Part::first:
      first_ = byte;
      left_ = length_bits_ = 0;
      part_ = Part::length;
      break;
    case Part::length:
      left_ |= std::uint32_t{byte & 0x7FU} << length_bits_;
      length_bits_ = static_cast<std::uint8_t>(length_bits_ + 7);
      if ((byte & 0x80) != 0) return length_bits_ == 28 ? Found::malformed : Found::nothing;
      if (!begin_packet()) return Found::malformed;
      return part_ == Part::first ? Found::packet : Found::nothing;
    case Part::rest:
      packet_[packet_size_++] = static_cast<char>(byte);
      if (packet_size_ <= 4) id_ = static_cast<std::uint16_t>(id_ << 8 | byte);
      if (left_ != 0) break;
      part_ = Part::first;
      return Found::packet;
    case Part::topic_high:
      topic_bytes_ = static_cast<std::uint16_t>(byte << 8);
      part_ = Part::topic_low;
      break;
    case Part::topic_low:
      topic_bytes_ = static_cast<std::uint16_t>(topic_bytes_ | byte);
      topic_size_ = 0;
      part_ = Part::topic;
      if (topic_bytes_ == 0 || left_ < topic_bytes_ + (qos() != 0 ? 2U : 0U)) return Found::malformed;
      break;
    case Part::topic:
      if (topic_size_ < kTopicBytes) topic_[topic_size_] = static_cast<char>(byte);
      if (++topic_size_ != topic_bytes_) break;
      if (qos() == 0) return begin_payload();
      part_ = Part::id_high;
      break;
    case Part::id_high:
      id_ = static_cast<std::uint16_t>(byte << 8);
      part_ = Part::id_low;
      break;
    case Part::id_low:
      id_ = static_cast<std::uint16_t>(id_ | byte);
      return id_ == 0 ? Found::malformed : begin_payload();
    case Part::payload: break;  // taken as a whole
  }
  return Found::nothing;
}

bool MqttReader::begin_packet() noexcept {
  if (type() == kPublish) {
    part_ = Part::topic_high;
    return qos() != 3 && left_ >= 2;
  }
  if (left_ != kRests[type()] || (first_ & 0xF) != (type() == kPubrel ? 2 : 0)) return false;
  packet_[0] = static_cast<char>(first_);
  packet_[1] = static_cast<char>(left_);
  packet_size_ = 2;
  id_ = 0;
  part_ = left_ == 0 ? Part::first : Part::rest;
  return true;
}

MqttReader::Found MqttReader::begin_payload() noexcept {
  total_ = left_;
  payload_ = {};
  part_ = left_ == 0 ? Part::first : Part::payload;
  return left_ == 0 ? Found::message : Found::nothing;
}

}  // namespace microdot::inline MICRODOT_ABI
