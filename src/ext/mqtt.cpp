#include <microdot/ext/mqtt.hpp>

#include <algorithm>
#include <cstdlib>
#include <new>

namespace microdot::inline MICRODOT_ABI {

namespace {

using detail::MqttEntry;
using detail::MqttFilter;
using detail::MqttReceiver;

/// How long a protocol may take to close.
constexpr Duration kCloseTime = std::chrono::seconds(2);
/// How long the connection stays for what still has to be said, once the program is to exit.
constexpr Duration kExitTime = std::chrono::seconds(5);
/// When a protocol that takes no more is asked again, if nothing has happened before.
constexpr Duration kRetryTime = std::chrono::milliseconds(100);

/// Whether the protocol has to be left alone for now.
bool is_blocking(Error error) noexcept {
  return error == Error::would_block || error == Error::no_memory || error == Error::closed;
}

bool are_valid(const MqttOptions& options) noexcept {
  return (!options.client_id.empty() || options.clean_session) && options.client_id.size() <= UINT16_MAX &&
         options.keep_alive.count >= 0 && options.keep_alive.count <= 65535 * 1000 &&
         options.connect_timeout.count > 0 && !options.host.empty() &&
         (options.will.topic.empty() || (is_mqtt_topic(options.will.topic) && options.will.qos <= 2));
}

}  // namespace

/// As long as the task's coroutine lives: whatever ends that ends the connection.
class MqttClient::Session {
 public:
  explicit Session(MqttClient& client) noexcept : client_(&client) { client.session_ = this; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() {
    if (client_ != nullptr) client_->end();
  }
  void forget_client() noexcept { client_ = nullptr; }

  bool await_ready() const noexcept { return client_->woken_; }
  void await_suspend(std::coroutine_handle<> handle) const noexcept {
    Strand& strand = Strand::running();
    strand.park(handle);
    client_->strand_ = &strand;
    const TimePoint until = client_->next_deadline();
    if (until != TimePoint::max()) strand.wake_at(until);
    if (!strand.loop().exit_requested()) strand.loop().exit_waiters().push_back(strand);
  }
  void await_resume() const noexcept {}

 private:
  MqttClient* client_;
};

Task<> MqttClient::serve(MqttClient* client) {
  Session session(*client);
  while (client->step()) co_await session;
}

// ---- Life ----

MqttClient::MqttClient(const MqttOptions& options, const MqttLimits& limits, MqttProtocol* protocol,
                       MqttProtocol* (*source)() noexcept, std::span<std::byte> block) noexcept
    : options_(options), limits_(limits), protocol_(protocol), source_(source), block_(block) {
  if (block.empty()) return;
  const std::size_t outbox = detail::align_up(std::size_t{limits.outbox_bytes});
  const std::size_t message = detail::align_up(std::size_t{limits.message_bytes});
  outbox_ = detail::MqttStore(block.first(limits.outbox_bytes));
  assembly_ = {reinterpret_cast<char*>(block.data() + outbox), limits.message_bytes};
  memory_.assign(block.subspan(outbox + message));
}

MqttClient::MqttClient(const MqttOptions& options, const MqttLimits& limits, MqttProtocol* protocol,
                       MqttProtocol* (*source)() noexcept) noexcept
    : MqttClient(options, limits, protocol, source, [&]() -> std::span<std::byte> {
        auto* block = static_cast<std::byte*>(std::malloc(limits.block_bytes()));
        return {block, block != nullptr ? limits.block_bytes() : 0};
      }()) {
  release_ = [](std::byte* block) noexcept { std::free(block); };
}

void MqttClient::shut() noexcept {
  if (phase_ != Phase::none) {
    if (session_ != nullptr) session_->forget_client();
    task_.cancel();
  }
  if (phase_ != Phase::none || !ended_) end();
  filters_.for_each([](MqttFilter& filter) {
    while (!filter.inboxes.empty()) filter.inboxes.front().end();
    while (!filter.handlers.empty()) filter.handlers.front().end();
    filter.~MqttFilter();
    Arena::free(&filter);
  });
  while (!when_connected_.empty()) when_connected_.front().end();
  while (!when_lost_.empty()) when_lost_.front().end();
  if (release_ != nullptr) std::exchange(release_, nullptr)(block_.data());
}

Error MqttClient::start() noexcept {
  if (phase_ != Phase::none && task_.done()) end();  // it was ended before it ran
  if (phase_ != Phase::none) return stopping_ ? Error::canceled : Error::none;
  if (!are_valid(options_)) return Error::invalid;
  if (block_.empty()) return Error::no_memory;
  if (!has_protocol()) return Error::unsupported;
  if (options_.client_id.empty()) make_client_id();
  ended_ = false;
  backoff_ = Duration{0};
  logged_reason_ = {};
  set_phase(Phase::backoff, Duration{0});
  task_ = create_task("mqtt", serve, this);
  if (!task_.done()) return Error::none;
  end();
  return Error::no_memory;
}

void MqttClient::make_client_id() noexcept {
  unsigned char random[sizeof own_id_];
  Loop::current().port().entropy().fill(random);
  std::transform(std::begin(random), std::end(random), own_id_,
                 [](unsigned char byte) { return "0123456789abcdefghijklmnopqrstuv"[byte & 31]; });
  options_.client_id = {own_id_, sizeof own_id_};
}

void MqttClient::end() noexcept {
  session_ = nullptr;
  strand_ = nullptr;
  if (phase_ == Phase::open) protocol_->close(true);
  release_protocol();
  phase_ = Phase::none;
  stopping_ = exiting_ = was_lost_ = overdue_ = false;
  ended_ = true;
  forget_connection(false);
  while (!publishers_.empty()) {
    Publish& publisher = publishers_.pop_front();
    publisher.error_ = Error::closed;
    publisher.strand_->wake();
  }
  settle();
  filters_.for_each([](MqttFilter& filter) {
    filter.inboxes.for_each([](MqttReceiver& inbox) { inbox.on_disconnected(); });
  });
  task_ = {};
}

/// The system's is taken when it is needed first: its limits count before there is a connection.
bool MqttClient::has_protocol() noexcept {
  if (protocol_ == nullptr) protocol_ = source_();
  return protocol_ != nullptr;
}

void MqttClient::release_protocol() noexcept {
  if (protocol_ != nullptr) protocol_->release();
  if (source_ != nullptr) protocol_ = nullptr;
}

MqttState MqttClient::state() const noexcept {
  if (phase_ != Phase::none && stopping_) return MqttState::disconnecting;
  switch (phase_) {
    case Phase::none: return ended_ ? MqttState::disconnected : MqttState::idle;
    case Phase::backoff: return MqttState::waiting;
    case Phase::open: return MqttState::connected;
    case Phase::opening:
    case Phase::closing: break;
  }
  return MqttState::connecting;
}

MqttStats MqttClient::stats() const noexcept {
  MqttStats stats = stats_;
  stats.outbox_bytes = outbox_.used();
  stats.outbox_high_water = outbox_.high_water();
  return stats;
}

// ---- The task ----

void MqttClient::set_phase(Phase phase, Duration until) noexcept {
  phase_ = phase;
  deadline_ = Loop::current().now() + until;
}

TimePoint MqttClient::next_deadline() const noexcept {
  if (phase_ != Phase::open) return deadline_;
  TimePoint next = stopping_ ? std::min(stop_deadline_, stall_deadline_) : stall_deadline_;
  if (blocked_) next = std::min(next, Loop::current().now() + kRetryTime);
  return next;
}

void MqttClient::wake() noexcept {
  woken_ = true;
  if (strand_ != nullptr) strand_->wake();
}

/// There is no lock: what another thread does, as a handler in another worker, would break the client and
/// that thread's loop, some time later. Also without assertions, and only while the task runs.
void MqttClient::check_thread() const noexcept {
#if MICRODOT_HOSTED
  if (strand_ == nullptr || strand_->is_in_its_thread()) return;
  strand_->loop().port().log().write(LogLevel::error,
                                     "mqtt: used by another thread: see \"Workers\" in docs/guide/server.md");
  std::abort();
#endif
}

/// What is due now; false at the end.
bool MqttClient::step() noexcept {
  woken_ = false;
  const Loop& loop = Loop::current();
  if (!stopping_ && loop.exit_requested()) stop(kExitTime, true);
  const TimePoint now = Loop::current().now();
  switch (phase_) {
    case Phase::none: return false;
    case Phase::backoff:
      if (stopping_) return false;
      if (now >= deadline_) open();
      break;
    case Phase::opening:
      if (!stopping_ && now < deadline_) break;
      protocol_->close(false);
      set_phase(Phase::closing, kCloseTime);
      break;
    case Phase::open:
      if (stopping_ && (now >= stop_deadline_ || (outbox_.empty() && !exiting_))) {
        protocol_->close(true);
        set_phase(Phase::closing, kCloseTime);
      } else {
        pump();
        bound_stall(now);
      }
      break;
    case Phase::closing:
      if (now < deadline_) break;
      release_protocol();  // it has no answer
      closed(Error::timeout, "the connection did not close", false);
      break;
  }
  return true;
}

void MqttClient::stop(Duration time, bool exiting) noexcept {
  stopping_ = true;
  exiting_ = exiting;
  stop_deadline_ = Loop::current().now() + time;
}

void MqttClient::open() noexcept {
  set_phase(Phase::opening, options_.connect_timeout);
  const Result<void> opened = has_protocol() ? protocol_->open(options_, events_) : Error::unsupported;
  if (!opened) on_closed(opened.error(), to_string(opened.error()));
}

void MqttClient::pump() noexcept {
  Error error = send_subscriptions();
  if (error == Error::none) error = send_messages();
  blocked_ = error != Error::none && error != Error::closed;
}

Error MqttClient::send_subscriptions() noexcept {
  Error blocking = Error::none;
  filters_.for_each([&](MqttFilter& filter) {
    if (blocking != Error::none) return;
    const bool unused = filter.unused();
    if (!unused && filter.state != MqttFilter::State::wanted) return;
    if (unused && free_filter(filter)) return;
    const Result<std::uint16_t> sent =
        unused ? protocol_->unsubscribe(filter.text) : protocol_->subscribe(filter.text, filter.qos);
    if (!sent && is_blocking(sent.error())) {
      blocking = sent.error();
    } else if (unused) {
      filter.known = false;
      free_filter(filter);
    } else if (sent) {
      filter.known = true;
      filter.state = MqttFilter::State::asked;
      filter.id = *sent;
    } else {
      note_denied(filter, to_string(sent.error()));
    }
  });
  return blocking;
}

Error MqttClient::send_messages() noexcept {
  bool dropped = false;
  for (MqttEntry* entry = outbox_.first(); entry != nullptr;) {
    MqttEntry* const next = outbox_.next(*entry);
    if (entry->state == MqttEntry::State::waits) {
      const Result<std::uint16_t> sent = protocol_->publish(entry->message());
      if (sent) {
        entry->state = MqttEntry::State::in_flight;
        entry->id = *sent;
      } else if (is_blocking(sent.error())) {
        return sent.error();
      } else {
        FixedText<160> line;
        line.append("mqtt: dropped a message for \"").append(entry->topic().substr(0, 64));
        line.append("\": ").append(to_string(sent.error()));
        Loop::current().port().log().write(LogLevel::warning, line.view());
        drop(*entry);
        dropped = true;
      }
    }
    entry = next;
  }
  if (dropped) settle();
  return Error::none;
}

// ---- What the protocol tells ----

void MqttClient::on_connected(bool session_present) noexcept {
  if (phase_ != Phase::opening) return;
  phase_ = Phase::open;
  connected_at_ = Loop::current().now();
  blocked_ = false;
  logged_reason_ = {};
  ++stats_.connects;
  ++outcomes_;
  if (!session_present) {
    filters_.for_each([](MqttFilter& filter) {
      filter.state = MqttFilter::State::wanted;
      filter.known = false;
    });
  }
  receiving_ = true;
  update_receiving();
  FixedText<160> line;
  line.append(was_lost_ ? "mqtt: back at " : "mqtt: connected to ");
  append_broker(line);
  Loop::current().port().log().write(LogLevel::info, line.view());
  call_all(when_connected_);
  settle();
  wake();
}

void MqttClient::on_closed(Error error, std::string_view reason) noexcept {
  closed(error, reason, protocol_ != nullptr && protocol_->keeps_in_flight());
}

void MqttClient::closed(Error error, std::string_view reason, bool keeps_in_flight) noexcept {
  const Phase phase = phase_;
  if (phase == Phase::none || phase == Phase::backoff) return;
  if (phase == Phase::closing && !stopping_) {
    error = Error::timeout;
    reason = "no answer to CONNECT";
  }
  forget_connection(keeps_in_flight);
  if (phase == Phase::open) {
    // One that goes as soon as it has come is an attempt that failed.
    if (Loop::current().now() - connected_at_ >= Duration(options_.max_backoff)) backoff_ = Duration{0};
  }
  const Duration again = next_backoff();
  set_phase(Phase::backoff, again);
  if (phase == Phase::open || !stopping_) {
    last_error_ = error;
    stats_.last_reason = reason;
  }
  if (phase == Phase::open) {
    ++stats_.losses;
    was_lost_ = true;
    log_trouble("lost ", reason, again);
    call_all(when_lost_);
  } else if (!stopping_) {
    ++stats_.failures;
    ++outcomes_;
    if (reason != logged_reason_) log_trouble("no connection to ", reason, again);
  }
  settle();
  wake();
}

void MqttClient::on_published(std::uint16_t id) noexcept {
  for (MqttEntry* entry = outbox_.first(); entry != nullptr; entry = outbox_.next(*entry)) {
    if (entry->state != MqttEntry::State::in_flight || entry->id != id) continue;
    outbox_.remove(*entry);
    ++stats_.acknowledged;
    settle();
    return wake();
  }
}

void MqttClient::on_subscribed(std::uint16_t id, bool granted) noexcept {
  MqttFilter* const filter =
      filters_.find([id](const MqttFilter& f) { return f.state == MqttFilter::State::asked && f.id == id; });
  if (filter != nullptr) {
    filter->state = MqttFilter::State::granted;
    if (!granted) note_denied(*filter, "the broker says no");
  }
  wake();
}

/// What ended with the connection.
void MqttClient::forget_connection(bool keeps_in_flight) noexcept {
  assembled_ = kNone;
  for (MqttEntry* entry = outbox_.first(); entry != nullptr;) {
    MqttEntry* const next = outbox_.next(*entry);
    if (entry->state == MqttEntry::State::in_flight) {
      if (entry->qos == 0) {
        drop(*entry);
      } else if (!keeps_in_flight) {
        entry->state = MqttEntry::State::waits;
      }
    }
    entry = next;
  }
  filters_.for_each([this](MqttFilter& filter) {
    if (options_.clean_session) filter.known = false;
    if (!filter.known || filter.state != MqttFilter::State::granted) filter.state = MqttFilter::State::wanted;
    if (filter.unused()) free_filter(filter);
  });
}

/// Doubled each time; a quarter less or more by chance, so that clients of a broker that was away do not all
/// come at once. Never above `max_backoff`.
Duration MqttClient::next_backoff() noexcept {
  const Duration most = Duration(options_.max_backoff) * 4 / 5;
  backoff_ = backoff_ == Duration{0} ? Duration(options_.min_backoff) : 2 * backoff_;
  backoff_ = std::max(std::min(backoff_, most), Duration(std::chrono::milliseconds(1)));
  unsigned char random[2];
  Loop::current().port().entropy().fill(random);
  const int chance = random[0] + 256 * random[1];
  return backoff_ * 3 / 4 + backoff_ / 2 * chance / 65535;
}

void MqttClient::append_broker(TextBuilder& line) const noexcept {
  line.append(options_.host.substr(0, 64)).append(':').append(options_.port);
}

void MqttClient::log_trouble(std::string_view what, std::string_view reason, Duration again) noexcept {
  logged_reason_ = reason;
  FixedText<200> line;
  line.append("mqtt: ").append(what);
  append_broker(line);
  line.append(": ").append(reason);
  if (!stopping_) {
    line.append("; again in ")
        .append(std::chrono::duration_cast<std::chrono::milliseconds>(again).count())
        .append(" ms");
  }
  Loop::current().port().log().write(LogLevel::warning, line.view());
}

// ---- The outbox ----

Error MqttClient::offer(const MqttMessage& message, bool may_wait) noexcept {
  check_thread();
  if (ended_ || (stopping_ && !exiting_)) return Error::closed;
  if (!is_mqtt_topic(message.topic) || message.qos > 2) return Error::invalid;
  if (block_.empty()) return Error::no_memory;
  if (!outbox_.can_hold(message)) return Error::too_large;
  if (has_protocol() && !protocol_->can_send(message)) return Error::too_large;
  const Error error = publishers_.empty() ? put(message) : Error::would_block;
  if (error != Error::none && !(may_wait && limits_.when_full == MqttWhenFull::wait)) ++stats_.refused;
  return error;
}

Error MqttClient::put(const MqttMessage& message) noexcept {
  MqttEntry* entry = outbox_.append(message);
  if (entry == nullptr && limits_.when_full == MqttWhenFull::drop_oldest) entry = put_for_older(message);
  if (entry == nullptr) return Error::would_block;
  ++stats_.published;
  wake();
  return Error::none;
}

/// Drops as many of the oldest that wait as it takes, or none if all of them are too few.
MqttEntry* MqttClient::put_for_older(const MqttMessage& message) noexcept {
  std::size_t in_flight = 0;
  MqttEntry* oldest = outbox_.first();
  for (; oldest != nullptr && oldest->state == MqttEntry::State::in_flight; oldest = outbox_.next(*oldest)) {
    in_flight += mqtt_message_bytes(oldest->topic_size, oldest->payload_size);
  }
  if (mqtt_message_bytes(message.topic.size(), message.payload.size()) > outbox_.capacity() - in_flight) {
    return nullptr;
  }
  for (;;) {
    MqttEntry* const next = outbox_.next(*oldest);
    drop(*oldest);
    if (MqttEntry* const entry = outbox_.append(message)) {
      wake_waits();
      return entry;
    }
    oldest = next;
  }
}

void MqttClient::drop(MqttEntry& entry) noexcept {
  outbox_.remove(entry);
  ++stats_.dropped;
}

/// Lets those go on whose time has come.
void MqttClient::settle() noexcept {
  while (!publishers_.empty()) {
    Publish& first = publishers_.front();
    const Error error = put(first.message_);
    if (error == Error::would_block) break;
    first.unlink();
    first.error_ = error;
    first.strand_->wake();
  }
  wake_waits();
}

void MqttClient::wake_waits() noexcept {
  waits_.for_each([](Wait& wait) {
    if (!wait.await_ready()) return;
    wait.unlink();
    wait.strand_->wake();
  });
}

MqttClient::Wait MqttClient::connect() noexcept {
  const Error error = start();
  return Wait(*this, error == Error::none ? Wait::For::outcome : Wait::For::nothing, outcomes_, error);
}

MqttClient::Wait MqttClient::wait_connected() noexcept { return Wait(*this, Wait::For::connection, 0); }

MqttClient::Wait MqttClient::flush() noexcept { return Wait(*this, Wait::For::flush, outbox_.sequence()); }

MqttClient::Wait MqttClient::disconnect(Milliseconds time) noexcept {
  if (phase_ == Phase::none) {
    if (!ended_) end();
  } else if (!stopping_ || exiting_) {
    stop(time, false);
    wake();
  }
  return Wait(*this, Wait::For::end, 0);
}

bool MqttClient::Wait::await_ready() noexcept {
  MqttClient& client = *client_;
  switch (what_) {
    case For::nothing: return true;
    case For::outcome:
      if (client.phase_ == Phase::open) return true;
      if (client.outcomes_ == since_) break;
      error_ = client.last_error_;
      return true;
    case For::connection:
      if (client.phase_ == Phase::open) return true;
      break;
    case For::flush: {
      const MqttEntry* const first = client.outbox_.first();
      if (first == nullptr || static_cast<std::int32_t>(first->sequence - since_) > 0) return true;
      break;
    }
    case For::end:
      if (client.phase_ != Phase::none) return false;
      error_ = client.outbox_.empty() ? Error::none : Error::timeout;
      return true;
  }
  if (!client.ended_) return false;
  error_ = Error::closed;
  return true;
}

}  // namespace microdot::inline MICRODOT_ABI
