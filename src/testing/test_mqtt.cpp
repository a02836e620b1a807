#include <microdot/testing/test_mqtt.hpp>

#include <algorithm>
#include <utility>

namespace microdot::inline MICRODOT_ABI {

namespace {

TestMqttMessage copy(const MqttMessage& message) {
  return {std::string(message.topic), std::string(message.payload), message.qos, message.retain};
}

}  // namespace

// ---- What happens, when ----

void TestMqttBroker::add(Event event, Duration after) {
  event.at = loop_->now() + after;
  const auto later =
      std::find_if(queue_.begin(), queue_.end(), [&](const Event& e) { return event.at < e.at; });
  queue_.insert(later, std::move(event));
  arm();
}

void TestMqttBroker::arm() noexcept {
  disarm();
  if (!queue_.empty()) loop_->timers().arm(*this, queue_.front().at);
}

void TestMqttBroker::on_timer() noexcept {
  const TimePoint now = loop_->now();
  while (!queue_.empty() && queue_.front().at <= now) {
    const Event event = std::move(queue_.front());
    queue_.erase(queue_.begin());
    happen(event);
  }
  arm();
}

void TestMqttBroker::happen(const Event& event) {
  // All of it comes in one stream: acknowledgments lie behind messages.
  if (!receiving_ && is_read(event)) return unread_.push_back(event);
  switch (event.kind) {
    case Kind::connack: {
      const bool present = has_session_ && !options_->clean_session;
      if (!present) {
        subscriptions.clear();
        held_.clear();
      }
      has_session_ = !options_->clean_session;
      state_ = State::connected;
      events_->on_connected(present);
      for (const Flight& flight : in_flight_)
        add({.at = {}, .kind = Kind::arrives, .id = flight.id}, latency);
      std::vector<TestMqttMessage> missed;
      missed.swap(held_);
      for (const TestMqttMessage& message : missed) give(message);
      break;
    }
    case Kind::closed: events_->on_closed(event.error, event.reason); break;
    case Kind::arrives: arrive(event.id); break;
    case Kind::published:
      std::erase_if(in_flight_, [&](const Flight& flight) { return flight.id == event.id; });
      events_->on_published(event.id);
      break;
    case Kind::subscribed: events_->on_subscribed(event.id, event.flag); break;
    case Kind::message: {
      const TestMqttMessage& message = event.message;
      std::size_t offset = 0;
      do {
        const std::string_view piece = std::string_view(message.payload).substr(offset, piece_bytes);
        events_->on_message({message.topic, piece, message.qos, message.retain}, offset,
                            message.payload.size());
        offset += piece.size();
      } while (offset < message.payload.size());
      break;
    }
  }
}

/// Whether the client learns of it from what it reads. The system tells what it has taken of QoS 0.
bool TestMqttBroker::is_read(const Event& event) const noexcept {
  if (event.kind == Kind::published) {
    return std::none_of(in_flight_.begin(), in_flight_.end(), [&](const Flight& flight) {
      return flight.id == event.id && flight.message.qos == 0;
    });
  }
  return event.kind == Kind::subscribed || event.kind == Kind::message;
}

void TestMqttBroker::arrive(std::uint16_t id) {
  const auto flight =
      std::find_if(in_flight_.begin(), in_flight_.end(), [id](const Flight& f) { return f.id == id; });
  if (flight == in_flight_.end()) return;
  // A message of QoS 2 that was there already is known by its id.
  const bool first = !std::exchange(flight->arrived, true);
  if (acknowledges) add({.at = {}, .kind = Kind::published, .id = id}, latency);
  if (!first && flight->message.qos == 2) return;
  published.push_back(flight->message);
  route(published.back());
}

void TestMqttBroker::route(const TestMqttMessage& message) {
  if (message.retain) {
    std::erase_if(retained_, [&](const TestMqttMessage& kept) { return kept.topic == message.topic; });
    if (!message.payload.empty()) retained_.push_back(message);
  }
  for (const Subscription& subscription : subscriptions) {
    if (!matches_mqtt_filter(subscription.filter, message.topic)) continue;
    TestMqttMessage given = message;
    given.qos = std::min(message.qos, subscription.qos);
    given.retain = false;
    if (connected()) {
      give(given);
    } else if (has_session_ && given.qos != 0) {
      held_.push_back(given);
    }
    return;  // once, as most brokers do
  }
}

void TestMqttBroker::give(const TestMqttMessage& message) {
  add({.at = {}, .kind = Kind::message, .message = message}, latency);
}

// ---- What others do ----

void TestMqttBroker::send(std::string_view topic, std::string_view payload,
                          const MqttPublishOptions& options) {
  route(copy({topic, payload, options.qos, options.retain}));
}

void TestMqttBroker::lose(std::string_view static_reason) {
  if (state_ == State::closed) return;
  if (connected() && !options_->will.topic.empty()) {
    state_ = State::closed;
    published.push_back(copy(options_->will));
    route(published.back());
  }
  end(Error::closed, static_reason, Duration{0});
}

void TestMqttBroker::forget() {
  has_session_ = false;
  subscriptions.clear();
  retained_.clear();
  held_.clear();
}

void TestMqttBroker::end(Error error, std::string_view reason, Duration after) {
  state_ = State::closed;
  queue_.clear();
  for (const Event& event : std::exchange(unread_, {})) {
    if (has_session_ && event.kind == Kind::message && event.message.qos != 0) held_.push_back(event.message);
  }
  receiving_ = true;
  if (keeps) {
    std::erase_if(in_flight_, [](const Flight& flight) { return flight.message.qos == 0; });
  } else {
    in_flight_.clear();
  }
  add({.at = {}, .kind = Kind::closed, .error = error, .reason = reason}, after);
}

// ---- MqttProtocol ----

Result<void> TestMqttBroker::open(const MqttOptions& options, MqttEvents& events) noexcept {
  ++attempts;
  loop_ = &Loop::current();
  options_ = &options;
  events_ = &events;
  client_id = options.client_id;
  state_ = State::opening;
  switch (answer) {
    case TestMqttAnswer::accepts: add({.at = {}, .kind = Kind::connack}, 2 * latency); break;
    case TestMqttAnswer::refuses:
      end(Error::permission, "the broker refuses: not authorized", 2 * latency);
      break;
    case TestMqttAnswer::silent: break;
    case TestMqttAnswer::nobody_listens: end(Error::closed, "connection refused", latency); break;
  }
  return {};
}

Result<std::uint16_t> TestMqttBroker::publish(const MqttMessage& message) noexcept {
  if (!connected()) return Error::closed;
  if (!has_memory) return Error::no_memory;
  if (!can_send(message)) return Error::too_large;
  if (in_flight_.size() >= max_in_flight) return Error::would_block;
  const std::uint16_t id = next_id();
  in_flight_.push_back({.id = id, .message = copy(message)});
  add({.at = {}, .kind = Kind::arrives, .id = id}, latency);
  return id;
}

Result<std::uint16_t> TestMqttBroker::subscribe(std::string_view filter, std::uint8_t qos) noexcept {
  if (!connected()) return Error::closed;
  if (!has_memory) return Error::no_memory;
  ++subscribes;
  const std::uint16_t id = next_id();
  add({.at = {}, .kind = Kind::subscribed, .id = id, .flag = grants}, 2 * latency);
  if (!grants) return id;
  std::erase_if(subscriptions,
                [filter](const Subscription& subscription) { return subscription.filter == filter; });
  subscriptions.push_back({std::string(filter), qos});
  for (const TestMqttMessage& message : retained_) {
    if (matches_mqtt_filter(filter, message.topic)) give(message);
  }
  return id;
}

Result<std::uint16_t> TestMqttBroker::unsubscribe(std::string_view filter) noexcept {
  if (!connected()) return Error::closed;
  if (!has_memory) return Error::no_memory;
  std::erase_if(subscriptions,
                [filter](const Subscription& subscription) { return subscription.filter == filter; });
  return next_id();
}

void TestMqttBroker::close(bool politely) noexcept {
  if (state_ == State::closed || !answers_close) return;
  if (politely && connected()) {
    ++disconnects;
    for (const Flight& flight : in_flight_) {
      if (!flight.arrived) published.push_back(flight.message);
    }
  }
  end(Error::closed, "disconnected", Duration{0});
}

void TestMqttBroker::set_receiving(bool on) noexcept {
  receiving_ = on;
  if (!on || !connected()) return;
  // Before all that is on its way.
  for (Event& event : unread_) event.at = loop_->now();
  queue_.insert(queue_.begin(), unread_.begin(), unread_.end());
  unread_.clear();
  if (!queue_.empty()) arm();
}

void TestMqttBroker::release() noexcept {
  disarm();
  queue_.clear();
  unread_.clear();
  in_flight_.clear();
  state_ = State::closed;
  receiving_ = true;
}

}  // namespace microdot::inline MICRODOT_ABI
