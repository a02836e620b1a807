#pragma once
/// The simulator: a port whose network lies in memory, whose clock moves only when nothing else happens, and
/// whose randomness is seeded. The same program with the same seed runs the same way, event by event.
/// `TestClient` is made of it; use it directly to control segments, windows, resets and time.
///
///     SimPort sim;
///     // ... a server listens on port 5000 of `sim` ...
///     SimClient client = sim.connect(5000);
///     client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
///     while (!client.closed() && !sim.stuck()) /* drive the loop, which calls sim.poller().poll() */;
///     client.received();

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>

#include <microdot/port/port.hpp>

namespace microdot::inline MICRODOT_ABI {

class SimClient;
struct SimConnection;

/// Which way bytes go.
enum class SimDirection : std::uint8_t { to_server, to_client };

/// What goes wrong. The simulator asks before each operation; every answer's default is "nothing".
/// Connections are numbered from 0 in the order of `connect`. Must outlive the port.
class SimFaults {
 public:
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  /// At most so many of the `available` bytes are read at once; at least 1.
  virtual std::size_t read_limit(unsigned connection, std::size_t available) noexcept {
    (void)connection;
    return available;
  }
  /// At most so many of the `offered` bytes are taken by one write; 0 is `would_block`, once.
  virtual std::size_t write_limit(unsigned connection, std::size_t offered) noexcept {
    (void)connection;
    return offered;
  }
  /// How much longer than `SimOptions::latency` the next piece takes; pieces of one direction stay in order.
  virtual Duration delay(unsigned connection, SimDirection direction) noexcept {
    (void)connection, (void)direction;
    return Duration::zero();
  }
  /// After how many bytes in this direction the connection is reset; asked once for each connection.
  virtual std::uint64_t reset_after(unsigned connection, SimDirection direction) noexcept {
    (void)connection, (void)direction;
    return kNever;
  }
  /// Errors instead of success; `Error::none` lets it pass. `would_block` is not for these.
  virtual Error on_listen(std::uint16_t port) noexcept {
    (void)port;
    return Error::none;
  }
  /// `closed` takes the waiting connection away; with other errors it goes on waiting.
  virtual Error on_accept(unsigned connection) noexcept {
    (void)connection;
    return Error::none;
  }
  virtual Error on_open(std::string_view path) noexcept {
    (void)path;
    return Error::none;
  }
  /// At most so many bytes come with one read of a file that was added to the simulator; 0 is `Error::io`.
  virtual std::size_t file_read_limit(std::size_t available) noexcept { return available; }
  /// How long that read takes; the program stands still meanwhile.
  virtual Duration file_read_time(std::size_t available) noexcept {
    (void)available;
    return Duration::zero();
  }

 protected:
  ~SimFaults() = default;
};

struct SimOptions {
  std::uint64_t seed = 1;  ///< Of everything random.
  std::int64_t unix_seconds =
      1'700'000'000;                      ///< The wall clock at the start; it goes on with the virtual clock.
  Duration coarse_step = Duration{1};     ///< In which the coarse clock goes.
  Duration latency = Duration::zero();    ///< Of each direction. Zero: with the next poll.
  std::size_t receive_window = SIZE_MAX;  ///< Of new clients: see `SimClient::set_receive_window`.
  /// The transport refers to bytes that were written until they arrive, as lwIP does: `drained()` is false
  /// and a `close` in order completes later. Bytes that are changed too early arrive changed.
  bool refers_to_written_bytes = false;
  std::size_t max_connections = SIZE_MAX;  ///< What `reserve_connections` grants.
  SimFaults* faults = nullptr;             ///< Null: none.
  Files* files = nullptr;                  ///< Asked for files that were not added to the simulator.
};

/// A deterministic system in memory. It uses `malloc`, but never `operator new`.
class SimPort final : public Port {
 public:
  explicit SimPort(const SimOptions& options = {}) noexcept;
  /// Listeners, transports and clients must be closed before.
  ~SimPort();
  SimPort(const SimPort&) = delete;
  SimPort& operator=(const SimPort&) = delete;

  /// `poll` never sleeps. It hands out what is there; else it moves the clock to the next event of the
  /// network or by the timeout, whichever is sooner. Only a program that polls a thousand times in a row
  /// without anything new (a spin) sees the clock move by 100 us with each further poll.
  Clock& clock() noexcept override;
  Poller& poller() noexcept override;
  Network& network() noexcept override;
  Files& files() noexcept override;
  Entropy& entropy() noexcept override;
  Log& log() noexcept override;
  Pressure pressure() noexcept override;
  /// Writes over the bytes.
  void discard(std::span<std::byte> bytes) noexcept override;

  // ---- Network ----
  /// A client's connection to the listener at `port`; a refused one if nothing listens there. It comes from
  /// 127.0.0.1 unless `from` says otherwise (a port of 0 in it is replaced).
  SimClient connect(std::uint16_t port, const Endpoint& from = {}) noexcept;
  /// The last `poll` had no timeout and nothing that could ever end it: a deadlock, unless another thread
  /// wakes.
  bool stuck() const noexcept;
  /// Nothing is on its way and nothing is ready to be handed out.
  bool idle() const noexcept;
  /// Takes the interface down, or up again. While it is down nothing arrives, at neither end: connections
  /// stall, and what was sent comes when it is up. Listeners fail: `accept` and `listen` give `network_down`.
  void set_network(bool up) noexcept;
  /// The machine has this address of IPv4 and no other ("" for none; before the first call: every address).
  /// A change ends all connections and the listeners at other addresses: `accept` and `listen` there give
  /// `address_unavailable`. The loopback and the wildcards stay.
  void set_address(std::string_view address) noexcept;
  /// Connections that the server has accepted and not closed.
  std::size_t open_transports() const noexcept;
  /// Of them, those that come from this address and that the server has not ended its side of.
  std::size_t open_transports(const Endpoint& from) const noexcept;

  // ---- Time, signals, resources ----
  /// Moves the clock. Events that fall due come with the next poll.
  void advance(Duration duration) noexcept;
  void set_unix_seconds(std::int64_t seconds) noexcept;
  /// As if SIGTERM came; lost while nobody watches.
  void raise_exit_signal() noexcept;
  /// As if this signal, from 1 to 64, came; lost while nobody watches it.
  void raise_signal(int number) noexcept;
  void set_pressure(Pressure pressure) noexcept;
  /// Bytes that were given to `discard` so far.
  std::size_t discarded() const noexcept;
  /// From the seed; the same sequence that `entropy` uses.
  std::uint64_t random() noexcept;

  // ---- Files and log ----
  /// Adds or replaces a file. `path` is the name that a program gives, the root first: "static/index.html".
  /// `content` is copied unless `in_place` (then it must outlive the port, and `Files::data` shows it, as
  /// flash).
  void add_file(std::string_view path, std::string_view content, std::int64_t modified = 0,
                bool in_place = false) noexcept;
  /// Of files that were added.
  std::size_t open_files() const noexcept;
  /// All lines so far, each with '\n'.
  std::string_view log_text() const noexcept;
  void clear_log() noexcept;

 private:
  friend class SimClient;
  struct State;
  State* state_;
};

/// A client's end of a simulated connection. What it does takes effect at the server with later polls.
class SimClient {
 public:
  SimClient() noexcept = default;
  SimClient(SimClient&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)),
        connection_(std::exchange(other.connection_, nullptr)) {}
  SimClient& operator=(SimClient&& other) noexcept {
    if (this != &other) {
      release();
      state_ = std::exchange(other.state_, nullptr);
      connection_ = std::exchange(other.connection_, nullptr);
    }
    return *this;
  }
  /// Closes.
  ~SimClient() { release(); }

  /// Sends bytes; they arrive as one piece, and one poll hands out at most one piece of a connection.
  void send(std::string_view bytes) noexcept;
  /// Cuts what is sent from now on into pieces of these sizes in turn, then one piece for each `send` again.
  /// What a `send` does not fill of a size is not carried over to the next.
  void set_segment_sizes(std::span<const std::size_t> sizes) noexcept;
  void set_segment_sizes(std::initializer_list<std::size_t> sizes) noexcept {
    set_segment_sizes(std::span<const std::size_t>(sizes.begin(), sizes.size()));
  }
  /// Cuts what is sent from now on into pieces of at most `size` bytes.
  void set_segment_size(std::size_t size) noexcept;
  /// Sends FIN; receiving goes on.
  void shutdown_write() noexcept;
  /// Sends FIN and receives no more: further bytes from the server are answered with a reset.
  void close() noexcept;
  /// Sends RST, which overtakes nothing that was sent before.
  void reset() noexcept;

  /// The bytes that arrived and were not consumed. Valid until the next call of anything.
  std::string_view received() const noexcept;
  /// Drops the first `size` bytes of `received()`, which opens the window again.
  void consume(std::size_t size) noexcept;
  /// The server may have at most `size` bytes under way or received and not consumed.
  void set_receive_window(std::size_t size) noexcept;

  /// The server took the connection.
  bool accepted() const noexcept;
  /// The server's FIN came.
  bool ended() const noexcept;
  /// A reset came or was sent, or the connection was refused.
  bool was_reset() const noexcept;
  /// Nothing more will come.
  bool closed() const noexcept { return ended() || was_reset(); }
  /// Bytes and FIN that were sent and have not been read by the server.
  std::size_t unread() const noexcept;
  Endpoint local() const noexcept;
  /// The connection's number, as `SimFaults` knows it.
  unsigned number() const noexcept;

 private:
  friend class SimPort;
  SimClient(SimPort::State* state, SimConnection* connection) noexcept
      : state_(state), connection_(connection) {}
  void release() noexcept;

  SimPort::State* state_ = nullptr;
  SimConnection* connection_ = nullptr;
};

}  // namespace microdot::inline MICRODOT_ABI
