#pragma once
// A client of libmosquitto, as MQTT's protocol on hosts needs one.

#include <bitset>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <new>
#include <optional>
#include <string_view>

#include <mosquitto.h>

#include <microdot/async/loop.hpp>
#include <microdot/ext/mqtt_protocol.hpp>

namespace microdot::inline MICRODOT_ABI::detail {

/// How many messages may be on their way to the broker at once, for each of QoS 0 and of QoS 1 and 2.
inline constexpr unsigned kMaxInFlight = 20;

/// Why there is no connection.
struct MqttReason {
  Error error = Error::none;
  std::string_view words;
};

/// What a result of libmosquitto means; `number`: errno after the call.
MqttReason reason_of(int result, int number) noexcept;
/// What a CONNACK's return code means (MQTT 3.1.1 section 3.2.2.3).
MqttReason refusal(int code) noexcept;

/// A text with a NUL at its end, as C wants it. Null if it was empty.
class CText {
 public:
  explicit CText(std::string_view text) noexcept {
    if (text.size() >= sizeof near_) far_ = new (std::nothrow) char[text.size() + 1];
    char* const out = text.size() < sizeof near_ ? near_ : far_;
    if (out == nullptr) error_ = Error::no_memory;
    // One with a NUL inside would be cut.
    if (text.find('\0') != std::string_view::npos) error_ = Error::invalid;
    if (error_ != Error::none || text.empty()) return;
    std::memcpy(out, text.data(), text.size());
    out[text.size()] = '\0';
    text_ = out;
  }
  CText(const CText&) = delete;
  CText& operator=(const CText&) = delete;
  ~CText() { delete[] far_; }
  explicit operator bool() const noexcept { return error_ == Error::none; }
  /// Why there is none, where one is needed: `no_memory`; `invalid`: it was empty, or has a NUL inside.
  Error error() const noexcept { return error_ == Error::none ? Error::invalid : error_; }
  const char* get() const noexcept { return text_; }

 private:
  char near_[128];
  char* far_ = nullptr;
  const char* text_ = nullptr;
  Error error_ = Error::none;
};

/// What libmosquitto tells.
class MosquittoEvents {
 public:
  virtual void on_connack(int code, bool session_present) noexcept = 0;
  virtual void on_disconnect(int result) noexcept = 0;
  virtual void on_publish(int id) noexcept = 0;
  virtual void on_subscribe(int id, bool granted) noexcept = 0;
  virtual void on_message(const mosquitto_message& message) noexcept = 0;

 protected:
  ~MosquittoEvents() = default;
};

/// A client of libmosquitto, and the thread in which it connects. It belongs to the protocol, and to the
/// thread while that works: who lets go last frees it. All else happens in the loop's thread.
class MosquittoClient final : private Notification {
 public:
  /// Null: no memory. Errors are in `result`.
  static MosquittoClient* make(const MqttOptions& options, MosquittoEvents& events, int& result) noexcept;
  /// The owner lets go.
  void release() noexcept;

  mosquitto* get() const noexcept { return mosquitto_; }

  /// Begins to connect: `wake` is armed when the thread has done it.
  bool connect(Loop& loop, Timer& wake, const char* bind_address) noexcept;
  /// How it went: `none` if it has begun.
  MqttReason outcome() const noexcept {
    if (result_ <= MOSQ_ERR_SUCCESS) return {};  // CONN_PENDING is negative
    return log_.error != Error::none ? log_ : reason_of(result_, errno_);
  }
  /// A reason in the log since `connect`.
  MqttReason logged() const noexcept { return log_; }
  /// Whether there are messages of QoS 2 that came and were not released yet.
  bool has_unreleased() const noexcept { return unreleased_.any(); }

 private:
  explicit MosquittoClient(MosquittoEvents& events) noexcept : events_(&events) {}
  ~MosquittoClient() { mosquitto_destroy(mosquitto_); }

  int set_up(const MqttOptions& options) noexcept;
  void set_callbacks() noexcept;
  template <typename Tell>
  static void tell(void* self, Tell tell) noexcept {
    MosquittoEvents* const events = static_cast<MosquittoClient*>(self)->events_;
    if (events != nullptr) tell(*events);
    errno = 0;  // or libmosquitto takes what a callback left there for its own
  }

  void note_publish(std::string_view line) noexcept;
  bool is_double(int number) noexcept;
  // In the thread.
  void work() noexcept;
  void on_notified() noexcept override { loop_->timers().arm(*wake_, loop_->now()); }

  mosquitto* mosquitto_ = nullptr;
  MosquittoEvents* events_;
  std::optional<CText> host_;
  int port_ = 0;
  int keep_alive_ = 0;
  const char* bind_address_ = nullptr;
  MqttReason log_;
  std::size_t id_size_ = 0;
  std::bitset<65'536> unreleased_, released_;  // by the ids of messages of QoS 2 that come
  int result_ = 0;
  int errno_ = 0;

  std::mutex mutex_;
  Loop* loop_ = nullptr;
  Timer* wake_ = nullptr;
  bool working_ = false;
};

}  // namespace microdot::inline MICRODOT_ABI::detail
