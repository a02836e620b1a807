#pragma once
/// A broker for tests of programs that use an `MqttClient`: no sockets, no waiting. Time is the simulator's.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <microdot/async/loop.hpp>
#include <microdot/ext/mqtt.hpp>

namespace microdot::inline MICRODOT_ABI {

/// A message that a broker has.
struct TestMqttMessage {
  std::string topic;
  std::string payload;
  std::uint8_t qos = 0;
  bool retain = false;

  friend bool operator==(const TestMqttMessage&, const TestMqttMessage&) = default;
};

/// What an attempt to connect meets.
enum class TestMqttAnswer : std::uint8_t {
  accepts,
  refuses,        ///< With a CONNACK that says so.
  silent,         ///< A connection, but nothing more: no CONNACK.
  nobody_listens  ///< The system refuses the connection.
};

/// A broker in memory, and the connection of one client to it:
///
///     TestMqttBroker broker;
///     MqttClient mqtt(broker, {.client_id = "hub"});
///     ...
///     broker.send("hub/1/set", "on");              // somebody else publishes
///     EXPECT_EQ(broker.published.back().topic, "hub/1/state");
///     broker.lose();                               // the network goes
///
/// Like a real one it keeps retained messages, sessions (without `clean_session`) with what came meanwhile,
/// and publishes the will of a client that is lost.
class TestMqttBroker final : public MqttProtocol, private Timer {
 public:
  struct Subscription {
    std::string filter;
    std::uint8_t qos = 0;
  };

  TestMqttBroker() noexcept = default;
  TestMqttBroker(const TestMqttBroker&) = delete;
  TestMqttBroker& operator=(const TestMqttBroker&) = delete;
  ~TestMqttBroker() = default;

  // ---- How it behaves; change it at any time ----
  TestMqttAnswer answer = TestMqttAnswer::accepts;
  Duration latency = std::chrono::milliseconds(1);  ///< Of each direction.
  bool acknowledges = true;            ///< False: messages arrive, but no PUBACK or PUBCOMP goes.
  bool grants = true;                  ///< False: subscriptions are refused.
  bool keeps = false;                  ///< See `MqttProtocol::keeps_in_flight`.
  bool answers_close = true;           ///< False: `close` has no effect.
  bool has_memory = true;              ///< False: what the client sends is `no_memory`.
  std::size_t max_in_flight = 8;       ///< Messages of the client; one more is `would_block`.
  std::size_t max_message = SIZE_MAX;  ///< Topic and payload; larger is `too_large`.
  std::size_t piece_bytes = SIZE_MAX;  ///< Messages go to the client in pieces of this size.

  // ---- What others do ----
  /// Somebody publishes a message.
  void send(std::string_view topic, std::string_view payload, const MqttPublishOptions& options = {});
  /// The connection is lost: nothing that is on its way arrives, in neither direction.
  void lose(std::string_view static_reason = "connection reset");
  /// The broker has started anew: it knows no session and no retained message.
  void forget();

  // ---- What it has seen ----
  /// All that arrived from the client, its wills included, in order.
  std::vector<TestMqttMessage> published;
  /// Those of the client's session.
  std::vector<Subscription> subscriptions;
  std::size_t attempts = 0;     ///< Calls of `open`.
  std::size_t subscribes = 0;   ///< SUBSCRIBE packets.
  std::size_t disconnects = 0;  ///< DISCONNECT packets.
  std::string client_id;        ///< Of the last CONNECT.
  bool connected() const noexcept { return state_ == State::connected; }
  bool receiving() const noexcept { return receiving_; }
  /// Who is told: to say things that a protocol may say and this one does not. Between `open` and `release`.
  MqttEvents& events() noexcept { return *events_; }

  // ---- MqttProtocol ----
  Result<void> open(const MqttOptions& options, MqttEvents& events) noexcept override;
  Result<std::uint16_t> publish(const MqttMessage& message) noexcept override;
  bool can_send(const MqttMessage& message) const noexcept override {
    return message.topic.size() + message.payload.size() <= max_message;
  }
  bool keeps_in_flight() const noexcept override { return keeps; }
  Result<std::uint16_t> subscribe(std::string_view filter, std::uint8_t qos) noexcept override;
  Result<std::uint16_t> unsubscribe(std::string_view filter) noexcept override;
  void close(bool politely) noexcept override;
  void set_receiving(bool on) noexcept override;
  void release() noexcept override;

 private:
  enum class State : std::uint8_t { closed, opening, connected };
  enum class Kind : std::uint8_t { connack, closed, arrives, published, subscribed, message };
  struct Event {
    TimePoint at;
    Kind kind;
    std::uint16_t id = 0;
    bool flag = false;
    Error error = Error::none;
    std::string_view reason = {};
    TestMqttMessage message = {};
  };
  /// A message of the client that is in flight.
  struct Flight {
    std::uint16_t id;
    TestMqttMessage message;
    bool arrived = false;
  };

  void on_timer() noexcept override;
  void arm() noexcept;
  void add(Event event, Duration after);
  void happen(const Event& event);
  bool is_read(const Event& event) const noexcept;
  void arrive(std::uint16_t id);
  void route(const TestMqttMessage& message);
  void give(const TestMqttMessage& message);
  void end(Error error, std::string_view reason, Duration after);
  std::uint16_t next_id() noexcept { return ++last_id_ == 0 ? ++last_id_ : last_id_; }

  State state_ = State::closed;
  Loop* loop_ = nullptr;
  MqttEvents* events_ = nullptr;
  const MqttOptions* options_ = nullptr;
  std::vector<Event> queue_;  // by time
  std::vector<Flight> in_flight_;
  std::vector<TestMqttMessage> retained_;
  std::vector<TestMqttMessage> held_;  // for the client, which is away
  std::vector<Event> unread_;          // what has come to the client, which does not receive
  std::uint16_t last_id_ = 0;
  bool receiving_ = true;
  bool has_session_ = false;
};

}  // namespace microdot::inline MICRODOT_ABI
