// What an MQTT client gets: subscriptions, messages and who takes them.

#include <microdot/ext/mqtt.hpp>

#include <algorithm>
#include <new>

namespace microdot::inline MICRODOT_ABI {

namespace {

using detail::MqttEntry;
using detail::MqttFilter;
using detail::MqttReceiver;

/// How long full inboxes may keep acknowledgments back. Less than the 30 s after which lwIP gives up a broker
/// that does not acknowledge.
constexpr Duration kStallTime = std::chrono::seconds(20);

}  // namespace

// ---- Subscriptions ----

Result<MqttFilter*> MqttClient::find_filter(std::string_view text, std::uint8_t qos) noexcept {
  if (!is_mqtt_filter(text) || qos > 2) return Error::invalid;
  MqttFilter* filter = filters_.find([text](const MqttFilter& f) { return f.text == text; });
  if (filter == nullptr) {
    void* const memory = memory_.allocate(sizeof(MqttFilter) + text.size());
    if (memory == nullptr) return Error::no_memory;
    filter = ::new (memory) MqttFilter;
    char* const copy = reinterpret_cast<char*>(filter + 1);
    std::copy_n(text.data(), text.size(), copy);
    filter->text = {copy, text.size()};
    filters_.push_back(*filter);
  }
  filter->qos = std::max(filter->qos, qos);
  filter->state = MqttFilter::State::wanted;
  wake();
  return filter;
}

Result<void> MqttClient::add_handler(std::string_view text, std::uint8_t qos,
                                     MqttReceiver* handler) noexcept {
  if (handler == nullptr) return is_mqtt_filter(text) ? Error::no_memory : Error::invalid;
  const Result<MqttFilter*> filter = find_filter(text, qos);
  if (!filter) {
    handler->end();
    return filter.error();
  }
  (*filter)->handlers.push_back(*handler);
  return {};
}

Result<void> MqttClient::add_hook(List<MqttReceiver>& hooks, MqttReceiver* hook) noexcept {
  if (hook == nullptr) return Error::no_memory;
  hooks.push_back(*hook);
  return {};
}

void MqttClient::leave(MqttFilter& filter) noexcept {
  if (!filter.unused()) return;
  if (phase_ != Phase::open) free_filter(filter);
  wake();
}

/// Frees one that nobody uses and that the broker knows nothing of.
bool MqttClient::free_filter(MqttFilter& filter) noexcept {
  if (filter.known) return false;
  filter.~MqttFilter();
  Arena::free(&filter);
  return true;
}

void MqttClient::note_denied(MqttFilter& filter, std::string_view reason) noexcept {
  filter.state = MqttFilter::State::denied;
  ++stats_.denied;
  FixedText<160> line;
  line.append("mqtt: no subscription of \"").append(filter.text.substr(0, 64)).append("\": ").append(reason);
  Loop::current().port().log().write(LogLevel::warning, line.view());
}

void MqttClient::note_full_inboxes(int more) noexcept {
  full_inboxes_ += static_cast<std::uint32_t>(more);
  if (full_inboxes_ == 0) overdue_ = false;
  update_receiving();
}

void MqttClient::update_receiving() noexcept {
  const bool on = full_inboxes_ == 0 || overdue_;
  if (phase_ != Phase::open || on == receiving_) return;
  receiving_ = on;
  stall_deadline_ = TimePoint::max();
  protocol_->set_receiving(on);
  wake();
}

bool MqttClient::awaits_answer() noexcept {
  for (MqttEntry* entry = outbox_.first(); entry != nullptr; entry = outbox_.next(*entry)) {
    if (entry->state == MqttEntry::State::in_flight && entry->qos != 0) return true;
  }
  return filters_.find([](const MqttFilter& f) { return f.state == MqttFilter::State::asked; }) != nullptr;
}

/// Acknowledgments come behind the messages that are not read, and the task that should take those may wait
/// for them. So after a while they are read, and dropped, until the full inboxes have been taken from.
void MqttClient::bound_stall(TimePoint now) noexcept {
  if (receiving_ || !awaits_answer()) {
    stall_deadline_ = TimePoint::max();
  } else if (stall_deadline_ == TimePoint::max()) {
    const Duration keep_alive = options_.keep_alive;
    stall_deadline_ = now + (keep_alive == Duration{0} ? kStallTime : std::min(keep_alive, kStallTime));
  } else if (now >= stall_deadline_) {
    Loop::current().port().log().write(
        LogLevel::warning,
        "mqtt: an inbox is full and keeps acknowledgments back: what finds no room is dropped");
    overdue_ = true;
    update_receiving();
  }
}

// ---- Messages ----

void MqttClient::on_message(const MqttMessage& message, std::size_t offset, std::size_t total) noexcept {
  if (offset == 0) {
    assembled_ = kNone;
    if (total > assembly_.size() || message.topic.size() > assembly_.size() - total) {
      ++stats_.too_large;
      return;
    }
    if (message.payload.size() == total) return deliver(message);
    assembled_topic_ = static_cast<std::uint16_t>(message.topic.size());
    assembled_ = 0;
    std::copy_n(message.topic.data(), message.topic.size(), assembly_.data());
  }
  if (assembled_ != offset || message.payload.size() > assembly_.size() - assembled_topic_ - offset) {
    assembled_ = kNone;  // the rest of what is dropped
    return;
  }
  std::copy_n(message.payload.data(), message.payload.size(), assembly_.data() + assembled_topic_ + offset);
  assembled_ += message.payload.size();
  if (assembled_ != total) return;
  assembled_ = kNone;
  deliver({.topic = {assembly_.data(), assembled_topic_},
           .payload = {assembly_.data() + assembled_topic_, total},
           .qos = message.qos,
           .retain = message.retain});
}

void MqttClient::deliver(const MqttMessage& message) noexcept {
  ++stats_.received;
  filters_.for_each([&](MqttFilter& filter) {
    if (!matches_mqtt_filter(filter.text, message.topic)) return;
    // Handlers last: they may end inboxes, but no handlers.
    for (auto* receivers : {&filter.inboxes, &filter.handlers}) {
      receivers->for_each([&](MqttReceiver& receiver) { call(receiver, message); });
    }
  });
}

void MqttClient::call(MqttReceiver& receiver, const MqttMessage& message) noexcept {
#if MICRODOT_EXCEPTIONS
  try {
    receiver.call(message);
  } catch (...) {
    detail::report_task_error("mqtt", detail::current_exception_text());
  }
#else
  receiver.call(message);
#endif
}

void MqttClient::call_all(List<MqttReceiver>& hooks) noexcept {
  hooks.for_each([this](MqttReceiver& hook) { call(hook, {}); });
}

// ---- Inboxes ----

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
  if (inbox_->client_ != nullptr) inbox_->client_->check_thread();
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
