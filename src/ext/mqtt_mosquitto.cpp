// MQTT 3.1.1 over libmosquitto, driven by the loop: its socket is watched by the poller, its keep-alive by a
// timer. Only looking up the broker's name and beginning to connect, which libmosquitto does in one call that
// may block, happens in a thread of its own.

#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <new>
#include <optional>
#include <utility>

#include <mosquitto.h>

#include <microdot/async/loop.hpp>
#include <microdot/base/format.hpp>
#include <microdot/ext/mqtt_protocol.hpp>

namespace microdot::inline MICRODOT_ABI {
namespace {

using namespace std::chrono_literals;

// How many messages may be on their way to the broker at once, for each of QoS 0 and of QoS 1 and 2.
constexpr unsigned kMaxInFlight = 20;
constexpr Duration kTick = 1s;                             // libmosquitto's clock counts seconds
constexpr Duration kFarewell = 1s;                         // for a DISCONNECT to get out
constexpr std::size_t kMaxPayload = 268'435'455 - 65'538;  // with the topic, what a packet can hold

/// Why there is no connection.
struct Reason {
  Error error = Error::none;
  std::string_view words;
};

constexpr Reason kByUs{Error::canceled, "closed by the program"};
constexpr Reason kLost{Error::closed, "the connection was lost"};
constexpr Reason kSilent{Error::timeout, "the broker is silent"};
constexpr Reason kMalformed{Error::invalid, "the broker sent what is no MQTT"};

// CONNACK's return codes (MQTT 3.1.1 section 3.2.2.3).
constexpr Reason refusal(int code) noexcept {
  switch (code) {
    case 1: return {Error::unsupported, "the broker refuses MQTT 3.1.1"};
    case 2: return {Error::invalid, "the broker refuses the client id"};
    case 3: return {Error::closed, "the broker is not available now"};
    case 4: return {Error::permission, "wrong user name or password"};
    case 5: return {Error::permission, "not authorized"};
    default: return kMalformed;
  }
}

Reason from_errno(int number) noexcept {
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

// What a call to libmosquitto says.
Reason from_result(int result, int number) noexcept {
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

// libmosquitto tells the details of TLS to its log alone.
Reason from_log(std::string_view line) noexcept {
  static constexpr std::pair<std::string_view, Reason> kKnown[] = {
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

/// A text with a NUL at its end, as C wants it. Null if it was empty.
class CText {
 public:
  explicit CText(std::string_view text) noexcept {
    if (text.size() >= sizeof near_) far_ = new (std::nothrow) char[text.size() + 1];
    char* const out = text.size() < sizeof near_ ? near_ : far_;
    // One with a NUL inside would be cut.
    valid_ = out != nullptr && text.find('\0') == std::string_view::npos;
    if (!valid_ || text.empty()) return;
    std::memcpy(out, text.data(), text.size());
    out[text.size()] = '\0';
    text_ = out;
  }
  CText(const CText&) = delete;
  CText& operator=(const CText&) = delete;
  ~CText() { delete[] far_; }
  explicit operator bool() const noexcept { return valid_; }
  const char* get() const noexcept { return text_; }

 private:
  char near_[128];
  char* far_ = nullptr;
  const char* text_ = nullptr;
  bool valid_;
};

/// What libmosquitto tells.
class ClientEvents {
 public:
  virtual void on_connack(int code, bool session_present) noexcept = 0;
  virtual void on_disconnect(int result) noexcept = 0;
  virtual void on_publish(int id) noexcept = 0;
  virtual void on_subscribe(int id, bool granted) noexcept = 0;
  virtual void on_message(const mosquitto_message& message) noexcept = 0;

 protected:
  ~ClientEvents() = default;
};

/// A client of libmosquitto, and the thread in which it connects. It belongs to the protocol, and to the
/// thread while that works: who lets go last frees it. All else happens in the loop's thread.
class Client final : private Notification {
 public:
  /// Null: no memory. Errors are in `result`.
  static Client* make(const MqttOptions& options, ClientEvents& events, int& result) noexcept {
    result = MOSQ_ERR_NOMEM;
    auto* const client = new (std::nothrow) Client(events);
    if (client == nullptr) return nullptr;
    result = client->set_up(options);
    if (result == MOSQ_ERR_SUCCESS) return client;
    delete client;
    return nullptr;
  }
  /// The owner lets go.
  void release() noexcept {
    std::unique_lock guard(mutex_);
    events_ = nullptr;
    if (loop_ != nullptr) loop_->forget(*this);
    loop_ = nullptr;
    if (working_) return;  // the thread frees it
    guard.unlock();
    delete this;
  }

  mosquitto* get() const noexcept { return mosquitto_; }

  /// Begins to connect: `wake` is armed when the thread has done it.
  bool connect(Loop& loop, Timer& wake, const char* bind_address) noexcept {
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
      static_cast<Client*>(client)->work();
      return nullptr;
    };
    working_ = pthread_create(&thread, &attributes, work, this) == 0;
    pthread_attr_destroy(&attributes);
    return working_;
  }
  /// How it went: `none` if it has begun.
  Reason outcome() const noexcept {
    if (result_ <= MOSQ_ERR_SUCCESS) return {};  // CONN_PENDING is negative
    return log_.error != Error::none ? log_ : from_result(result_, errno_);
  }
  /// A reason in the log since `connect`.
  Reason logged() const noexcept { return log_; }

 private:
  explicit Client(ClientEvents& events) noexcept : events_(&events) {}
  ~Client() { mosquitto_destroy(mosquitto_); }

  int set_up(const MqttOptions& options) noexcept {
    const CText id(options.client_id);
    if (!id || (id.get() == nullptr && !options.clean_session)) return MOSQ_ERR_INVAL;
    // What the program does on SIGPIPE is its own affair, unless it would die of it.
    struct sigaction action {};
    const bool known = sigaction(SIGPIPE, nullptr, &action) == 0;
    mosquitto_ = mosquitto_new(id.get(), options.clean_session, this);
    if (known && action.sa_handler != SIG_DFL) sigaction(SIGPIPE, &action, nullptr);
    if (mosquitto_ == nullptr) return errno == ENOMEM ? MOSQ_ERR_NOMEM : MOSQ_ERR_INVAL;

    const CText host(options.host), username(options.username), password(options.password),
        topic(options.will.topic), authorities(options.tls.ca_file),
        certificate(options.tls.certificate_file), key(options.tls.key_file);
    for (const CText* text : {&host, &username, &password, &topic, &authorities, &certificate, &key}) {
      if (!*text) return MOSQ_ERR_INVAL;
    }
    if (host.get() == nullptr || options.port == 0) return MOSQ_ERR_INVAL;
    host_.emplace(options.host);
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
    mosquitto_max_inflight_messages_set(mosquitto_, kMaxInFlight);
    set_callbacks();
    return MOSQ_ERR_SUCCESS;
  }

  void set_callbacks() noexcept {
    mosquitto_connect_with_flags_callback_set(mosquitto_, [](mosquitto*, void* self, int code, int flags) {
      tell(self, [&](ClientEvents& events) { events.on_connack(code, (flags & 1) != 0); });
    });
    mosquitto_disconnect_callback_set(mosquitto_, [](mosquitto*, void* self, int result) {
      tell(self, [&](ClientEvents& events) { events.on_disconnect(result); });
    });
    mosquitto_publish_callback_set(mosquitto_, [](mosquitto*, void* self, int id) {
      tell(self, [&](ClientEvents& events) { events.on_publish(id); });
    });
    mosquitto_subscribe_callback_set(
        mosquitto_, [](mosquitto*, void* self, int id, int count, const int* granted) {
          const bool all = std::all_of(granted, granted + count, [](int qos) { return qos <= 2; });
          tell(self, [&](ClientEvents& events) { events.on_subscribe(id, all); });
        });
    mosquitto_message_callback_set(mosquitto_, [](mosquitto*, void* self, const mosquitto_message* message) {
      tell(self, [&](ClientEvents& events) { events.on_message(*message); });
    });
    mosquitto_log_callback_set(mosquitto_, [](mosquitto*, void* self, int level, const char* line) {
      Reason& log = static_cast<Client*>(self)->log_;
      if (level == MOSQ_LOG_ERR && log.error == Error::none) log = from_log(line);
    });
  }
  template <typename Tell>
  static void tell(void* self, Tell tell) noexcept {
    ClientEvents* const events = static_cast<Client*>(self)->events_;
    if (events != nullptr) tell(*events);
    errno = 0;  // or libmosquitto takes what a callback left there for its own
  }

  // In the thread.
  void work() noexcept {
    result_ = mosquitto_connect_bind_async(mosquitto_, host_->get(), port_, keep_alive_, bind_address_);
    errno_ = errno;
    std::unique_lock guard(mutex_);
    working_ = false;
    if (loop_ != nullptr) return loop_->notify(*this);
    guard.unlock();
    delete this;
  }
  void on_notified() noexcept override { loop_->timers().arm(*wake_, loop_->now()); }

  mosquitto* mosquitto_ = nullptr;
  ClientEvents* events_;
  std::optional<CText> host_;
  int port_ = 0;
  int keep_alive_ = 0;
  const char* bind_address_ = nullptr;
  Reason log_;
  int result_ = 0;
  int errno_ = 0;

  std::mutex mutex_;
  Loop* loop_ = nullptr;
  Timer* wake_ = nullptr;
  bool working_ = false;
};

/// A message that came although none is wanted now: libmosquitto reads several at once.
struct Held {
  Held* next = nullptr;
  mosquitto_message message{};
};

class MosquittoProtocol final : public MqttProtocol, private DescriptorEvents, private ClientEvents {
 public:
  Result<void> open(const MqttOptions& options, MqttEvents& events) noexcept override;
  Result<std::uint16_t> publish(const MqttMessage& message) noexcept override;
  bool keeps_in_flight() const noexcept override { return true; }
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
  void lose(Reason reason) noexcept;
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
  Client* client_ = nullptr;
  Call<&MosquittoProtocol::on_started> started_{*this};
  Call<&MosquittoProtocol::tick> tick_{*this};
  Call<&MosquittoProtocol::tell> tell_{*this};
  TimePoint deadline_{};  ///< Of `leaving`.
  TimePoint heard_{};     ///< When the broker was heard last.
  TimePoint kept_{};      ///< When something was sent last to stay alive while nothing is read.
  Reason lost_reason_;
  Held* held_ = nullptr;
  Held** held_end_ = &held_;
  std::array<std::uint16_t, 2 * kMaxInFlight> published_{};  ///< Acknowledged inside a call to `publish`.
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
  bool attempting_ = false;  ///< The client's thread works, or has ended and was not heard.
  bool accepted_ = false;    ///< A CONNACK that is still to be told.
  bool session_present_ = false;
  bool lost_ = false;     ///< `lost_reason_` is still to be told.
  bool in_call_ = false;  ///< In one of the protocol's own functions: no event now.
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
  client_ = Client::make(options, *this, result);
  options_ = client_ != nullptr ? &options : nullptr;
  return client_ != nullptr;
}

Result<void> MosquittoProtocol::open(const MqttOptions& options, MqttEvents& events) noexcept {
  if (state_ != State::closed || lost_) return Error::invalid;
  loop_ = &Loop::current();
  // In a clean session nothing of the one before may be left; libmosquitto would keep messages of QoS 2 that
  // came in half. Unless some are to be sent again: those count more.
  const bool anew = options.clean_session && in_flight_count_ == 0 && !attempting_;
  if (client_ == nullptr || options_ != &options || anew) {
    int result = MOSQ_ERR_SUCCESS;
    if (!make_client(options, result)) return result == MOSQ_ERR_NOMEM ? Error::no_memory : Error::invalid;
  }
  events_ = &events;
  receiving_ = true;
  if (attempting_) {
    state_ = State::starting;  // one that was given up is still on its way: it will do
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
  const Reason outcome = client_->outcome();
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
  const auto before = bind_to_;
  next_address();
  if (bind_to_ == 1 && before != 1) {
    cut();
    if (start()) return;
  }
  lose(from_errno(number));
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
  lose(client_->logged().error != Error::none
           ? client_->logged()
           : Reason{Error::closed, "the broker ended the connection before TLS was there"});
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

// ---- What libmosquitto tells
// ---------------------------------------------------------------------------------

void MosquittoProtocol::on_connack(int code, bool session_present) noexcept {
  if (state_ != State::greeting) return lose(kMalformed);
  if (code != 0) return lose(refusal(code));
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
  const Reason logged = client_->logged();
  if (state_ == State::greeting && logged.error != Error::none) return lose(logged);
  if (state_ == State::greeting && result == MOSQ_ERR_CONN_LOST)
    return lose({Error::closed, "the broker ended the connection without an answer"});
  lose(from_result(result, number));
}

void MosquittoProtocol::on_publish(int id) noexcept {
  const auto number = static_cast<std::uint16_t>(id);
  if (const auto at = std::find(in_flight_.begin(), in_flight_.begin() + in_flight_count_, number);
      at != in_flight_.begin() + in_flight_count_) {
    *at = in_flight_[--in_flight_count_];
  } else if (unsent_ != 0) {
    --unsent_;
  }
  published_[published_count_++] = number;
  if (in_call_ || lost_) return arm(tell_);
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

// ---- What the owner is told
// ----------------------------------------------------------------------------------

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

// ---- The connection's end
// ------------------------------------------------------------------------------------

void MosquittoProtocol::lose(Reason reason) noexcept {
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
  // When TLS fails, libmosquitto closes without a word.
  if (fd_ >= 0 && state_ != State::closed && mosquitto_socket(client_->get()) != fd_)
    lose(client_->logged().error != Error::none ? client_->logged() : from_result(MOSQ_ERR_TLS, 0));
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
      lose(kSilent);
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
  if (result != MOSQ_ERR_SUCCESS) lose(from_result(result, errno));
}

// ---- What the owner wants
// ------------------------------------------------------------------------------------

Result<std::uint16_t> MosquittoProtocol::publish(const MqttMessage& message) noexcept {
  if (!online()) return Error::closed;
  if (message.qos > 2) return Error::invalid;
  if (message.topic.size() > 65'535 || message.payload.size() > kMaxPayload) return Error::too_large;
  if (message.qos == 0 ? unsent_ + published_count_ >= kMaxInFlight : in_flight_count_ == kMaxInFlight)
    return Error::would_block;
  const CText topic(message.topic);
  if (!topic || topic.get() == nullptr) return Error::invalid;
  const Scope scope(*this);
  int id = 0;
  if (message.qos == 0) ++unsent_;
  in_call_ = true;
  const int result =
      mosquitto_publish(client_->get(), &id, topic.get(), static_cast<int>(message.payload.size()),
                        message.payload.data(), message.qos, message.retain);
  in_call_ = false;
  const auto number = sent(result, id);
  if (message.qos == 0) {
    if (!number && unsent_ != 0) --unsent_;
    return number;
  }
  // One that could not be written is in flight nevertheless, and sent with the next connection.
  if (!number && number.error() != Error::closed) return number;
  in_flight_[in_flight_count_++] = static_cast<std::uint16_t>(id);
  return static_cast<std::uint16_t>(id);
}

Result<std::uint16_t> MosquittoProtocol::subscribe(std::string_view filter, std::uint8_t qos) noexcept {
  if (!online()) return Error::closed;
  const CText text(filter);
  if (!text || text.get() == nullptr) return Error::invalid;
  const Scope scope(*this);
  int id = 0;
  in_call_ = true;
  const int result = mosquitto_subscribe(client_->get(), &id, text.get(), qos);
  in_call_ = false;
  return sent(result, id);
}

Result<std::uint16_t> MosquittoProtocol::unsubscribe(std::string_view filter) noexcept {
  if (!online()) return Error::closed;
  const CText text(filter);
  if (!text || text.get() == nullptr) return Error::invalid;
  const Scope scope(*this);
  int id = 0;
  in_call_ = true;
  const int result = mosquitto_unsubscribe(client_->get(), &id, text.get());
  in_call_ = false;
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
    default: lose(from_result(result, errno)); return Error::closed;
  }
}

void MosquittoProtocol::close(bool politely) noexcept {
  if (state_ == State::closed) return;
  const Scope scope(*this);
  if (state_ == State::reaching) next_address();
  if (!politely || state_ != State::connected) return lose(kByUs);
  state_ = State::leaving;
  deadline_ = loop_->now() + kFarewell;
  in_call_ = true;
  const int result = mosquitto_disconnect(client_->get());
  in_call_ = false;
  if (result != MOSQ_ERR_SUCCESS) return lose(kByUs);
  if (lost_) return;  // it is out already
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
