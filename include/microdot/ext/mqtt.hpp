#pragma once
/// A client of an MQTT broker (3.1.1), on hosts and on devices:
///
///     MqttClient mqtt({.host = "127.0.0.1", .client_id = "hub"});
///
///     mqtt.subscribe("hub/+/set", [](const MqttMessage& m) { set(m.topic, m.payload); }, 1);
///     co_await mqtt.connect();
///     co_await mqtt.publish("hub/1/state", "on", {.qos = 1, .retain = true});
///
/// What is published is copied into an outbox and goes when there is a connection; the background task "mqtt"
/// keeps one, subscribes anew where the broker has forgotten, and sends again what was not acknowledged. All
/// memory is taken once, sized by `MqttLimits`. Hosts link `microdot::mqtt`, which speaks the protocol.

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include <microdot/async/spawn.hpp>
#include <microdot/base/arena.hpp>
#include <microdot/base/text.hpp>
#include <microdot/ext/mqtt_inbox.hpp>
#include <microdot/ext/mqtt_limits.hpp>
#include <microdot/ext/mqtt_protocol.hpp>
#include <microdot/ext/mqtt_store.hpp>
#include <microdot/ext/mqtt_topic.hpp>

namespace microdot::inline MICRODOT_ABI {

/// See the top of this file. Not to be moved; for use within one loop. It may go at any time but from within
/// its own handlers, and ends as if disconnected.
class MqttClient {
 public:
  /// On hosts: the block comes from the heap, here and once.
  explicit MqttClient(const MqttOptions& options, const MqttLimits& limits = MqttLimits::host()) noexcept
      : MqttClient(options, limits, nullptr, system_mqtt_protocol) {}
  /// With another protocol than the system's; it must outlive the client.
  MqttClient(MqttProtocol& protocol, const MqttOptions& options,
             const MqttLimits& limits = MqttLimits::host()) noexcept
      : MqttClient(options, limits, &protocol, nullptr) {}
  MqttClient(const MqttClient&) = delete;
  MqttClient& operator=(const MqttClient&) = delete;
  ~MqttClient() { shut(); }

  class Wait;
  class Publish;

  /// `co_await mqtt.connect()`: starts the background task "mqtt", and waits for the outcome of the first (or
  /// next) attempt. Whatever it is, the task goes on: it connects again after each loss, and only
  /// `disconnect` or the program's end stop it. Errors: those of the attempt; and these, with which nothing
  /// was started: `invalid`, options that can't be; `unsupported`, nothing here speaks MQTT (or has no more
  /// connections); `no_memory`; `canceled`, it is disconnecting.
  [[nodiscard]] Wait connect() noexcept;
  /// `co_await mqtt.wait_connected()`: until there is a connection. `closed`: the client was disconnected.
  [[nodiscard]] Wait wait_connected() noexcept;

  /// `co_await mqtt.publish(topic, payload, {.qos = 1, .retain = true})`: copies the message into the outbox,
  /// with or without a connection, whatever its QoS; does what `MqttLimits::when_full` says if that is full.
  /// The texts must stay valid until then.
  /// Messages go in order. Those of QoS 1 and 2 stay until the broker has acknowledged them and are sent
  /// again after a loss. Errors: `invalid`, a topic that can't be (see `is_mqtt_topic`) or a QoS above 2;
  /// `too_large` for the outbox, or for the protocol to send it ever; `would_block`, refused; `closed`, the
  /// client was disconnected.
  [[nodiscard]] Publish publish(std::string_view topic, std::string_view payload,
                                const MqttPublishOptions& options = {}) noexcept;
  /// The same without waiting: `would_block` where `publish` would wait. For plain functions and handlers.
  Result<void> try_publish(std::string_view topic, std::string_view payload,
                           const MqttPublishOptions& options = {}) noexcept {
    return offer({.topic = topic, .payload = payload, .qos = options.qos, .retain = options.retain}, false);
  }
  /// `co_await mqtt.flush()`: until all that was published before has been acknowledged (or dropped).
  /// `closed`: the client was disconnected before. Takes as long as there is no connection: see `wait_for`.
  [[nodiscard]] Wait flush() noexcept;
  /// `co_await mqtt.disconnect()`: takes no more messages, sends those that are left for up to `time` if
  /// there is a connection, says goodbye, so that the broker drops the will, and waits until the task has
  /// ended. `timeout`: messages are left; they go after the next `connect`, those in flight as new ones.
  [[nodiscard]] Wait disconnect(Milliseconds time = std::chrono::seconds(2)) noexcept;

  /// Calls `handler(const MqttMessage&)` for messages of topics that `filter` takes in (see
  /// `is_mqtt_filter`). With several filters for a topic all are called. The handler is kept in the client's
  /// memory and called by the loop, no strand runs: it must not wait (for that there is `MqttInbox`), but may
  /// `try_publish` and `create_task`. One that fails harms no other: `on_task_error` is told. The broker
  /// sends retained messages again for each further handler or inbox of a filter. Errors: `invalid`;
  /// `no_memory`: see `MqttLimits::subscription_bytes`.
  template <typename F>
  Result<void> subscribe(std::string_view filter, F&& handler, std::uint8_t qos = 0) {
    static_assert(std::invocable<std::decay_t<F>&, const MqttMessage&>,
                  "subscribe: the handler is called as f(const MqttMessage&)");
    static_assert(std::is_void_v<std::invoke_result_t<std::decay_t<F>&, const MqttMessage&>>,
                  "subscribe: the handler returns nothing; a coroutine takes messages from an MqttInbox");
    return add_handler(filter, qos, make_handler(std::forward<F>(handler)));
  }
  /// Calls `f()` each time there is a connection. Else as a handler. `no_memory`.
  template <std::invocable F>
  Result<void> on_connected(F&& f) {
    return add_hook(when_connected_, make_handler(std::forward<F>(f)));
  }
  /// Calls `f()` each time one was lost; `stats().last_reason` says why.
  template <std::invocable F>
  Result<void> on_lost(F&& f) {
    return add_hook(when_lost_, make_handler(std::forward<F>(f)));
  }

  MqttState state() const noexcept;
  bool connected() const noexcept { return state() == MqttState::connected; }
  MqttStats stats() const noexcept;
  const MqttLimits& limits() const noexcept { return limits_; }
  /// That of its options; if that is empty, the one that the first `connect` makes up, and before it none.
  std::string_view client_id() const noexcept { return options_.client_id; }

 protected:
  /// For `StaticMqttClient`: all memory is given.
  MqttClient(const MqttOptions& options, const MqttLimits& limits, MqttProtocol* protocol,
             MqttProtocol* (*source)() noexcept, std::span<std::byte> block) noexcept;
  void shut() noexcept;

 private:
  friend class MqttInboxBase;
  class Session;
  enum class Phase : std::uint8_t { none, backoff, opening, open, closing };

  MqttClient(const MqttOptions& options, const MqttLimits& limits, MqttProtocol* protocol,
             MqttProtocol* (*source)() noexcept) noexcept;

  template <typename F>
  detail::MqttReceiver* make_handler(F&& f) {
    return detail::make_in<detail::MqttHandler<std::decay_t<F>>>(memory_, std::forward<F>(f));
  }

  /// What the protocol tells. Not the client itself: Clang warns of those who destroy what has virtual
  /// functions and may have heirs.
  class Events final : public MqttEvents {
   public:
    explicit Events(MqttClient& client) noexcept : client_(&client) {}

   private:
    void on_connected(bool session_present) noexcept override { client_->on_connected(session_present); }
    void on_closed(Error error, std::string_view reason) noexcept override {
      client_->on_closed(error, reason);
    }
    void on_published(std::uint16_t id) noexcept override { client_->on_published(id); }
    void on_subscribed(std::uint16_t id, bool granted) noexcept override {
      client_->on_subscribed(id, granted);
    }
    void on_message(const MqttMessage& message, std::size_t offset, std::size_t total) noexcept override {
      client_->on_message(message, offset, total);
    }

    MqttClient* client_;
  };
  void on_connected(bool session_present) noexcept;
  void on_closed(Error error, std::string_view reason) noexcept;
  void on_published(std::uint16_t id) noexcept;
  void on_subscribed(std::uint16_t id, bool granted) noexcept;
  void on_message(const MqttMessage& message, std::size_t offset, std::size_t total) noexcept;
  void deliver(const MqttMessage& message) noexcept;
  void call(detail::MqttReceiver& receiver, const MqttMessage& message) noexcept;
  void call_all(List<detail::MqttReceiver>& hooks) noexcept;
  void closed(Error error, std::string_view reason, bool keeps_in_flight) noexcept;
  void forget_connection(bool keeps_in_flight) noexcept;
  void log_trouble(std::string_view what, std::string_view reason, Duration again) noexcept;
  void append_broker(TextBuilder& line) const noexcept;

  // The task.
  static Task<> serve(MqttClient* client);
  Error start() noexcept;
  void make_client_id() noexcept;
  bool step() noexcept;
  void open() noexcept;
  void pump() noexcept;
  Error send_subscriptions() noexcept;
  Error send_messages() noexcept;
  void stop(Duration time, bool exiting) noexcept;
  void end() noexcept;
  void wake() noexcept;
  void check_thread() const noexcept;
  void set_phase(Phase phase, Duration until) noexcept;
  TimePoint next_deadline() const noexcept;
  Duration next_backoff() noexcept;
  bool has_protocol() noexcept;
  void release_protocol() noexcept;

  // Subscriptions.
  Result<void> add_handler(std::string_view text, std::uint8_t qos, detail::MqttReceiver* handler) noexcept;
  Result<void> add_hook(List<detail::MqttReceiver>& hooks, detail::MqttReceiver* hook) noexcept;
  Result<detail::MqttFilter*> find_filter(std::string_view text, std::uint8_t qos) noexcept;
  void leave(detail::MqttFilter& filter) noexcept;
  bool free_filter(detail::MqttFilter& filter) noexcept;
  void note_denied(detail::MqttFilter& filter, std::string_view reason) noexcept;
  void note_full_inboxes(int more) noexcept;
  void update_receiving() noexcept;
  bool awaits_answer() noexcept;
  void bound_stall(TimePoint now) noexcept;

  // The outbox.
  Error offer(const MqttMessage& message, bool may_wait) noexcept;
  Error put(const MqttMessage& message) noexcept;
  detail::MqttEntry* put_for_older(const MqttMessage& message) noexcept;
  void drop(detail::MqttEntry& entry) noexcept;
  void settle() noexcept;
  void wake_waits() noexcept;

  Events events_{*this};
  MqttOptions options_;
  MqttLimits limits_;
  MqttProtocol* protocol_;
  MqttProtocol* (*source_)() noexcept;
  std::span<std::byte> block_;
  void (*release_)(std::byte* block) noexcept = nullptr;  // of a block from the heap
  detail::MqttStore outbox_;
  std::span<char> assembly_;
  Arena memory_;
  List<detail::MqttFilter> filters_;
  List<detail::MqttReceiver> when_connected_;
  List<detail::MqttReceiver> when_lost_;
  List<Publish> publishers_;
  List<Wait> waits_;
  TaskHandle task_;
  Session* session_ = nullptr;
  Strand* strand_ = nullptr;  // the task's, while it waits
  TimePoint deadline_{};      // of the phase
  TimePoint stop_deadline_{};
  TimePoint stall_deadline_ = TimePoint::max();
  TimePoint connected_at_{};
  Duration backoff_{0};
  MqttStats stats_;
  std::string_view logged_reason_;
  static constexpr std::size_t kNone = SIZE_MAX;
  std::size_t assembled_ = kNone;  // bytes of a payload that have come
  std::uint32_t outcomes_ = 0;     // of attempts
  std::uint32_t full_inboxes_ = 0;
  std::uint16_t assembled_topic_ = 0;
  Error last_error_ = Error::none;
  Phase phase_ = Phase::none;
  bool woken_ = false;
  bool blocked_ = false;  // the protocol takes no more for now
  bool receiving_ = true;
  bool overdue_ = false;   // full inboxes do not keep it from receiving any more
  bool was_lost_ = false;  // the connection that there is to be replaces one
  bool stopping_ = false;
  bool exiting_ = false;  // it stops since the program is to exit: what is published meanwhile still goes
  bool ended_ = false;
  char own_id_[23];
};

/// A client whose memory is a part of itself: nothing of it comes from the heap. Its task, 200 bytes on
/// a 32-bit ARM, lies in the task pool.
///
///     StaticMqttClient<MqttLimits{.outbox_bytes = 1024, .message_bytes = 256}> mqtt(options);
///     static_assert(decltype(mqtt)::memory() <= 4 * 1024);
template <MqttLimits kLimits>
class StaticMqttClient : public MqttClient {
 public:
  explicit StaticMqttClient(const MqttOptions& options) noexcept
      : MqttClient(options, kLimits, nullptr, system_mqtt_protocol, block_) {}
  StaticMqttClient(MqttProtocol& protocol, const MqttOptions& options) noexcept
      : MqttClient(options, kLimits, &protocol, nullptr, block_) {}
  ~StaticMqttClient() { this->shut(); }
  /// Bytes of all this. What speaks the protocol has its own.
  static constexpr std::size_t memory() noexcept { return sizeof(StaticMqttClient); }

 private:
  alignas(std::max_align_t) std::byte block_[kLimits.block_bytes()];
};

/// One message on its way into the outbox, as an awaitable: see `MqttClient::publish`.
class MqttClient::Publish : public ListHook {
 public:
  Publish(MqttClient& client, const MqttMessage& message) noexcept : client_(&client), message_(message) {}
  /// Of one that does not wait yet: for `wait_for` and `gather`.
  Publish(Publish&& other) noexcept : client_(other.client_), message_(other.message_) {}
  Publish& operator=(Publish&&) = delete;
  bool await_ready() noexcept {
    error_ = client_->offer(message_, true);
    return error_ != Error::would_block || client_->limits_.when_full != MqttWhenFull::wait;
  }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    strand_ = &Strand::running();
    strand_->park(handle);
    client_->publishers_.push_back(*this);
  }
  Result<void> await_resume() const noexcept { return error_; }

 private:
  friend class MqttClient;

  MqttClient* client_;
  Strand* strand_ = nullptr;
  MqttMessage message_;
  Error error_ = Error::none;
};

/// What `connect`, `wait_connected`, `flush` and `disconnect` give: an awaitable.
class MqttClient::Wait : public ListHook {
 public:
  enum class For : std::uint8_t { nothing, outcome, connection, flush, end };

  Wait(MqttClient& client, For what, std::uint32_t since, Error error = Error::none) noexcept
      : client_(&client), since_(since), what_(what), error_(error) {}
  /// Of one that does not wait yet: for `wait_for` and `gather`.
  Wait(Wait&& other) noexcept : Wait(*other.client_, other.what_, other.since_, other.error_) {}
  Wait& operator=(Wait&&) = delete;
  bool await_ready() noexcept;
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    strand_ = &Strand::running();
    strand_->park(handle);
    client_->waits_.push_back(*this);
  }
  Result<void> await_resume() const noexcept { return error_; }

 private:
  friend class MqttClient;

  MqttClient* client_;
  Strand* strand_ = nullptr;
  std::uint32_t since_;
  For what_;
  Error error_;
};

inline MqttClient::Publish MqttClient::publish(std::string_view topic, std::string_view payload,
                                               const MqttPublishOptions& options) noexcept {
  return Publish(*this, {.topic = topic, .payload = payload, .qos = options.qos, .retain = options.retain});
}

}  // namespace microdot::inline MICRODOT_ABI
