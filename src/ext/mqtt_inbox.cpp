#include <microdot/ext/mqtt.hpp>

namespace microdot::inline MICRODOT_ABI {

MqttInboxBase::MqttInboxBase(MqttClient& client, std::string_view filter, const MqttInboxOptions& options,
                             std::span<std::byte> block) noexcept
    : client_(&client), store_(block), when_full_(options.when_full) {
  const Result<detail::MqttFilter*> found = client.find_filter(filter, options.qos);
  if (found) {
    filter_ = *found;
    filter_->inboxes.push_back(*this);
  } else {
    error_ = found.error();
  }
}

void MqttInboxBase::leave() noexcept {
  unlink();
  if (client_ == nullptr) return;
  if (full_) client_->note_full_inboxes(-1);
  if (filter_ != nullptr) client_->leave(*filter_);
  client_ = nullptr;
}

void MqttInboxBase::end() noexcept {
  unlink();
  client_ = nullptr;
  on_disconnected();
}

void MqttInboxBase::on_disconnected() noexcept {
  if (strand_ != nullptr) strand_->wake();
}

void MqttInboxBase::call(const MqttMessage& message) {
  detail::MqttEntry* added = store_.append(message);
  if (added == nullptr && when_full_ == MqttWhenFull::drop_oldest) {
    const std::size_t size = mqtt_message_bytes(message.topic.size(), message.payload.size());
    detail::MqttEntry* const kept = taken_ ? store_.first() : nullptr;
    const std::size_t kept_size =
        kept != nullptr ? mqtt_message_bytes(kept->topic_size, kept->payload_size) : 0;
    while (added == nullptr && store_.can_hold(message) && size <= store_.capacity() - kept_size) {
      detail::MqttEntry* const first = store_.first();
      store_.remove(kept != nullptr ? *store_.next(*first) : *first);
      note_dropped();
      added = store_.append(message);
    }
  }
  if (added == nullptr) return note_dropped();
  if (strand_ != nullptr) strand_->wake();
  note_fill();
}

void MqttInboxBase::note_dropped() noexcept {
  ++dropped_;
  ++client_->stats_.inbox_dropped;
}

void MqttInboxBase::note_fill() noexcept {
  const bool full = when_full_ == MqttWhenFull::wait && store_.used() > store_.capacity() / 2;
  if (full == full_ || client_ == nullptr) return;
  full_ = full;
  client_->note_full_inboxes(full ? 1 : -1);
}

void MqttInboxBase::release_taken() noexcept {
  if (!taken_) return;
  store_.remove(*store_.first());
  taken_ = false;
  note_fill();
}

bool MqttInboxBase::has_ended() const noexcept {
  return error_ != Error::none || client_ == nullptr || client_->ended_;
}

bool MqttInboxBase::Next::await_ready() noexcept {
  if (inbox_->strand_ != nullptr) return true;
  inbox_->release_taken();
  return !inbox_->store_.empty() || inbox_->has_ended();
}

void MqttInboxBase::Next::await_suspend(std::coroutine_handle<> handle) noexcept {
  inbox_->strand_ = &Strand::running();
  inbox_->strand_->park(handle);
  waits_ = true;
}

Result<MqttMessage> MqttInboxBase::Next::await_resume() noexcept {
  if (!waits_ && inbox_->strand_ != nullptr) return Error::invalid;
  if (waits_) inbox_->strand_ = nullptr;
  waits_ = false;
  detail::MqttEntry* const first = inbox_->store_.settle_first();
  if (first == nullptr) return inbox_->error_ != Error::none ? inbox_->error_ : Error::closed;
  inbox_->taken_ = true;
  return first->message();
}

}  // namespace microdot::inline MICRODOT_ABI
