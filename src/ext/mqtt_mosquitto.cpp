// MQTT 3.1.1 over libmosquitto, driven by the loop: its socket is watched by the poller, its keep-alive by a
// timer. Only looking up the broker's name and beginning to connect, which libmosquitto does in one call that
// may block, happens in a thread of its own.

#include <fcntl.h>
#include <sys/socket.h>
#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <new>
#include <utility>

#include "mqtt_mosquitto_client.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

using namespace std::chrono_literals;
using detail::CText;
using detail::kMaxInFlight;
using detail::MosquittoClient;
using detail::MosquittoEvents;
using detail::MqttReason;
using detail::reason_of;
using detail::refusal;

constexpr Duration kTick = 1s;                             // libmosquitto's clock counts seconds
constexpr Duration kFarewell = 1s;                         // for a DISCONNECT to get out
constexpr std::size_t kMaxPayload = 268'435'455 - 65'538;  // with the topic, what a packet can hold

constexpr MqttReason kByUs{Error::canceled, "closed by the program"};
constexpr MqttReason kUnanswered{Error::closed, "the broker ended the connection without an answer"};
constexpr MqttReason kNoTls{Error::closed, "the broker ended the connection before TLS was there"};

/// A message that came although none is wanted now: libmosquitto reads several at once.
struct Held {
  Held* next = nullptr;
  mosquitto_message message{};
};

class MosquittoProtocol final : public MqttProtocol, private DescriptorEvents, private MosquittoEvents {
 public:
  Result<void> open(const MqttOptions& options, MqttEvents& events) noexcept override;
  Result<std::uint16_t> publish(const MqttMessage& message) noexcept override;
  bool can_send(const MqttMessage& message) const noexcept override {
    return message.topic.size() <= 65'535 && message.payload.size() <= kMaxPayload;
  }
  bool keeps_in_flight() const noexcept override { return keeps_in_flight_; }
  Result<std::uint16_t> subscribe(std::string_view filter, std::uint8_t qos) noexcept override;
  Result<std::uint16_t> unsubscribe(std::string_view filter) noexcept override;
  void close(bool politely) noexcept override;
  void set_receiving(bool on) noexcept override;
  void release() noexcept override;

 private:
  enum class State : std::uint8_t {
    closed,
    starting,  ///< The thread looks the name up and begins to connect.
    reaching,  ///< TCP's connection is on its way.
    greeting,  ///< TLS, and the CONNACK is waited for.
    connected,
    leaving,  ///< DISCONNECT is on its way out.
  };

  template <void (MosquittoProtocol::*member)() noexcept>
  class Call final : public Timer {
   public:
    explicit Call(MosquittoProtocol& protocol) noexcept : protocol_(&protocol) {}

   private:
    void on_timer() noexcept override {
      const Scope scope(*protocol_);
      (protocol_->*member)();
    }
    MosquittoProtocol* protocol_;
  };

  /// Around all that calls libmosquitto or the events: what they did is dealt with when the outermost ends.
  class Scope {
   public:
    explicit Scope(MosquittoProtocol& protocol) noexcept : protocol_(&protocol) { ++protocol.depth_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope() {
      if (protocol_->depth_ == 1) protocol_->settle();
      if (--protocol_->depth_ == 0 && protocol_->released_) delete protocol_;
    }

   private:
    MosquittoProtocol* protocol_;
  };

  ~MosquittoProtocol();
  void on_descriptor(bool readable, bool writable) noexcept override;
  void on_connack(int code, bool session_present) noexcept override;
  void on_disconnect(int result) noexcept override;
  void on_publish(int id) noexcept override;
  void on_subscribe(int id, bool granted) noexcept override;
  void on_message(const mosquitto_message& message) noexcept override;

  bool make_client(const MqttOptions& options, int& result) noexcept;
  Result<void> start() noexcept;
  void on_started() noexcept;
  void on_reached() noexcept;
  bool handshake_ended() noexcept;
  void next_address() noexcept;
  void stay_alive(TimePoint now) noexcept;
  Result<std::uint16_t> sent(int result, int id) noexcept;
  void tick() noexcept;
  void tell() noexcept;
  void tell_connected() noexcept;
  void tell_published() noexcept;
  void tell_held() noexcept;
  void pass_on(const mosquitto_message& message) noexcept;
  void hold(const mosquitto_message& message) noexcept;
  void lose(MqttReason reason) noexcept;
  void settle() noexcept;
  void set_interest() noexcept;
  void cut() noexcept;
  void arm(Timer& timer, Duration after = {}) noexcept {
    if (!timer.armed()) loop_->timers().arm(timer, loop_->now() + after);
  }
  bool online() const noexcept { return state_ == State::connected; }
  bool has_tls() const noexcept { return !options_->tls.ca_file.empty(); }
  Duration keep_alive() const noexcept {
    return options_->keep_alive.count == 0 ? Duration{0} : std::max<Duration>(options_->keep_alive, 5s);
  }

  Loop* loop_ = nullptr;
  const MqttOptions* options_ = nullptr;
  MqttEvents* events_ = nullptr;
  MosquittoClient* client_ = nullptr;
  Call<&MosquittoProtocol::on_started> started_{*this};
  Call<&MosquittoProtocol::tick> tick_{*this};
  Call<&MosquittoProtocol::tell> tell_{*this};
  TimePoint deadline_{};  ///< Of `leaving`.
  TimePoint heard_{};     ///< When the broker was heard last.
  TimePoint kept_{};      ///< When something was sent last to stay alive while nothing is read.
  MqttReason lost_reason_;
  Held* held_ = nullptr;
  Held** held_end_ = &held_;
  std::array<std::uint16_t, 2 * kMaxInFlight> published_{};  ///< Still to be told.
  unsigned published_count_ = 0;
  std::array<std::uint16_t, kMaxInFlight> in_flight_{};  ///< Messages of QoS 1 and 2.
  unsigned in_flight_count_ = 0;
  unsigned unsent_ = 0;  ///< Messages of QoS 0 that the system has not taken.
  int fd_ = -1;
  int depth_ = 0;
  State state_ = State::closed;
  std::uint8_t bind_to_ = 0;             ///< Index in `kBindTo`.
  bool reads_ = false, writes_ = false;  ///< What is watched for.
  bool receiving_ = true;
  bool keeps_in_flight_ = false;  ///< Not in a clean session: there the broker takes all for new.
  bool attempting_ = false;       ///< The client's thread works, or has ended and was not heard.
  bool accepted_ = false;         ///< A CONNACK that is still to be told.
  bool session_present_ = false;
  bool lost_ = false;     ///< `lost_reason_` is still to be told.
  bool writing_ = false;  ///< Perhaps inside one of the protocol's own functions: no event now.
  bool released_ = false;
};

// libmosquitto takes the first address that a connection can be begun to. Where it is of IPv6 and nobody is
// there ("localhost"), the other family has its turn: only addresses of that are bound.
constexpr const char* kBindTo[] = {nullptr, "0.0.0.0", "::"};

MosquittoProtocol::~MosquittoProtocol() {
  if (fd_ >= 0) loop_->port().poller().unwatch(fd_, *this);
  if (client_ != nullptr) client_->release();
  while (held_ != nullptr) {
    Held* const held = std::exchange(held_, held_->next);
    mosquitto_message_free_contents(&held->message);
    delete held;
  }
}

void MosquittoProtocol::release() noexcept {
  released_ = true;
  events_ = nullptr;
  if (depth_ == 0) delete this;
}

bool MosquittoProtocol::make_client(const MqttOptions& options, int& result) noexcept {
  [[maybe_unused]] static const int initialized = mosquitto_lib_init();
  if (client_ != nullptr) std::exchange(client_, nullptr)->release();
  in_flight_count_ = 0;
  started_.disarm();
  attempting_ = false;
  client_ = MosquittoClient::make(options, *this, result);
  options_ = client_ != nullptr ? &options : nullptr;
  return client_ != nullptr;
}

Result<void> MosquittoProtocol::open(const MqttOptions& options, MqttEvents& events) noexcept {
  if (state_ != State::closed || lost_) return Error::invalid;
  loop_ = &Loop::current();
  // libmosquitto's client is kept for what is in flight, both ways: else what it has doubled would stay.
  // And so is one whose thread is still on its way from an attempt that was given up.
  const bool kept =
      client_ != nullptr && options_ == &options &&
      (attempting_ || (keeps_in_flight_ && (in_flight_count_ != 0 || client_->has_unreleased())));
  if (!kept) {
    int result = MOSQ_ERR_SUCCESS;
    if (!make_client(options, result)) return result == MOSQ_ERR_NOMEM ? Error::no_memory : Error::invalid;
  }
  events_ = &events;
  keeps_in_flight_ = !options.clean_session;
  receiving_ = true;
  if (attempting_) {
    state_ = State::starting;
  } else if (const auto started = start(); !started) {
    return started.error();
  }
  tick_.disarm();
  arm(tick_, kTick);
  return {};
}

Result<void> MosquittoProtocol::start() noexcept {
  if (!client_->connect(*loop_, started_, kBindTo[bind_to_])) return Error::no_memory;
  attempting_ = true;
  state_ = State::starting;
  return {};
}

// The thread has ended.
void MosquittoProtocol::on_started() noexcept {
  attempting_ = false;
  const MqttReason outcome = client_->outcome();
  if (state_ != State::starting) {  // closed meanwhile
    if (outcome.error == Error::none) ::shutdown(mosquitto_socket(client_->get()), SHUT_RDWR);
    return;
  }
  if (outcome.error != Error::none) return lose(outcome);
  fd_ = mosquitto_socket(client_->get());
  fcntl(fd_, F_SETFD, FD_CLOEXEC);
  reads_ = writes_ = false;
  state_ = State::reaching;
}

// TCP's connection is there, or has failed.
void MosquittoProtocol::on_reached() noexcept {
  int number = 0;
  socklen_t size = sizeof number;
  if (getsockopt(fd_, SOL_SOCKET, SO_ERROR, &number, &size) != 0) number = errno;
  if (number == 0) {
    state_ = State::greeting;
    return;
  }
  // What was sent already may have been answered with a reset.
  if (number == ECONNRESET || number == EPIPE) return lose(has_tls() ? kNoTls : kUnanswered);
  const auto before = bind_to_;
  next_address();
  if (bind_to_ == 1 && before != 1) {
    cut();
    if (start()) return;
  }
  lose(reason_of(MOSQ_ERR_ERRNO, number));
}

// Nobody is at this address.
void MosquittoProtocol::next_address() noexcept {
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  if (bind_to_ == 1) {
    bind_to_ = 2;
  } else if (options_->host.find(':') == std::string_view::npos &&
             getsockname(fd_, reinterpret_cast<sockaddr*>(&own), &size) == 0 && own.ss_family == AF_INET6) {
    bind_to_ = 1;
  }
}

// Whether libmosquitto may go on with TLS: of a connection that ends before TLS is there it says nothing.
bool MosquittoProtocol::handshake_ended() noexcept {
  char byte;
  const ssize_t size = recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR))) return false;
  lose(client_->logged().error != Error::none ? client_->logged() : kNoTls);
  return true;
}

void MosquittoProtocol::on_descriptor(bool readable, bool writable) noexcept {
  const Scope scope(*this);
  if (state_ == State::reaching) {
    on_reached();
    if (state_ != State::greeting) return;
  }
  const bool greeting = state_ == State::greeting;
  if (greeting && has_tls() && handshake_ended()) return;
  // With TLS reading may wait for room to write, and what lies in TLS's own buffer is told by no descriptor.
  if (readable) heard_ = loop_->now();
  if ((readable || has_tls()) && (receiving_ || greeting) && state_ != State::leaving)
    mosquitto_loop_read(client_->get(), 1);
  if (!lost_ && (writable || greeting)) mosquitto_loop_write(client_->get(), 1);
}

// ---- What libmosquitto tells ----

void MosquittoProtocol::on_connack(int code, bool session_present) noexcept {
  if (state_ != State::greeting) return lose(reason_of(MOSQ_ERR_PROTOCOL, 0));
  if (code != 0) return lose(refusal(code));
  if (!session_present && keeps_in_flight_ && (in_flight_count_ != 0 || client_->has_unreleased())) {
    // It would be sent the release of a message that it has forgotten, as the last that is heard of it. And
    // its ids begin anew, and would be taken for those of messages that nobody will release any more.
    keeps_in_flight_ = false;
    return lose({Error::closed, "the broker has forgotten the session"});
  }
  // Told when libmosquitto has sent again what was in flight, or when the first message comes.
  accepted_ = true;
  session_present_ = session_present;
  heard_ = kept_ = loop_->now();
  state_ = State::connected;
}

void MosquittoProtocol::on_disconnect(int result) noexcept {
  const int number = errno;
  if (state_ == State::leaving) return lose(kByUs);
  if (lost_) return;
  const MqttReason logged = client_->logged();
  if (state_ == State::greeting && logged.error != Error::none) return lose(logged);
  lose(state_ == State::greeting && result == MOSQ_ERR_CONN_LOST ? kUnanswered : reason_of(result, number));
}

void MosquittoProtocol::on_publish(int id) noexcept {
  const auto number = static_cast<std::uint16_t>(id);
  if (const auto at = std::find(in_flight_.begin(), in_flight_.begin() + in_flight_count_, number);
      at != in_flight_.begin() + in_flight_count_) {
    *at = in_flight_[--in_flight_count_];
  } else if (unsent_ != 0) {
    --unsent_;
  }
  assert(published_count_ < published_.size());
  published_[published_count_++] = number;
  if (writing_ || lost_) return arm(tell_);
  tell_connected();
  tell_published();
}

void MosquittoProtocol::on_subscribe(int id, bool granted) noexcept {
  if (!lost_ && events_ != nullptr) events_->on_subscribed(static_cast<std::uint16_t>(id), granted);
}

void MosquittoProtocol::on_message(const mosquitto_message& message) noexcept {
  tell_connected();
  if (!receiving_ || held_ != nullptr || events_ == nullptr || lost_) return hold(message);
  pass_on(message);
}

void MosquittoProtocol::hold(const mosquitto_message& message) noexcept {
  auto* const held = new (std::nothrow) Held;
  if (held == nullptr || mosquitto_message_copy(&held->message, &message) != MOSQ_ERR_SUCCESS) {
    delete held;
    return lose({Error::no_memory, "no memory for a message"});
  }
  *held_end_ = held;
  held_end_ = &held->next;
}

// ---- What the owner is told ----

void MosquittoProtocol::tell() noexcept {
  tell_published();
  tell_held();
  if (!std::exchange(lost_, false) || events_ == nullptr) return;
  events_->on_closed(lost_reason_.error, lost_reason_.words);
}

void MosquittoProtocol::tell_connected() noexcept {
  if (!std::exchange(accepted_, false) || events_ == nullptr) return;
  if (held_ != nullptr) arm(tell_);
  events_->on_connected(session_present_);
}

void MosquittoProtocol::tell_published() noexcept {
  // No more than there are now: what is told may publish the next ones.
  for (unsigned left = published_count_; left != 0 && published_count_ != 0 && events_ != nullptr; --left) {
    const std::uint16_t id = published_[0];
    std::copy(published_.begin() + 1, published_.begin() + published_count_, published_.begin());
    --published_count_;
    events_->on_published(id);
  }
  if (published_count_ != 0) arm(tell_);
}

void MosquittoProtocol::tell_held() noexcept {
  while (held_ != nullptr && receiving_ && events_ != nullptr && (state_ != State::closed || lost_)) {
    Held* const held = std::exchange(held_, held_->next);
    if (held_ == nullptr) held_end_ = &held_;
    pass_on(held->message);
    mosquitto_message_free_contents(&held->message);
    delete held;
  }
}

void MosquittoProtocol::pass_on(const mosquitto_message& message) noexcept {
  const auto size = static_cast<std::size_t>(message.payloadlen);
  events_->on_message({.topic = message.topic,
                       .payload = {static_cast<const char*>(message.payload), size},
                       .qos = static_cast<std::uint8_t>(message.qos),
                       .retain = message.retain},
                      0, size);
}

// ---- The connection's end ----

void MosquittoProtocol::lose(MqttReason reason) noexcept {
  if (state_ == State::closed) return;
  state_ = State::closed;
  accepted_ = false;
  lost_ = true;
  lost_reason_ = reason;
  tick_.disarm();
  arm(tell_);
}

// libmosquitto closes the socket itself, or when it connects again: no call of its closes it and keeps what
// is in flight.
void MosquittoProtocol::cut() noexcept {
  unsent_ = 0;
  if (fd_ < 0) return;
  loop_->port().poller().unwatch(fd_, *this);
  if (mosquitto_socket(client_->get()) == fd_) ::shutdown(fd_, SHUT_RDWR);
  fd_ = -1;
}

void MosquittoProtocol::settle() noexcept {
  tell_connected();
  if ((state_ == State::connected || state_ == State::leaving) && !writes_ &&
      mosquitto_want_write(client_->get())) {
    writing_ = true;
    mosquitto_loop_write(client_->get(), 1);
    writing_ = false;
  }
  // When TLS fails, libmosquitto closes without a word.
  if (fd_ >= 0 && state_ != State::closed && mosquitto_socket(client_->get()) != fd_)
    lose(client_->logged().error != Error::none ? client_->logged() : reason_of(MOSQ_ERR_TLS, 0));
  if (state_ == State::closed) return cut();
  set_interest();
}

void MosquittoProtocol::set_interest() noexcept {
  if (fd_ < 0) return;
  const bool read = state_ == State::greeting || (state_ == State::connected && receiving_);
  // While TLS begins, libmosquitto's wish to write is never taken back; its few bytes find room.
  const bool write = state_ == State::reaching ||
                     (!(state_ == State::greeting && has_tls()) && mosquitto_want_write(client_->get()));
  if (read == reads_ && write == writes_) return;
  reads_ = read;
  writes_ = write;
  const auto watched = loop_->port().poller().watch(fd_, *this, read, write);
  if (watched) return;
  lose({watched.error(), "the socket can't be waited for"});
  cut();
}

void MosquittoProtocol::tick() noexcept {
  if (state_ == State::closed) return;
  const TimePoint now = loop_->now();
  arm(tick_, kTick);
  if (state_ == State::connected) {
    if (!receiving_) return stay_alive(now);
    if (mosquitto_loop_misc(client_->get()) == MOSQ_ERR_SUCCESS && keep_alive() != Duration{0} &&
        now - heard_ > keep_alive() * 3 / 2)
      lose(reason_of(MOSQ_ERR_KEEPALIVE, 0));
  } else if (state_ == State::leaving) {
    if (now >= deadline_) lose(kByUs);
  } else if (state_ == State::greeting && has_tls() && !handshake_ended()) {
    mosquitto_loop_read(client_->get(), 1);
    if (!lost_) mosquitto_loop_write(client_->get(), 1);
  }
}

// While nothing is read, the answer to libmosquitto's own ping would not be either, and it would give up. So
// something else that costs the broker nothing is sent, and its answers stay in the system's buffers.
void MosquittoProtocol::stay_alive(TimePoint now) noexcept {
  if (keep_alive() == Duration{0} || now - kept_ < keep_alive() / 2) return;
  kept_ = now;
  const int result = mosquitto_unsubscribe(client_->get(), nullptr, "microdot/stays/alive");
  if (result != MOSQ_ERR_SUCCESS) lose(reason_of(result, errno));
}

// ---- What the owner wants ----

Result<std::uint16_t> MosquittoProtocol::publish(const MqttMessage& message) noexcept {
  if (!online()) return Error::closed;
  if (message.qos > 2) return Error::invalid;
  if (!can_send(message)) return Error::too_large;
  if (message.qos == 0 ? unsent_ + published_count_ >= kMaxInFlight : in_flight_count_ == kMaxInFlight)
    return Error::would_block;
  const CText topic(message.topic);
  if (topic.get() == nullptr) return topic.error();
  const Scope scope(*this);
  int id = 0;
  if (message.qos == 0) ++unsent_;
  const int result =
      mosquitto_publish(client_->get(), &id, topic.get(), static_cast<int>(message.payload.size()),
                        message.payload.data(), message.qos, message.retain);
  auto number = sent(result, id);
  if (message.qos != 0 && number) in_flight_[in_flight_count_++] = *number;
  if (message.qos == 0 && !number && unsent_ != 0) --unsent_;
  return number;
}

Result<std::uint16_t> MosquittoProtocol::subscribe(std::string_view filter, std::uint8_t qos) noexcept {
  if (!online()) return Error::closed;
  const CText text(filter);
  if (text.get() == nullptr) return text.error();
  const Scope scope(*this);
  int id = 0;
  const int result = mosquitto_subscribe(client_->get(), &id, text.get(), qos);
  return sent(result, id);
}

Result<std::uint16_t> MosquittoProtocol::unsubscribe(std::string_view filter) noexcept {
  if (!online()) return Error::closed;
  const CText text(filter);
  if (text.get() == nullptr) return text.error();
  const Scope scope(*this);
  int id = 0;
  const int result = mosquitto_unsubscribe(client_->get(), &id, text.get());
  return sent(result, id);
}

Result<std::uint16_t> MosquittoProtocol::sent(int result, int id) noexcept {
  switch (result) {
    case MOSQ_ERR_SUCCESS: return static_cast<std::uint16_t>(id);
    case MOSQ_ERR_INVAL:
    case MOSQ_ERR_MALFORMED_UTF8: return Error::invalid;
    case MOSQ_ERR_PAYLOAD_SIZE:
    case MOSQ_ERR_OVERSIZE_PACKET: return Error::too_large;
    case MOSQ_ERR_NOMEM: return Error::no_memory;
    default: lose(reason_of(result, errno)); return Error::closed;
  }
}

void MosquittoProtocol::close(bool politely) noexcept {
  if (state_ == State::closed) return;
  const Scope scope(*this);
  if (state_ == State::reaching) next_address();
  if (!politely || state_ != State::connected) return lose(kByUs);
  state_ = State::leaving;
  deadline_ = loop_->now() + kFarewell;
  const int result = mosquitto_disconnect(client_->get());
  if (result != MOSQ_ERR_SUCCESS) return lose(kByUs);
  tick_.disarm();
  arm(tick_, kFarewell);
}

void MosquittoProtocol::set_receiving(bool on) noexcept {
  if (receiving_ == on) return;
  receiving_ = on;
  if (state_ == State::closed && !lost_) return;
  const Scope scope(*this);
  heard_ = loop_->now();
  if (on && held_ != nullptr) arm(tell_);
}

}  // namespace

MqttProtocol* system_mqtt_protocol() noexcept { return new (std::nothrow) MosquittoProtocol; }

}  // namespace microdot::inline MICRODOT_ABI
