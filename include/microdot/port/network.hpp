#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include <microdot/base/format.hpp>
#include <microdot/base/result.hpp>
#include <microdot/port/file.hpp>

namespace microdot::inline MICRODOT_ABI {

/// An IP address and port.
struct Endpoint {
  enum class Family : std::uint8_t { none, ipv4, ipv6 };

  std::array<std::uint8_t, 16> address{};  ///< Network order; IPv4 uses the first four bytes.
  std::uint16_t port = 0;                  ///< Host order.
  Family family = Family::none;

  /// Bytes that `format_address` needs at most.
  static constexpr std::size_t kMaxText = 46;
  /// Writes the address without the port ("127.0.0.1", "::1") into `out` and returns it as a view of `out`.
  std::string_view format_address(std::span<char, kMaxText> out) const noexcept;
  bool same_address(const Endpoint& other) const noexcept {
    return family == other.family && address == other.address;
  }
  /// The IPv4 address that an IPv4-mapped one ("::ffff:192.0.2.1", RFC 4291 section 2.5.5.2) stands for; any
  /// other address as it is.
  Endpoint unmapped() const noexcept;
  /// Whether the address is in one of the networks of a list such as "127.0.0.1, ::1, 10.0.0.0/8". An
  /// IPv4-mapped address, here or in the list, counts as the IPv4 address: it is in no network of IPv6.
  bool is_in(std::string_view networks) const noexcept;

  /// Reads an IP address as text ("127.0.0.1", "::1"); of the family `none` if it is none.
  static Endpoint from_address(std::string_view text) noexcept;
};

/// An Endpoint in `format`, with its port: "127.0.0.1:5000", "[::1]:5000"; "" of the family `none`.
template <>
struct IntoText<Endpoint> {
  static constexpr std::size_t max_size = Endpoint::kMaxText + 8;
  static std::string_view make(const Endpoint& endpoint, std::span<char, max_size> out) noexcept;
};

/// Whether `text` is a list that `Endpoint::is_in` can take: addresses and networks in CIDR notation (RFC
/// 4632), separated by commas; or empty.
bool is_network_list(std::string_view text) noexcept;

/// One piece of what is to be sent.
struct ConstBuffer {
  const char* data;
  std::size_t size;
};

/// What a transport tells its owner. Called from `Poller::poll` only, never from inside a call to the
/// transport.
class TransportEvents {
 public:
  /// Bytes, or the peer's end of stream, can be read. Repeats with every poll until it was read or read
  /// interest is off.
  virtual void on_readable() noexcept = 0;
  /// Room to write after `would_block`, or all bytes drained (see `Transport::drained`).
  virtual void on_writable() noexcept = 0;
  /// The peer or the network is gone (reset, abort, unreachable). Nothing more comes; the owner has to
  /// `close`.
  virtual void on_gone() noexcept = 0;
  /// A `close` that returned false is complete: the storage may be reused.
  virtual void on_released() noexcept = 0;

 protected:
  ~TransportEvents() = default;
};

/// A connected byte stream. Lives in storage that its owner gave to `Listener::accept`; TLS wraps one in
/// another.
class Transport {
 public:
  /// How many bytes were read into `buffer` (never empty); 0 at the peer's end of stream, after which
  /// `on_readable` does not come again.
  /// Errors: `would_block`, `closed` (whatever the system called it).
  virtual Result<std::size_t> read(std::span<char> buffer) noexcept = 0;

  /// Sends the pieces in order; returns how many bytes were taken, which may be fewer than given (then
  /// `on_writable` follows if write interest is on). `more` hints that further bytes follow at once, so that
  /// the system need not send a partial segment. Bytes taken must stay unchanged until `drained()`. Errors:
  /// `would_block`, `closed`.
  virtual Result<std::size_t> write(std::span<const ConstBuffer> pieces, bool more) noexcept = 0;

  /// Sends up to `size` bytes of `file` from `offset` without passing them through the program.
  /// Errors: those of `write`; `io` (also when the file has become shorter); `unsupported` (then the caller
  /// reads and writes).
  virtual Result<std::size_t> write_file(const FileReader& file, std::uint64_t offset,
                                         std::size_t size) noexcept {
    (void)file, (void)offset, (void)size;
    return Error::unsupported;
  }

  /// How many of the bytes that were taken last may still be referred to by the transport: it lets go of them
  /// in order.
  virtual std::size_t undrained() const noexcept { return 0; }
  /// No byte given to `write` is still referred to by the transport.
  bool drained() const noexcept { return undrained() == 0; }

  /// Which events are wanted. Read is on and write is off after `accept`. Cheap: a port may leave an interest
  /// armed until the unwanted event comes.
  virtual void set_interest(bool read, bool write) noexcept = 0;

  /// Nothing is in flight, until the peer's next bytes: a system that runs out of connections may give this
  /// one up for a newcomer (then `on_gone` comes). Those that wait longest go first.
  virtual void set_idle() noexcept {}

  /// Sends FIN after what was written; reading goes on.
  virtual void shutdown_write() noexcept = 0;

  /// Ends the connection: at once and with a reset if `abort`, else in order (bytes taken are still sent, but
  /// a peer whose bytes were not read gets a reset, so drain first). No event but `on_released` comes
  /// afterwards. True: the object is destroyed and its storage free now; false: `on_released` will tell, or
  /// `close(true)` may put an end to the wait: an abort is always done at once.
  virtual bool close(bool abort) noexcept = 0;

  virtual Endpoint peer() const noexcept = 0;

 protected:
  ~Transport() = default;
};

/// Bytes that any port's transport fits in, aligned as a pointer. Ports on hosts keep the peer's address in
/// it.
inline constexpr std::size_t kTransportBytes = MICRODOT_HOSTED ? 3 * sizeof(void*) + 24 : 6 * sizeof(void*);

/// What a listener tells its owner; called from `Poller::poll` only.
class ListenerEvents {
 public:
  /// A connection waits to be accepted. Repeats with every poll while accepting is on.
  virtual void on_acceptable() noexcept = 0;

 protected:
  ~ListenerEvents() = default;
};

/// A listening socket. Lives in storage that its owner gave to `Network::listen`.
class Listener {
 public:
  /// Takes one waiting connection and builds its transport at the beginning of `storage` (`kTransportBytes`,
  /// aligned as a pointer), where it stays. Errors: `would_block` (none waits), `closed` (it left again: try
  /// the next); `no_descriptors`, `no_memory`, `permission` (later); `network_down`, `address_unavailable`,
  /// `invalid`, `io` (this listener is of no use any more).
  virtual Result<Transport*> accept(void* storage, TransportEvents& events) noexcept = 0;
  /// Off: connections stay in the backlog and no event comes.
  virtual void set_accepting(bool on) noexcept = 0;
  /// The address that is listened on, with the port that the system chose if it was 0.
  virtual Endpoint local() const noexcept = 0;
  /// Stops listening and destroys the object.
  virtual void close() noexcept = 0;

 protected:
  ~Listener() = default;
};

/// Bytes that any port's listener fits in, aligned as a pointer; an address is a part of some.
inline constexpr std::size_t kListenerBytes = 5 * sizeof(void*) + 24;

/// Whether several listeners of a process have the same port, so that the system divides connections among
/// them.
enum class PortSharing : std::uint8_t {
  none,
  first,   ///< The port must be free; others may join this one.
  others,  ///< Joins the first.
};

/// Where to listen.
struct ListenOptions {
  std::string_view host = {};  ///< "" or "::" is every address of both families, "0.0.0.0" every IPv4 one, or
                               ///< a literal address, or "localhost".
  std::uint16_t port = 0;      ///< 0: the system chooses.
  int backlog = 4096;          ///< Connections that wait to be accepted; the system may allow fewer.
  PortSharing sharing = PortSharing::none;  ///< Not every port can: then `others` find the port in use.
};

/// Who wants to know when the system's interfaces or addresses change; called from `Poller::poll` only.
class NetworkEvents {
 public:
  /// An interface or an address may have come or gone; `Network::check_address` tells what that means.
  virtual void on_network_changed() noexcept = 0;

 protected:
  ~NetworkEvents() = default;

 private:
  friend class Network;
  NetworkEvents* next_ = nullptr;
};

/// The system's network.
class Network {
 public:
  /// Starts to listen; the listener is built in `storage` (`kListenerBytes`, aligned as a pointer).
  /// Errors: `address_in_use`, `address_unavailable`, `permission`, `invalid` (no such host name or address),
  /// `no_descriptors`, `no_memory`, `network_down`, `io`.
  virtual Result<Listener*> listen(const ListenOptions& options, void* storage,
                                   ListenerEvents& events) noexcept = 0;

  /// Sees to it that `connections` descriptors and some for files can be open at once. Returns how many
  /// connections can be: fewer than asked for if the system's limit can't be raised.
  virtual std::size_t reserve_connections(std::size_t connections) noexcept { return connections; }

  /// `events` is told of changes until `unwatch`, which is not for `on_network_changed`. A port that can't
  /// tell never calls.
  void watch(NetworkEvents& events) noexcept {
    events.next_ = std::exchange(watchers_, &events);
    if (events.next_ == nullptr) watch_system(true);
  }
  void unwatch(NetworkEvents& events) noexcept {
    for (NetworkEvents** at = &watchers_; *at != nullptr; at = &(*at)->next_) {
      if (*at != &events) continue;
      *at = events.next_;
      if (watchers_ == nullptr) watch_system(false);
      return;
    }
  }
  /// Whether clients can come to a listener at `local` now: `none`; `address_unavailable`, the address is
  /// gone; `network_down`, its interface is down, or where every address is listened on, no interface but
  /// loopback is up and has one; `unsupported`, not known. Asked while `watch` is on.
  virtual Error check_address(const Endpoint& local) noexcept {
    (void)local;
    return Error::unsupported;
  }

 protected:
  ~Network() = default;
  bool watched() const noexcept { return watchers_ != nullptr; }
  void tell_watchers() noexcept {
    for (NetworkEvents* at = watchers_; at != nullptr; at = at->next_) at->on_network_changed();
  }

 private:
  /// The first wants to know, or nobody any more.
  virtual void watch_system(bool on) noexcept { (void)on; }

  NetworkEvents* watchers_ = nullptr;
};

}  // namespace microdot::inline MICRODOT_ABI
