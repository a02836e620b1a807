#pragma once
#include <cstdint>

#include <microdot/testing/sim_port.hpp>

#include "memory.hpp"

namespace microdot::inline MICRODOT_ABI {

class SimNetwork;
class SimTransport;
class SimListener;

/// Something on its way, in the order of (time, when it was sent).
struct SimEvent {
  enum class Kind : std::uint8_t { connect, bytes, fin, reset };

  SimEvent* previous;
  SimEvent* next;
  TimePoint time;
  std::uint64_t sequence;
  SimConnection* connection;
  const char* referred;  ///< Bytes that the server's program still holds; null if they lie in the connection.
  std::size_t size;
  SimDirection direction;
  Kind kind;
};

/// A connection with both its ends and what is between them.
struct SimConnection {
  enum class Server : std::uint8_t {
    connecting,  ///< On its way to the listener.
    waiting,     ///< In the listener's backlog.
    accepted,
    closing,  ///< Closed, but the transport's storage is still referred to.
    closed,
  };
  struct Way {
    SimBuffer bytes;          ///< Sent and not taken by the other end.
    std::size_t arrived = 0;  ///< How many of them have arrived.
    std::uint64_t total = 0;  ///< Bytes ever sent.
    std::uint64_t reset_at = SimFaults::kNever;
    TimePoint last{};        ///< When the latest event is due.
    std::size_t events = 0;  ///< Under way.
    bool fin_sent = false;
    bool fin_arrived = false;
    bool reset_sent = false;
    bool reset_arrived = false;
  };

  unsigned number = 0;
  Endpoint local;  ///< The client's.
  std::uint16_t port = 0;

  Way to_server;
  Way to_client;

  // The server's end.
  Server server = Server::connecting;
  SimListener* listener = nullptr;
  SimTransport* transport = nullptr;
  TransportEvents* events = nullptr;
  bool want_read = true;
  bool want_write = false;
  bool end_read = false;  ///< The end of stream was read.
  bool blocked = false;   ///< A write took less than it was offered.
  bool just_drained = false;
  bool gone_told = false;
  std::size_t referred = 0;  ///< Bytes that are referred to,
  unsigned referred_pieces = 0;

  // The client's end.
  bool client_held = true;  ///< There is a SimClient.
  bool client_closed = false;
  std::size_t window = SIZE_MAX;
  SimBuffer plan;  ///< Sizes of the next segments (std::size_t each).
  std::size_t segment_size = SIZE_MAX;

  std::uint64_t poll_mark = 0;  ///< The poll that handed out a piece last.
  enum class Queue : std::uint8_t { none, ready, batch } queue = Queue::none;
  SimConnection* ready_previous = nullptr;
  SimConnection* ready_next = nullptr;
  SimConnection* wait_previous = nullptr;
  SimConnection* wait_next = nullptr;
  SimConnection* all_previous = nullptr;
  SimConnection* all_next = nullptr;
};

class SimTransport final : public Transport {
 public:
  SimTransport(SimNetwork& network, SimConnection& connection) noexcept
      : network_(network), connection_(connection) {}

  Result<std::size_t> read(std::span<char> buffer) noexcept override;
  Result<std::size_t> write(std::span<const ConstBuffer> pieces, bool more) noexcept override;
  Result<std::size_t> write_file(const FileReader& file, std::uint64_t offset,
                                 std::size_t size) noexcept override;
  std::size_t undrained() const noexcept override;
  void set_interest(bool read, bool write) noexcept override;
  void shutdown_write() noexcept override;
  bool close(bool abort) noexcept override;
  Endpoint peer() const noexcept override { return connection_.local; }

 private:
  /// How many of `offered` bytes can be written now, at most.
  Result<std::size_t> admit(std::size_t offered) noexcept;

  SimNetwork& network_;
  SimConnection& connection_;
};

class SimListener final : public Listener {
 public:
  SimListener(SimNetwork& network, ListenerEvents& listener_events, const Endpoint& local) noexcept
      : events(listener_events), network_(network), local_(local) {}

  Result<Transport*> accept(void* storage, TransportEvents& events) noexcept override;
  void set_accepting(bool on) noexcept override { accepting = on; }
  Endpoint local() const noexcept override { return local_; }
  void close() noexcept override;

  ListenerEvents& events;
  SimListener* next = nullptr;
  bool accepting = true;

 private:
  SimNetwork& network_;
  Endpoint local_;
};

/// The network between the simulator's server and its clients. Time comes from outside.
class SimNetwork final : public Network {
 public:
  explicit SimNetwork(const SimOptions& options) noexcept;
  SimNetwork(const SimNetwork&) = delete;
  ~SimNetwork();

  Result<Listener*> listen(const ListenOptions& options, void* storage,
                           ListenerEvents& events) noexcept override;
  std::size_t reserve_connections(std::size_t connections) noexcept override;
  Error check_address(const Endpoint& local) noexcept override;

  /// What `accept` and `listen` there give.
  Error listener_error(const Endpoint& local) const noexcept;
  void set_up(bool up) noexcept;
  void set_address(std::string_view address) noexcept;
  SimConnection& connect(std::uint16_t port, const Endpoint& from) noexcept;

  /// See `SimPort::open_transports`.
  std::size_t open_from(const Endpoint& address) const noexcept;

  // ---- Poll ----
  /// Lets everything that is due arrive, at most one piece of a connection. True if anything did.
  bool arrive() noexcept;
  /// Calls the owners of what is ready. False if nothing was.
  bool dispatch() noexcept;
  bool anything_ready() noexcept;
  /// When the next event is due; false if none is under way.
  bool next_event(TimePoint& time) const noexcept;
  bool idle() noexcept { return (!up_ || events_.empty()) && !anything_ready(); }

  // ---- For the two ends ----
  void send(SimConnection& connection, SimDirection direction, SimEvent::Kind kind, std::size_t size = 0,
            const char* referred = nullptr) noexcept;
  void send_to_server(SimConnection& connection, std::string_view bytes) noexcept;
  void close_client(SimConnection& connection) noexcept;
  /// Frees the connection when neither end needs it any more.
  void collect(SimConnection& connection) noexcept;
  void server_closed(SimConnection& connection) noexcept;
  /// What is under way is void: bytes and FIN, with `resets` also those.
  void drop_events(SimConnection& connection, SimDirection direction, bool resets = false) noexcept;
  /// Puts the connection among those whose owner is to be called, if there is a reason.
  void check_ready(SimConnection& connection) noexcept;
  static std::size_t room(const SimConnection& connection) noexcept;
  SimConnection* waiting_at(const SimListener& listener) const noexcept;
  void stop_waiting(SimConnection& connection, SimConnection::Server state) noexcept;
  void remove(SimListener& listener) noexcept;

  SimOptions options;
  SimFaults& faults;
  TimePoint now{Duration(1'000'000)};
  std::uint64_t polls = 0;
  std::size_t transports = 0;

 private:
  /// A listener whose owner has something to find out.
  bool acceptable(const SimListener& listener) noexcept {
    return listener.accepting &&
           (listener_error(listener.local()) != Error::none || waiting_at(listener) != nullptr);
  }
  static bool wants_gone(const SimConnection& connection) noexcept;
  static bool wants_read(const SimConnection& connection) noexcept;
  static bool wants_write(const SimConnection& connection) noexcept;
  static bool wants_released(const SimConnection& connection) noexcept;
  void apply(const SimEvent& event) noexcept;
  void apply_to_server(SimConnection& connection, const SimEvent& event) noexcept;
  void apply_to_client(SimConnection& connection, const SimEvent& event) noexcept;
  void call_owner(SimConnection& connection) noexcept;
  SimListener* find(std::uint16_t port) const noexcept;

  using ReadyList = SimList<SimConnection, &SimConnection::ready_previous, &SimConnection::ready_next>;

  SimList<SimEvent, &SimEvent::previous, &SimEvent::next> events_;
  SimEvent* cursor_ = nullptr;  ///< Where `arrive` goes on, kept right by `drop_events`.
  std::uint64_t next_sequence_ = 0;
  SimList<SimConnection, &SimConnection::all_previous, &SimConnection::all_next> connections_;
  SimList<SimConnection, &SimConnection::wait_previous, &SimConnection::wait_next> waiting_;
  ReadyList ready_;
  ReadyList batch_;                   ///< What this poll still has to hand out.
  SimConnection* current_ = nullptr;  ///< Whose owner is being called; null once it is freed.
  SimListener* listeners_ = nullptr;
  SimListener* next_listener_ = nullptr;  ///< Where `dispatch` goes on, kept right by `remove`.
  bool up_ = true;
  bool changed_ = false;       ///< The interface or its address, and nobody was told.
  bool every_address_ = true;  ///< No address was set.
  Endpoint address_;
  unsigned connects_ = 0;
  std::uint16_t next_port_ = 49152;
};

}  // namespace microdot::inline MICRODOT_ABI
