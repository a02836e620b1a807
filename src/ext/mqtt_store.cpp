#include <microdot/ext/mqtt_store.hpp>

#include <algorithm>
#include <cstring>
#include <new>

namespace microdot::inline MICRODOT_ABI::detail {

namespace {

std::size_t bytes_of(const MqttEntry& entry) noexcept {
  return mqtt_message_bytes(entry.topic_size, entry.payload_size);
}

}  // namespace

bool MqttStore::can_hold(const MqttMessage& message) const noexcept {
  // Each for itself first: the sum of large ones might overflow.
  return message.topic.size() <= UINT16_MAX && message.payload.size() <= capacity() &&
         mqtt_message_bytes(message.topic.size(), message.payload.size()) <= capacity();
}

MqttEntry* MqttStore::append(const MqttMessage& message) noexcept {
  if (!can_hold(message)) return nullptr;
  const std::size_t size = mqtt_message_bytes(message.topic.size(), message.payload.size());
  if (size > capacity() - used_) return nullptr;
  if (size > capacity() - end_) compact();
  auto* entry = ::new (static_cast<void*>(block_.data() + end_)) MqttEntry{
      .payload_size = static_cast<std::uint32_t>(message.payload.size()),
      .sequence = ++sequence_,
      .topic_size = static_cast<std::uint16_t>(message.topic.size()),
      .id = 0,
      .qos = message.qos,
      .retain = message.retain,
      .state = MqttEntry::State::waits,
  };
  char* const text = reinterpret_cast<char*>(entry + 1);
  std::copy_n(message.topic.data(), message.topic.size(), text);
  std::copy_n(message.payload.data(), message.payload.size(), text + message.topic.size());
  end_ += size;
  used_ += size;
  high_water_ = std::max(high_water_, used_);
  return entry;
}

MqttEntry* MqttStore::at_or_after(std::size_t offset) noexcept {
  while (offset < end_) {
    MqttEntry* const entry = at(offset);
    if (entry->state != MqttEntry::State::gone) return entry;
    offset += bytes_of(*entry);
  }
  return nullptr;
}

MqttEntry* MqttStore::next(MqttEntry& entry) noexcept {
  const auto offset = static_cast<std::size_t>(reinterpret_cast<std::byte*>(&entry) - block_.data());
  return at_or_after(offset + bytes_of(entry));
}

void MqttStore::remove(MqttEntry& entry) noexcept {
  entry.state = MqttEntry::State::gone;
  used_ -= bytes_of(entry);
  while (begin_ < end_ && at(begin_)->state == MqttEntry::State::gone) begin_ += bytes_of(*at(begin_));
  if (used_ == 0) begin_ = end_ = 0;
}

MqttEntry* MqttStore::settle_first() noexcept {
  MqttEntry* const entry = first();
  if (entry == nullptr || begin_ == 0) return entry;
  // What was before it comes behind it, as one that is gone: there is room for that, since it was one or
  // more.
  const std::size_t hole = begin_;
  const std::size_t size = bytes_of(*entry);
  std::memmove(block_.data(), static_cast<const void*>(entry), size);
  begin_ = 0;
  ::new (static_cast<void*>(block_.data() + size)) MqttEntry{
      .payload_size = static_cast<std::uint32_t>(hole - sizeof(MqttEntry)),
      .sequence = 0,
      .topic_size = 0,
      .id = 0,
      .qos = 0,
      .retain = false,
      .state = MqttEntry::State::gone,
  };
  return at(0);
}

void MqttStore::compact() noexcept {
  std::size_t to = 0;
  for (std::size_t from = begin_; from < end_;) {
    MqttEntry* const entry = at(from);
    const std::size_t size = bytes_of(*entry);
    from += size;
    if (entry->state == MqttEntry::State::gone) continue;
    if (at(to) != entry) std::memmove(block_.data() + to, static_cast<const void*>(entry), size);
    to += size;
  }
  begin_ = 0;
  end_ = to;
}

}  // namespace microdot::inline MICRODOT_ABI::detail
