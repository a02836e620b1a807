#pragma once
/// What speaks MQTT to a broker for an `MqttClient`: libmosquitto on hosts, lwIP's mqtt application on
/// devices, a fake in tests. Programs need it only to bring another one.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <microdot/base/result.hpp>
#include <microdot/limits.hpp>

namespace microdot::inline MICRODOT_ABI {

/// A message, as it is published or received. All of it are views.
struct MqttMessage {
  std::string_view topic = {};
  std::string_view payload = {};
  std::uint8_t qos = 0;  ///< 0: at most once, 1: at least once, 2: exactly once.
  bool retain = false;   ///< The broker keeps it for those who subscribe later; received: it was kept.
};

/// TLS to the broker, on hosts; off without a file of authorities.
struct MqttTls {
  std::string_view ca_file = {};           ///< Whom to trust, PEM: a path.
  std::string_view certificate_file = {};  ///< This client's own, if the broker asks for one.
  std::string_view key_file = {};
  bool check_host_name = true;  ///< Off only where certificates name no host.
};

/// Which broker, and how. Texts must stay valid while the client is used (literals, or the program's own).
struct MqttOptions {
  std::string_view host = "127.0.0.1";  ///< A name or an address.
  std::uint16_t port = 1883;
  /// Unique at the broker. "": made up of random digits, which needs `clean_session`.
  std::string_view client_id = {};
  std::string_view username = {};
  std::string_view password = {};
  /// False: the broker keeps subscriptions and messages of QoS 1 and 2 while the client is away.
  bool clean_session = true;
  Milliseconds keep_alive =
      std::chrono::seconds(30);  ///< A silent connection counts as lost after 1.5 of it.
  Milliseconds connect_timeout = std::chrono::seconds(5);     ///< From the first packet to the CONNACK.
  Milliseconds min_backoff = std::chrono::milliseconds(250);  ///< Before the first attempt after a loss.
  Milliseconds max_backoff = std::chrono::seconds(10);  ///< Doubled up to this, with jitter of a quarter.
  /// Published by the broker when the client is gone without a word. None without a topic.
  MqttMessage will = {};
  MqttTls tls = {};
};

/// What an `MqttProtocol` tells. Called by the loop only, never from inside a call to the protocol.
class MqttEvents {
 public:
  /// The broker has accepted. `session_present`: it knows the subscriptions of the session before.
  virtual void on_connected(bool session_present) noexcept = 0;
  /// There is no connection (any more), or none came to be: why, in words that stay valid (static). Nothing
  /// follows until `open`. Also the answer to `close`.
  virtual void on_closed(Error error, std::string_view reason) noexcept = 0;
  /// The broker has acknowledged (QoS 1: PUBACK, 2: PUBCOMP); for QoS 0 the system has taken it.
  virtual void on_published(std::uint16_t id) noexcept = 0;
  /// The broker has answered to `subscribe`.
  virtual void on_subscribed(std::uint16_t id, bool granted) noexcept = 0;
  /// A piece of a message that came: `message.payload` is `total` bytes from `offset` on; the views are valid
  /// during the call. Most come in one piece.
  virtual void on_message(const MqttMessage& message, std::size_t offset, std::size_t total) noexcept = 0;

 protected:
  ~MqttEvents() = default;
};

/// A connection to a broker. One at a time; may be opened again after it was closed. `close`, `release` and
/// `set_receiving` are called also when no loop is current any more, since the program ends.
class MqttProtocol {
 public:
  /// Begins to connect: `on_connected` or `on_closed` follows. `options` stays valid until `release`. An
  /// error: nothing follows (`invalid`: options it can't do; `no_memory`; `network_down`).
  virtual Result<void> open(const MqttOptions& options, MqttEvents& events) noexcept = 0;
  /// Sends a message and copies what it has to keep. Gives its id; `on_published` follows. Errors:
  /// `would_block`: as many as may be are in flight, or a buffer is full: again when one was published;
  /// `no_memory`: again after a while; `too_large`; `invalid`; `closed`.
  virtual Result<std::uint16_t> publish(const MqttMessage& message) noexcept = 0;
  /// Whether a message of this size can ever be sent; `publish` is `too_large` if not. Also without a
  /// connection.
  virtual bool can_send(const MqttMessage& message) const noexcept = 0;
  /// Whether messages of QoS 1 and 2 that were in flight when the connection was lost are sent again by the
  /// protocol itself, as the same ones (QoS 2 stays exactly once). If not, the client publishes them anew.
  virtual bool keeps_in_flight() const noexcept = 0;
  /// Errors: as of `publish`. `on_subscribed` follows.
  virtual Result<std::uint16_t> subscribe(std::string_view filter, std::uint8_t qos) noexcept = 0;
  virtual Result<std::uint16_t> unsubscribe(std::string_view filter) noexcept = 0;
  /// Ends the connection; `politely` with a DISCONNECT after what was published, so that the broker drops the
  /// will. `on_closed` follows, soon.
  virtual void close(bool politely) noexcept = 0;
  /// Takes no (false) or again (true) what comes from the broker: it stays in the system's buffers meanwhile.
  /// Also called from within `on_connected` and `on_message`; each connection begins with `true`.
  virtual void set_receiving(bool on) noexcept = 0;
  /// Ends it all at once and gives the object back. No event follows.
  virtual void release() noexcept = 0;

 protected:
  ~MqttProtocol() = default;
};

/// The protocol of the system that the program runs on; null if there is none (left). Linked by
/// `microdot::mqtt` on hosts and by lwIP's port on devices.
MqttProtocol* system_mqtt_protocol() noexcept;

}  // namespace microdot::inline MICRODOT_ABI
