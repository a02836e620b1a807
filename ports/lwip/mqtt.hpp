#pragma once
/// MQTT by lwIP's mqtt application: docs/design/lwip.md.

#include <lwip/apps/mqtt_priv.h>
#include <lwip/tcp.h>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <microdot/ext/mqtt_protocol.hpp>

#include "mqtt_reader.hpp"

namespace microdot::inline MICRODOT_ABI {

/// lwIP's mqtt application as an `MqttProtocol`. lwIP calls it from the middle of its own work, which only
/// notes what has happened; it tells that in a turn of its own, by a timer of lwIP's, hence from the loop.
///
/// lwIP gets whole packets only, that were looked at before, and of messages no more than it has to
/// acknowledge.
class LwipMqtt final : public MqttProtocol {
 public:
  LwipMqtt() noexcept;
  LwipMqtt(const LwipMqtt&) = delete;
  LwipMqtt& operator=(const LwipMqtt&) = delete;

  /// For one owner, until it is released. False: it has one.
  bool acquire() noexcept;

  /// `unsupported` with TLS. `invalid`, beside what can't be: a zero byte in a text or in the will's payload,
  /// more than 255 bytes of either of the will's, or so much in all that the CONNECT has no room in lwIP's
  /// buffer.
  Result<void> open(const MqttOptions& options, MqttEvents& events) noexcept override;
  Result<std::uint16_t> publish(const MqttMessage& message) noexcept override;
  bool can_send(const MqttMessage& message) const noexcept override;
  bool keeps_in_flight() const noexcept override { return false; }
  Result<std::uint16_t> subscribe(std::string_view filter, std::uint8_t qos) noexcept override;
  Result<std::uint16_t> unsubscribe(std::string_view filter) noexcept override;
  void close(bool politely) noexcept override;
  void set_receiving(bool on) noexcept override;
  void release() noexcept override;

 private:
  enum class State : std::uint8_t { closed, resolving, connecting, connected };
  enum class Ending : std::uint8_t { none, polite, abrupt };
  /// What the broker has to acknowledge, beside lwIP's own note of it.
  struct Request {
    enum class Progress : std::uint8_t { free, sent, done, denied };
    std::uint16_t id = 0;
    std::uint8_t qos = 0;
    bool is_message = false;
    Progress progress = Progress::free;
  };
  struct Texts;

  // ---- From lwIP ----
  static void on_resolved(const char* name, const ip_addr_t* address, void* self) noexcept;
  static err_t on_tcp_connected(void* client, tcp_pcb* pcb, err_t error) noexcept;
  static err_t on_received(void* client, tcp_pcb* pcb, pbuf* bytes, err_t error) noexcept;
  static err_t on_sent(void* client, tcp_pcb* pcb, std::uint16_t size) noexcept;
  static err_t on_poll(void* client, tcp_pcb* pcb) noexcept;
  static void on_status(mqtt_client_t* client, void* self, mqtt_connection_status_t status) noexcept;
  static void on_answer(void* request, err_t error) noexcept;
  static void on_turn(void* self) noexcept;

  /// Another turn, in so many milliseconds.
  void schedule(std::uint32_t milliseconds = 0) noexcept;
  void turn() noexcept;
  err_t connect() noexcept;
  void read_on() noexcept;
  bool can_read() const noexcept;
  void take(MqttReader::Found found) noexcept;
  void take_message() noexcept;
  /// Gives a packet to lwIP.
  void feed(std::string_view packet) noexcept;
  void say_goodbye() noexcept;
  void drop_received() noexcept;
  void tell_requests() noexcept;
  void tell_closed() noexcept;
  /// Ends the connection for this reason, unless there is one already.
  void fail(Error error, std::string_view reason) noexcept;
  void note(Error error, std::string_view reason) noexcept;
  /// Nothing is left of the connection.
  void reset() noexcept;

  std::size_t ring_used() const noexcept;
  /// For a packet of so many bytes after its length.
  Result<Request*> reserve(std::size_t rest) noexcept;
  Result<std::uint16_t> sent(Request& request, err_t error) noexcept;
  Result<std::uint16_t> change_subscription(std::string_view filter, std::uint8_t qos, bool on) noexcept;

  // Only while it is received, and until it is released with PUBREL: QoS 2 towards us.
  bool is_unreleased(std::uint16_t id) const noexcept;

  State state_ = State::closed;
  Ending ending_ = Ending::none;
  bool in_use_ = false;
  bool in_turn_ = false;
  bool scheduled_ = false;
  bool paused_ = false;
  bool resolving_ = false;  ///< lwIP looks for an address, for this or for the connection before.
  bool resolved_ = false;
  bool accepted_ = false;      ///< By the broker, and nobody was told.
  bool at_end_ = false;        ///< The broker has closed its end.
  bool dropping_ = false;      ///< The message that comes is for nobody.
  Error error_ = Error::none;  ///< Why there is no connection any more.
  std::uint16_t last_id_ = 0;
  std::uint32_t ending_since_ = 0;
  std::int32_t taken_ = 0;  ///< Bytes read, by which the window is to be opened.
  std::string_view reason_;
  const MqttOptions* options_ = nullptr;
  MqttEvents* events_ = nullptr;
  ip_addr_t address_{};
  pbuf* received_ = nullptr;
  MqttReader reader_;
  std::array<Request, MQTT_REQ_MAX_IN_FLIGHT> requests_;
  std::array<std::uint16_t, 8> unreleased_{};
  std::uint8_t next_unreleased_ = 0;
  // lwIP's own callbacks, in whose place ours are.
  tcp_connected_fn mqtt_connected_ = nullptr;
  tcp_recv_fn mqtt_received_ = nullptr;
  tcp_sent_fn mqtt_sent_ = nullptr;
  tcp_poll_fn mqtt_poll_ = nullptr;
  mqtt_client_t client_{};
};

}  // namespace microdot::inline MICRODOT_ABI
