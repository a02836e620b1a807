#include "mqtt_mosquitto_client.hpp"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace microdot::inline MICRODOT_ABI::detail {
namespace {

constexpr MqttReason kLost{Error::closed, "the connection was lost"};
constexpr MqttReason kSilent{Error::timeout, "the broker is silent"};
constexpr MqttReason kMalformed{Error::invalid, "the broker sent what is no MQTT"};

MqttReason from_errno(int number) noexcept {
  switch (number) {
    case ECONNREFUSED: return {Error::closed, "connection refused"};
    case ENETUNREACH:
    case ENETDOWN:
    case EHOSTUNREACH: return {Error::network_down, "the network or the host is unreachable"};
    case ETIMEDOUT: return {Error::timeout, "no answer from the host"};
    case EMFILE:
    case ENFILE: return {Error::no_descriptors, "no descriptor left"};
    case ENOMEM:
    case ENOBUFS: return {Error::no_memory, "no memory left"};
    default: return kLost;
  }
}

// libmosquitto tells the details of TLS to its log alone.
MqttReason from_log(std::string_view line) noexcept {
  static constexpr std::pair<std::string_view, MqttReason> kKnown[] = {
      {"host name verification", {Error::permission, "the broker's certificate is for another host"}},
      {"certificate verify failed", {Error::permission, "the broker's certificate is not trusted"}},
      {"load CA", {Error::invalid, "the file of authorities can't be used"}},
      {"client certificate", {Error::invalid, "the client's certificate can't be used"}},
      {"client key", {Error::invalid, "the client's key can't be used"}},
      {"inconsistent", {Error::invalid, "the client's certificate and key don't match"}},
      {"alert", {Error::permission, "the broker refuses the client's TLS"}},
      {"OpenSSL", {Error::permission, "TLS failed: the broker speaks none, or none that fits"}},
  };
  for (const auto& [words, reason] : kKnown) {
    if (line.find(words) != std::string_view::npos) return reason;
  }
  return {};
}

}  // namespace

MqttReason reason_of(int result, int number) noexcept {
  switch (result) {
    case MOSQ_ERR_NOMEM: return {Error::no_memory, "no memory left"};
    case MOSQ_ERR_EAI:
      if (number == EAI_AGAIN) return {Error::not_found, "the host's name can't be looked up now"};
      return {Error::not_found, "no such host"};
    case MOSQ_ERR_TLS: return {Error::permission, "TLS failed"};
    case MOSQ_ERR_ERRNO: return from_errno(number);
    case MOSQ_ERR_KEEPALIVE: return kSilent;
    case MOSQ_ERR_PROTOCOL:
    case MOSQ_ERR_MALFORMED_PACKET:
    case MOSQ_ERR_MALFORMED_UTF8: return kMalformed;
    default: return kLost;
  }
}

MqttReason refusal(int code) noexcept {
  switch (code) {
    case 1: return {Error::unsupported, "the broker refuses MQTT 3.1.1"};
    case 2: return {Error::invalid, "the broker refuses the client id"};
    case 3: return {Error::closed, "the broker is not available now"};
    case 4: return {Error::permission, "wrong user name or password"};
    case 5: return {Error::permission, "not authorized"};
    default: return kMalformed;
  }
}

MosquittoClient* MosquittoClient::make(const MqttOptions& options, MosquittoEvents& events,
                                       int& result) noexcept {
  result = MOSQ_ERR_NOMEM;
  auto* const client = new (std::nothrow) MosquittoClient(events);
  if (client == nullptr) return nullptr;
  result = client->set_up(options);
  if (result == MOSQ_ERR_SUCCESS) return client;
  delete client;
  return nullptr;
}

void MosquittoClient::release() noexcept {
  std::unique_lock guard(mutex_);
  events_ = nullptr;
  if (loop_ != nullptr) loop_->forget(*this);
  loop_ = nullptr;
  if (working_) return;  // the thread frees it
  guard.unlock();
  delete this;
}

bool MosquittoClient::connect(Loop& loop, Timer& wake, const char* bind_address) noexcept {
  loop_ = &loop;
  wake_ = &wake;
  bind_address_ = bind_address;
  log_ = {};
  working_ = true;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  const auto work = [](void* client) -> void* {
    static_cast<MosquittoClient*>(client)->work();
    return nullptr;
  };
  const bool started = pthread_create(&thread, &attributes, work, this) == 0;
  if (!started) working_ = false;
  pthread_attr_destroy(&attributes);
  return started;
}

int MosquittoClient::set_up(const MqttOptions& options) noexcept {
  const CText id(options.client_id);
  if (!id || (id.get() == nullptr && !options.clean_session)) return MOSQ_ERR_INVAL;
  // What the program does on SIGPIPE is its own affair, unless it would die of it.
  struct sigaction action {};
  const bool known = sigaction(SIGPIPE, nullptr, &action) == 0;
  mosquitto_ = mosquitto_new(id.get(), options.clean_session, this);
  if (known && action.sa_handler != SIG_DFL) sigaction(SIGPIPE, &action, nullptr);
  if (mosquitto_ == nullptr) return errno == ENOMEM ? MOSQ_ERR_NOMEM : MOSQ_ERR_INVAL;

  const CText host(options.host), username(options.username), password(options.password),
      topic(options.will.topic), authorities(options.tls.ca_file), certificate(options.tls.certificate_file),
      key(options.tls.key_file);
  for (const CText* text : {&host, &username, &password, &topic, &authorities, &certificate, &key}) {
    if (!*text) return MOSQ_ERR_INVAL;
  }
  if (host.get() == nullptr || options.port == 0) return MOSQ_ERR_INVAL;
  // One that wants TLS must not go without.
  if (authorities.get() == nullptr && (certificate.get() != nullptr || key.get() != nullptr))
    return MOSQ_ERR_INVAL;
  host_.emplace(options.host);
  id_size_ = id.get() != nullptr ? options.client_id.size() : std::string_view("(null)").size();
  port_ = options.port;
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(Duration(options.keep_alive)).count();
  keep_alive_ = seconds == 0 ? 0 : static_cast<int>(std::clamp<std::int64_t>(seconds, 5, 65'535));
  if (username.get() != nullptr || password.get() != nullptr) {
    const char* const name = username.get() != nullptr ? username.get() : "";
    if (const int result = mosquitto_username_pw_set(mosquitto_, name, password.get()); result != 0)
      return result;
  }
  if (topic.get() != nullptr) {
    const MqttMessage& will = options.will;
    if (will.qos > 2 || will.payload.size() > 65'535) return MOSQ_ERR_INVAL;
    const int result = mosquitto_will_set(mosquitto_, topic.get(), static_cast<int>(will.payload.size()),
                                          will.payload.data(), will.qos, will.retain);
    if (result != 0) return result;
  }
  if (authorities.get() != nullptr) {
    const int result =
        mosquitto_tls_set(mosquitto_, authorities.get(), nullptr, certificate.get(), key.get(), nullptr);
    if (result != 0) return result;
    if (!options.tls.check_host_name) mosquitto_tls_insecure_set(mosquitto_, true);
  }
  mosquitto_int_option(mosquitto_, MOSQ_OPT_TCP_NODELAY, 1);
  // Packets are queued then and written by `mosquitto_loop_write` alone. Else a message of QoS 2 would be
  // lost when it is released (PUBREL) and the answer can't be written any more.
  mosquitto_threaded_set(mosquitto_, true);
  mosquitto_max_inflight_messages_set(mosquitto_, kMaxInFlight);
  set_callbacks();
  return MOSQ_ERR_SUCCESS;
}

void MosquittoClient::set_callbacks() noexcept {
  mosquitto_connect_with_flags_callback_set(mosquitto_, [](mosquitto*, void* self, int code, int flags) {
    tell(self, [&](MosquittoEvents& events) { events.on_connack(code, (flags & 1) != 0); });
  });
  mosquitto_disconnect_callback_set(mosquitto_, [](mosquitto*, void* self, int result) {
    tell(self, [&](MosquittoEvents& events) { events.on_disconnect(result); });
  });
  mosquitto_publish_callback_set(mosquitto_, [](mosquitto*, void* self, int id) {
    tell(self, [&](MosquittoEvents& events) { events.on_publish(id); });
  });
  mosquitto_subscribe_callback_set(
      mosquitto_, [](mosquitto*, void* self, int id, int count, const int* granted) {
        const bool all = std::all_of(granted, granted + count, [](int qos) { return qos <= 2; });
        tell(self, [&](MosquittoEvents& events) { events.on_subscribe(id, all); });
      });
  mosquitto_message_callback_set(mosquitto_, [](mosquitto*, void* self, const mosquitto_message* message) {
    if (message->qos == 2 && static_cast<MosquittoClient*>(self)->is_double(message->mid)) return;
    tell(self, [&](MosquittoEvents& events) { events.on_message(*message); });
  });
  mosquitto_log_callback_set(mosquitto_, [](mosquitto*, void* self, int level, const char* line) {
    auto& client = *static_cast<MosquittoClient*>(self);
    if (level == MOSQ_LOG_DEBUG) client.note_publish(line);
    if (level == MOSQ_LOG_ERR && client.log_.error == Error::none) client.log_ = from_log(line);
  });
}

// libmosquitto keeps a message of QoS 2 until it is released, and once more for each time that the broker
// sends it, which it does when a connection was lost: a PUBREL that is repeated, too, would bring a second
// one. Its log alone tells what came: "Client ID received PUBLISH (d0, q2, r0, m17, …".
void MosquittoClient::note_publish(std::string_view line) noexcept {
  constexpr std::string_view kClient = "Client ", kPublish = " received PUBLISH (d";
  line.remove_prefix(std::min(line.size(), kClient.size() + id_size_));
  if (!line.starts_with(kPublish)) return;
  line.remove_prefix(kPublish.size());
  const std::size_t qos = line.find(", q2,"), at = line.find(", m");
  if (qos != 1 || at == std::string_view::npos) return;
  std::uint16_t id = 0;
  const char* const number = line.data() + at + 3;
  if (std::from_chars(number, line.data() + line.size(), id).ec != std::errc{}) return;
  unreleased_.set(id);
  released_.reset(id);
}

bool MosquittoClient::is_double(int number) noexcept {
  const auto id = static_cast<std::uint16_t>(number);
  if (released_.test(id)) return true;
  if (unreleased_.test(id)) released_.set(id);
  unreleased_.reset(id);
  return false;
}

void MosquittoClient::work() noexcept {
  result_ = mosquitto_connect_bind_async(mosquitto_, host_->get(), port_, keep_alive_, bind_address_);
  errno_ = errno;
  std::unique_lock guard(mutex_);
  working_ = false;
  if (loop_ != nullptr) return loop_->notify(*this);
  guard.unlock();
  delete this;
}

}  // namespace microdot::inline MICRODOT_ABI::detail
