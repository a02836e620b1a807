#include "mqtt.hpp"

#include <lwip/dns.h>
#include <lwip/pbuf.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>
#include <algorithm>
#include <cstring>

#include "address.hpp"
#include "board.hpp"
#include "network.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

// lwIP takes a ring that is full for an empty one, and throws away an answer for which there is no room. So
// the program's packets leave room for some answers, and nothing is read unless there is room for one, and
// for what lwIP sends by itself (PINGREQ).
constexpr std::size_t kRingBytes = MQTT_OUTPUT_RINGBUF_SIZE;
constexpr std::size_t kAnswerBytes = 4;
constexpr std::size_t kPingBytes = 8;
constexpr std::size_t kLargestPacket = kRingBytes - 1 - kPingBytes - 4 * kAnswerBytes;
static_assert(kRingBytes >= 128 && kRingBytes <= 0x7FFF);

constexpr std::uint16_t kShortestKeepAlive = 5;  // seconds: lwIP pings up to two too late
constexpr std::uint32_t kGoodbyeMilliseconds = 2000;
constexpr std::uint32_t kGoodbyeStep = 50;
constexpr std::string_view kDisconnect{"\xE0\x00", 2};

/// With the first byte and the length.
constexpr std::size_t packet_bytes(std::size_t rest) noexcept { return rest + (rest < 128 ? 2 : 3); }

bool has_zero(std::string_view text) noexcept { return text.find('\0') != std::string_view::npos; }

/// Of a PUBLISH, after its length.
std::size_t publish_bytes(const MqttMessage& message) noexcept {
  return 2 + message.topic.size() + (message.qos != 0 ? 2 : 0) + message.payload.size();
}

std::size_t connect_bytes(const MqttOptions& options) noexcept {
  std::size_t rest = 10 + 2 + options.client_id.size();
  if (!options.will.topic.empty()) rest += 4 + options.will.topic.size() + options.will.payload.size();
  if (!options.username.empty()) rest += 2 + options.username.size();
  if (!options.password.empty()) rest += 2 + options.password.size();
  return packet_bytes(rest);
}

bool can_be(const MqttOptions& options) noexcept {
  for (const std::string_view text : {options.host, options.client_id, options.username, options.password,
                                      options.will.topic, options.will.payload}) {
    if (has_zero(text)) return false;
  }
  return !options.host.empty() && options.host.size() < DNS_MAX_NAME_LENGTH && options.port != 0 &&
         options.will.qos <= 2 && options.will.topic.size() <= 0xFF && options.will.payload.size() <= 0xFF &&
         (options.password.empty() || !options.username.empty()) && connect_bytes(options) <= kLargestPacket;
}

std::uint16_t keep_alive_seconds(Milliseconds time) noexcept {
  if (time.count == 0) return 0;
  return static_cast<std::uint16_t>(
      std::clamp<std::int64_t>((std::int64_t{time.count} + 999) / 1000, kShortestKeepAlive, 0xFFFF));
}

Error to_error(err_t error) noexcept {
  switch (error) {
    case ERR_MEM:
    case ERR_BUF:
    case ERR_USE: return Error::no_memory;
    case ERR_RTE:
    case ERR_IF: return Error::network_down;
    case ERR_VAL:
    case ERR_ARG: return Error::invalid;
    case ERR_CONN: return Error::closed;
    default: return Error::io;
  }
}

/// Texts as lwIP wants them: each with a zero behind it.
template <std::size_t kBytes>
class ZeroTerminated {
 public:
  const char* add(std::string_view text) noexcept {
    char* const start = at_;
    at_ = std::copy(text.begin(), text.end(), at_);
    *at_++ = '\0';
    return start;
  }
  const char* add_unless_empty(std::string_view text) noexcept { return text.empty() ? nullptr : add(text); }

 private:
  char texts_[kBytes];
  char* at_ = texts_;
};

LwipMqtt& the_mqtt() noexcept {
  static LwipMqtt mqtt;
  return mqtt;
}

}  // namespace

MqttProtocol* system_mqtt_protocol() noexcept {
  LwipMqtt& mqtt = the_mqtt();
  return mqtt.acquire() ? &mqtt : nullptr;
}

// Not constexpr: a static object that is nearly all zeros would lie in flash.
LwipMqtt::LwipMqtt() noexcept {}

bool LwipMqtt::acquire() noexcept { return !std::exchange(in_use_, true); }

// ---- What the owner asks ---------------------------------------------------------------------------

Result<void> LwipMqtt::open(const MqttOptions& options, MqttEvents& events) noexcept {
  if (state_ != State::closed) return Error::invalid;
  if (!options.tls.ca_file.empty()) return Error::unsupported;
  if (!can_be(options)) return Error::invalid;
  if (LwipNetwork::instance().check_address({.family = Endpoint::Family::ipv4}) != Error::none)
    return Error::network_down;
  options_ = &options;
  events_ = &events;
  paused_ = false;
  err_t error = ERR_OK;
  if (parse_host(options.host, address_)) {
    state_ = State::connecting;
    error = connect();
  } else {
    state_ = State::resolving;
    resolved_ = false;
    ZeroTerminated<DNS_MAX_NAME_LENGTH> name;
    // One that was asked for by the connection before is not asked for twice: there is room for one.
    if (!resolving_) {
      error = dns_gethostbyname(name.add(options.host), &address_, on_resolved, this);
      resolving_ = error == ERR_INPROGRESS;
    }
    if (resolving_) return {};
    if (error == ERR_OK) error = connect();
    if (error == ERR_VAL) error = ERR_RTE;  // no server of names is known
  }
  if (error == ERR_OK) return {};
  reset();
  return to_error(error);
}

err_t LwipMqtt::connect() noexcept {
  state_ = State::connecting;
  ZeroTerminated<kLargestPacket> texts;
  mqtt_connect_client_info_t info{};
  info.client_id = texts.add(options_->client_id);
  info.client_user = texts.add_unless_empty(options_->username);
  info.client_pass = texts.add_unless_empty(options_->password);
  info.keep_alive = keep_alive_seconds(options_->keep_alive);
  if (!options_->will.topic.empty()) {
    info.will_topic = texts.add(options_->will.topic);
    info.will_msg = texts.add(options_->will.payload);
    info.will_qos = options_->will.qos;
    info.will_retain = options_->will.retain ? 1 : 0;
  }
  const err_t error = mqtt_client_connect(&client_, &address_, options_->port, on_status, this, &info);
  if (error == ERR_OK) mqtt_connected_ = std::exchange(client_.conn->connected, on_tcp_connected);
  return error;
}

std::size_t LwipMqtt::ring_used() const noexcept {
  return (std::size_t{client_.output.put} + kRingBytes - client_.output.get) % kRingBytes;
}

Result<LwipMqtt::Request*> LwipMqtt::reserve(std::size_t rest) noexcept {
  if (state_ != State::connected || ending_ != Ending::none || client_.conn == nullptr) return Error::closed;
  if (packet_bytes(rest) > kLargestPacket) return Error::too_large;
  if (packet_bytes(rest) + ring_used() > kLargestPacket) return Error::would_block;
  for (Request& request : requests_) {
    if (request.progress == Request::Progress::free) return &request;
  }
  return Error::would_block;
}

Result<std::uint16_t> LwipMqtt::sent(Request& request, err_t error) noexcept {
  if (error == ERR_MEM) return Error::would_block;
  if (error != ERR_OK) return to_error(error);
  if (++last_id_ == 0) ++last_id_;
  request.id = last_id_;
  request.progress = Request::Progress::sent;
  return request.id;
}

bool LwipMqtt::can_send(const MqttMessage& message) const noexcept {
  return message.topic.size() <= MqttReader::kTopicBytes &&
         packet_bytes(publish_bytes(message)) <= kLargestPacket;
}

Result<std::uint16_t> LwipMqtt::publish(const MqttMessage& message) noexcept {
  if (message.topic.empty() || has_zero(message.topic) || message.qos > 2) return Error::invalid;
  if (!can_send(message)) return Error::too_large;
  const auto request = reserve(publish_bytes(message));
  if (!request) return request.error();
  (*request)->is_message = true;
  (*request)->qos = message.qos;
  ZeroTerminated<MqttReader::kTopicBytes + 1> topic;
  return sent(**request, mqtt_publish(&client_, topic.add(message.topic), message.payload.data(),
                                      static_cast<std::uint16_t>(message.payload.size()), message.qos,
                                      message.retain ? 1 : 0, on_answer, *request));
}

Result<std::uint16_t> LwipMqtt::subscribe(std::string_view filter, std::uint8_t qos) noexcept {
  return change_subscription(filter, qos, true);
}

Result<std::uint16_t> LwipMqtt::unsubscribe(std::string_view filter) noexcept {
  return change_subscription(filter, 0, false);
}

Result<std::uint16_t> LwipMqtt::change_subscription(std::string_view filter, std::uint8_t qos,
                                                    bool on) noexcept {
  if (filter.empty() || has_zero(filter) || qos > 2) return Error::invalid;
  if (filter.size() > MqttReader::kTopicBytes) return Error::too_large;
  const auto request = reserve(2 + 2 + filter.size() + (on ? 1 : 0));
  if (!request) return request.error();
  (*request)->is_message = false;
  (*request)->qos = 1;
  ZeroTerminated<MqttReader::kTopicBytes + 1> topic;
  return sent(**request, mqtt_sub_unsub(&client_, topic.add(filter), qos, on_answer, *request, on ? 1 : 0));
}

void LwipMqtt::close(bool politely) noexcept {
  if (state_ == State::closed) return;
  note(Error::canceled, "closed by the program");
  ending_ = politely ? Ending::polite : Ending::abrupt;
  ending_since_ = sys_now();
  schedule();
}

void LwipMqtt::set_receiving(bool on) noexcept {
  paused_ = !on;
  if (on) schedule();
}

void LwipMqtt::release() noexcept {
  events_ = nullptr;
  if (in_turn_) return;
  reset();
  in_use_ = false;
}

// ---- What lwIP tells -------------------------------------------------------------------------------

void LwipMqtt::on_resolved(const char* name, const ip_addr_t* address, void* self) noexcept {
  auto& mqtt = *static_cast<LwipMqtt*>(self);
  mqtt.resolving_ = false;
  if (mqtt.state_ != State::resolving) return;
  mqtt.resolved_ = true;
  if (name != mqtt.options_->host) {
    mqtt.note(Error::no_memory, "another name was still looked for");
  } else if (address != nullptr) {
    mqtt.address_ = *address;
  } else {
    mqtt.note(Error::not_found, "no such host");
  }
  mqtt.schedule();
}

err_t LwipMqtt::on_tcp_connected(void* client, tcp_pcb* pcb, err_t error) noexcept {
  LwipMqtt& mqtt = the_mqtt();
  tcp_nagle_disable(pcb);
  error = mqtt.mqtt_connected_(client, pcb, error);
  mqtt.mqtt_received_ = std::exchange(pcb->recv, on_received);
  mqtt.mqtt_sent_ = std::exchange(pcb->sent, on_sent);
  mqtt.mqtt_poll_ = std::exchange(pcb->poll, on_poll);
  return error;
}

err_t LwipMqtt::on_received(void*, tcp_pcb* pcb, pbuf* bytes, err_t) noexcept {
  LwipMqtt& mqtt = the_mqtt();
  if (bytes == nullptr) {
    mqtt.at_end_ = true;
  } else if (mqtt.ending_ != Ending::none) {
    tcp_recved(pcb, bytes->tot_len);
    pbuf_free(bytes);
  } else if (mqtt.received_ == nullptr) {
    mqtt.received_ = bytes;
  } else if (LwipNetwork::short_of_frames()) {
    return ERR_MEM;  // lwIP keeps it, and takes no more
  } else {
    pbuf_cat(mqtt.received_, bytes);
  }
  mqtt.client_.server_watchdog = 0;  // lwIP counts how long nothing comes
  mqtt.schedule();
  return ERR_OK;
}

err_t LwipMqtt::on_sent(void* client, tcp_pcb* pcb, std::uint16_t size) noexcept {
  LwipMqtt& mqtt = the_mqtt();
  const err_t result = mqtt.mqtt_sent_(client, pcb, size);
  LwipNetwork::instance().memory_freed();
  mqtt.schedule();
  return result;
}

// A connection that lwIP has closed for its part would try for minutes to send what was left.
err_t LwipMqtt::on_poll(void* client, tcp_pcb* pcb) noexcept {
  LwipMqtt& mqtt = the_mqtt();
  if (pcb == mqtt.client_.conn) return mqtt.mqtt_poll_(client, pcb);
  tcp_abort(pcb);
  return ERR_ABRT;
}

void LwipMqtt::on_status(mqtt_client_t*, void* self, mqtt_connection_status_t status) noexcept {
  auto& mqtt = *static_cast<LwipMqtt*>(self);
  switch (static_cast<unsigned>(status)) {
    case MQTT_CONNECT_ACCEPTED: mqtt.accepted_ = true; break;
    case MQTT_CONNECT_REFUSED_PROTOCOL_VERSION:
      mqtt.note(Error::unsupported, "refused: protocol version");
      break;
    case MQTT_CONNECT_REFUSED_IDENTIFIER: mqtt.note(Error::invalid, "refused: client id"); break;
    case MQTT_CONNECT_REFUSED_SERVER: mqtt.note(Error::closed, "refused: server unavailable"); break;
    case MQTT_CONNECT_REFUSED_USERNAME_PASS:
      mqtt.note(Error::permission, "refused: bad user name or password");
      break;
    case MQTT_CONNECT_REFUSED_NOT_AUTHORIZED_: mqtt.note(Error::permission, "refused: not authorized"); break;
    case MQTT_CONNECT_DISCONNECTED: mqtt.note(Error::closed, "the connection was lost"); break;
    case MQTT_CONNECT_TIMEOUT: mqtt.note(Error::timeout, "the broker is silent"); break;
    default: mqtt.note(Error::invalid, "refused"); break;
  }
  mqtt.schedule();
}

void LwipMqtt::on_answer(void* request, err_t error) noexcept {
  auto& of = *static_cast<Request*>(request);
  LwipMqtt& mqtt = the_mqtt();
  if (error == ERR_TIMEOUT) {
    mqtt.fail(Error::timeout, "the broker does not acknowledge");
    return;
  }
  of.progress = error == ERR_OK ? Request::Progress::done : Request::Progress::denied;
  mqtt.schedule();
}

// ---- What becomes of it ----------------------------------------------------------------------------

void LwipMqtt::schedule(std::uint32_t milliseconds) noexcept {
  if (!std::exchange(scheduled_, true)) sys_timeout(milliseconds, on_turn, this);
}

void LwipMqtt::on_turn(void* self) noexcept { static_cast<LwipMqtt*>(self)->turn(); }

void LwipMqtt::turn() noexcept {
  scheduled_ = false;
  if (state_ == State::closed) return;
  in_turn_ = true;
  if (state_ == State::resolving && std::exchange(resolved_, false) && error_ == Error::none) {
    if (const err_t error = connect(); error != ERR_OK) note(to_error(error), "no connection can be made");
  }
  if (state_ == State::connecting || state_ == State::connected) {
    read_on();
    tell_requests();
    if (ending_ == Ending::polite) say_goodbye();
    if (ending_ == Ending::abrupt && client_.conn != nullptr) tcp_abort(client_.conn);
  }
  if (client_.conn == nullptr && error_ != Error::none) tell_closed();
  in_turn_ = false;
  if (events_ == nullptr) release();
  LwipNetwork::instance().board().wake();  // those who were told go on
}

bool LwipMqtt::can_read() const noexcept {
  return !paused_ && events_ != nullptr && ending_ == Ending::none && client_.conn != nullptr &&
         ring_used() + kAnswerBytes + kPingBytes < kRingBytes;
}

void LwipMqtt::read_on() noexcept {
  while (received_ != nullptr && can_read()) {
    std::string_view bytes(static_cast<const char*>(received_->payload), received_->len);
    const MqttReader::Found found = reader_.read(bytes);
    const auto size = static_cast<std::uint16_t>(received_->len - bytes.size());
    taken_ += size;
    take(found);  // it may have views of the bytes
    received_ = pbuf_free_header(received_, size);
  }
  if (client_.conn == nullptr) return;
  if (taken_ > 0) {
    tcp_recved(client_.conn, static_cast<std::uint16_t>(std::exchange(taken_, 0)));
    if (client_.conn->refused_data != nullptr) (void)tcp_process_refused_data(client_.conn);
  }
  if (at_end_ && received_ == nullptr && client_.conn != nullptr)
    mqtt_received_(&client_, client_.conn, nullptr, ERR_OK);
}

void LwipMqtt::take(MqttReader::Found found) noexcept {
  const bool is_first = found == MqttReader::Found::packet && reader_.type() == MqttReader::kConnack;
  const bool in_order = is_first != (mqtt_client_is_connected(&client_) != 0);
  if (found == MqttReader::Found::nothing) return;
  if (found == MqttReader::Found::malformed || !in_order) {
    fail(Error::invalid, "the broker sent what is no MQTT");
  } else if (found == MqttReader::Found::message) {
    take_message();
  } else {
    if (reader_.type() == MqttReader::kPubrel)
      std::replace(unreleased_.begin(), unreleased_.end(), reader_.id(), std::uint16_t{0});
    feed(reader_.packet());
    if (std::exchange(accepted_, false)) {
      state_ = State::connected;
      events_->on_connected(false);
    }
  }
}

bool LwipMqtt::is_unreleased(std::uint16_t id) const noexcept {
  return std::find(unreleased_.begin(), unreleased_.end(), id) != unreleased_.end();
}

void LwipMqtt::take_message() noexcept {
  if (reader_.offset() == 0) {
    const bool again = reader_.qos() == 2 && reader_.repeated() && is_unreleased(reader_.id());
    dropping_ = again || !reader_.topic_fits();
    if (!reader_.topic_fits()) {
      LwipNetwork::instance().board().write_log(LogLevel::warning,
                                                "mqtt: a message was dropped: its topic is too long");
    }
  }
  if (!dropping_) events_->on_message(reader_.message(), reader_.offset(), reader_.total());
  if (!reader_.is_last_piece() || reader_.qos() == 0) return;
  if (reader_.qos() == 2 && !is_unreleased(reader_.id()))
    unreleased_[next_unreleased_++ % unreleased_.size()] = reader_.id();
  // lwIP acknowledges a message without topic and payload.
  const std::uint16_t id = reader_.id();
  const char empty[] = {reader_.qos() == 1 ? '\x32' : '\x34', 4, 0, 0, static_cast<char>(id >> 8),
                        static_cast<char>(id & 0xFF)};
  feed({empty, sizeof empty});
}

void LwipMqtt::feed(std::string_view packet) noexcept {
  pbuf bytes{};
  bytes.payload = const_cast<char*>(packet.data());
  bytes.len = bytes.tot_len = static_cast<std::uint16_t>(packet.size());
  bytes.type_internal = PBUF_ROM;
  bytes.ref = 2;  // lwIP frees it, and it stays
  if (client_.conn == nullptr) return;
  taken_ -= bytes.len;  // lwIP opens the window by itself
  mqtt_received_(&client_, client_.conn, &bytes, ERR_OK);
}

// lwIP sends no DISCONNECT, and drops what has not left its buffer yet.
void LwipMqtt::say_goodbye() noexcept {
  if (client_.conn == nullptr) return;
  if (state_ != State::connected || sys_now() - ending_since_ >= kGoodbyeMilliseconds) {
    ending_ = Ending::abrupt;
    return;
  }
  if (ring_used() != 0 || tcp_write(client_.conn, kDisconnect.data(), kDisconnect.size(), 0) != ERR_OK)
    return schedule(kGoodbyeStep);
  drop_received();
  tcp_output(client_.conn);
  let_finish(client_.conn);
  mqtt_disconnect(&client_);
}

// A connection with unread bytes would end in a reset, which overtakes what was sent before.
void LwipMqtt::drop_received() noexcept {
  if (received_ != nullptr) {
    taken_ += received_->tot_len;
    pbuf_free(std::exchange(received_, nullptr));
  }
  if (client_.conn == nullptr) return;
  if (taken_ > 0) tcp_recved(client_.conn, static_cast<std::uint16_t>(std::exchange(taken_, 0)));
  if (client_.conn->refused_data != nullptr) (void)tcp_process_refused_data(client_.conn);
}

void LwipMqtt::tell_requests() noexcept {
  for (Request& request : requests_) {
    if (events_ == nullptr) return;
    if (request.progress < Request::Progress::done) continue;
    // lwIP takes any acknowledgment of TCP's for that of all messages of QoS 0, also of those that are still
    // in its buffer. They are told when that is empty, so that who was refused for want of room finds some.
    if (request.qos == 0 && ring_used() != 0) continue;
    const Request told = std::exchange(request, Request());
    if (told.is_message) {
      events_->on_published(told.id);
    } else {
      events_->on_subscribed(told.id, told.progress == Request::Progress::done);
    }
  }
}

void LwipMqtt::tell_closed() noexcept {
  MqttEvents* const events = events_;
  const Error error = error_;
  const std::string_view reason = reason_;
  reset();
  if (events != nullptr) events->on_closed(error, reason);
}

void LwipMqtt::fail(Error error, std::string_view reason) noexcept {
  note(error, reason);
  ending_ = Ending::abrupt;
  schedule();
}

void LwipMqtt::note(Error error, std::string_view reason) noexcept {
  if (error_ != Error::none) return;
  error_ = error;
  reason_ = reason;
}

void LwipMqtt::reset() noexcept {
  ending_ = Ending::abrupt;
  drop_received();
  if (client_.conn != nullptr) tcp_abort(client_.conn);
  if (std::exchange(scheduled_, false)) sys_untimeout(on_turn, this);
  state_ = State::closed;
  ending_ = Ending::none;
  paused_ = resolved_ = accepted_ = at_end_ = false;
  error_ = Error::none;
  taken_ = 0;
  address_ = {};
  reader_ = MqttReader();
  requests_ = {};
  unreleased_ = {};
}

}  // namespace microdot::inline MICRODOT_ABI
