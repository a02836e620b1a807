#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>

#include <microdot/base/config.hpp>
#include <microdot/port/clock.hpp>

namespace microdot::inline MICRODOT_ABI {

/// A time in milliseconds. A structural type, so that `Limits` can be a template argument; any chrono
/// duration converts.
struct Milliseconds {
  std::int64_t count = 0;

  constexpr Milliseconds() noexcept = default;
  template <typename Rep, typename Period>
  constexpr Milliseconds(std::chrono::duration<Rep, Period> time) noexcept
      : count(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()) {}
  constexpr operator Duration() const noexcept { return std::chrono::milliseconds(count); }
  friend constexpr bool operator==(Milliseconds, Milliseconds) noexcept = default;
};

/// What happens to newcomers when every connection is taken and none is idle.
enum class WhenFull : std::uint8_t {
  wait,    ///< They stay in the system's backlog until there is room: nobody sees an error.
  refuse,  ///< They get a constant 503 with `Retry-After` and are closed: everybody is answered at once.
};

// Everything that can be wrong with limits: the name that the compiler prints, and the words at run time.
#define MICRODOT_LIMITS_ERRORS(X)                                                           \
  X(connections_must_be_at_least_1, "Limits::connections must be at least 1")               \
  X(connections_must_be_at_most_1_million, "Limits::connections must be at most 1048576")   \
  X(connections_per_client_must_not_exceed_connections,                                     \
    "Limits::connections_per_client must not exceed connections")                           \
  X(exchanges_must_be_at_least_1, "Limits::exchanges must be at least 1")                   \
  X(exchanges_must_be_at_most_1_million, "Limits::exchanges must be at most 1048576")       \
  X(streams_must_be_at_most_1_million, "Limits::streams must be at most 1048576")           \
  X(stream_bytes_must_be_at_least_512, "Limits::stream_bytes must be at least 512")         \
  X(ws_compressed_must_not_exceed_streams, "Limits::ws_compressed must not exceed streams") \
  X(ws_window_bits_must_be_from_9_to_15, "Limits::ws_window_bits must be from 9 to 15")     \
  X(head_bytes_must_be_from_256_to_65535, "Limits::head_bytes must be from 256 to 65535")   \
  X(header_count_must_be_from_1_to_4096, "Limits::header_count must be from 1 to 4096")     \
  X(response_bytes_must_be_at_least_256, "Limits::response_bytes must be at least 256")     \
  X(arena_bytes_must_be_at_least_1024, "Limits::arena_bytes must be at least 1024")         \
  X(routes_must_be_at_least_1, "Limits::routes must be at least 1")                         \
  X(max_readline_must_be_at_least_64, "Limits::max_readline must be at least 64")           \
  X(max_body_length_must_not_exceed_max_content_length,                                     \
    "Limits::max_body_length must not exceed max_content_length")                           \
  X(first_timeout_must_be_positive, "Limits::first_timeout must be positive")               \
  X(keep_alive_timeout_must_be_positive, "Limits::keep_alive_timeout must be positive")     \
  X(head_timeout_must_be_positive, "Limits::head_timeout must be positive")                 \
  X(body_timeout_must_be_positive, "Limits::body_timeout must be positive")                 \
  X(write_timeout_must_be_positive, "Limits::write_timeout must be positive")               \
  X(slow_grace_must_be_positive, "Limits::slow_grace must be positive")                     \
  X(queue_timeout_must_be_positive, "Limits::queue_timeout must be positive")               \
  X(handler_timeout_must_not_be_negative, "Limits::handler_timeout must not be negative")   \
  X(linger_timeout_must_not_be_negative, "Limits::linger_timeout must not be negative")     \
  X(shutdown_timeout_must_not_be_negative, "Limits::shutdown_timeout must not be negative") \
  X(memory_must_not_exceed_half_the_address_space,                                          \
    "Limits::memory() must not exceed half of the address space")

/// What is wrong with limits.
enum class LimitsError : std::uint8_t {
  none,
#define MICRODOT_LIMITS_ERROR(name, words) name,
  MICRODOT_LIMITS_ERRORS(MICRODOT_LIMITS_ERROR)
#undef MICRODOT_LIMITS_ERROR
};

struct Limits;
namespace detail {
constexpr std::uint64_t memory_bytes(const Limits& limits) noexcept;
}  // namespace detail

/// Every number that bounds what an App may use: a budget that no client can make it exceed. The memory of an
/// App follows from it: see `memory`.
///
///     App app{Limits{.connections = 200, .exchanges = 32}};
///     StaticApp<Limits{.connections = 12, .exchanges = 3, .head_bytes = 1024, …}> device_app;
///
/// Where a cost is named it is that of a 64-bit host; `scripts/sizes` prints what each thing costs.
struct Limits {
  // ---- What is there at once ----
  std::uint32_t connections = 1024;  ///< Accepted sockets, idle ones included. 200 bytes each.
  std::uint32_t connections_per_client =
      0;                         ///< Of one client address; 0: three quarters of `connections`.
                                 ///< As many as `connections`: no cap. A newcomer beyond gets 503.
  std::uint32_t exchanges = 64;  ///< Requests being read, handled and answered: see `exchange_memory`. A
                                 ///< client address takes one if it has fewer than it leaves to others.
  std::uint32_t streams = 64;    ///< Live streams, apart from exchanges: WebSocket, Server-Sent Events.
  std::uint32_t stream_bytes =
      16 * 1024;  ///< Memory of one stream: a copy of its request, a queue for what is sent, frames.
  std::uint32_t ws_message_bytes =
      64 * 1024;                     ///< Largest message of a WebSocket; above: closed with 1009. Memory of
                                     ///< each stream beside `stream_bytes`; 0: there are no WebSockets.
  std::uint32_t queue_length = 512;  ///< Connections that wait for an exchange; one more gets 503 at once.
  std::uint32_t background_tasks =
      256;  ///< Running tasks that requests have started (`create_task`, `shield`); one
            ///< more is refused and reported. They live in the task pool.
  WhenFull when_full = WhenFull::refuse;  ///< What newcomers meet when every connection is taken.
  std::uint8_t ws_window_bits = 12;       ///< What compresses looks back 2^12 bytes for repetitions; 9 to 15.
                                          ///< Below 15 only for clients that offer `client_max_window_bits`.
  std::uint32_t ws_compressed = 0;  ///< WebSockets that compress at once (ext/websocket_deflate.hpp); one
                                    ///< more does not. Memory of each: see `compression_memory`.

  // ---- Memory of one exchange: bytes ----
  std::uint32_t head_bytes = 8192;           ///< Request line and header fields; larger: 431. At most 65535.
  std::uint32_t header_count = 64;           ///< Header fields of a request; more: 431. 8 bytes each.
  std::uint32_t response_bytes = 96 * 1024;  ///< What leaves in one write: heads with small bodies, answers
                                             ///< to pipelined requests, pieces of a `Generator`. Devices
                                             ///< have less (`device()`: a TCP segment).
  std::uint32_t arena_bytes =
      16 * 1024;  ///< Coroutine frames, response fields and formatted text of one request.

  // ---- Memory of a StaticApp's routes. An `App` takes what it needs from the heap, before it starts ----
  std::uint32_t routes = 32;           ///< Routes, mounted routers and static directories.
  std::uint32_t handler_bytes = 4096;  ///< Handlers and hooks with what they capture, error handlers, texts.

  // ---- Microdot's limits: bytes ----
  std::uint64_t max_content_length = 16 * 1024;  ///< Larger request bodies get 413.
  std::uint32_t max_body_length =
      16 * 1024;                      ///< Bodies up to this are read before the handler runs (memory: the
                                      ///< body window has this size); larger ones only by `stream()`.
  std::uint32_t max_readline = 2048;  ///< Longer request lines get 414, longer header lines 431.

  // ---- Times ----
  Milliseconds first_timeout =
      std::chrono::seconds(10);  ///< From the connection to its first byte; then closed.
  Milliseconds head_timeout = std::chrono::seconds(10);   ///< First to last byte of a head; then 408.
  Milliseconds body_timeout = std::chrono::seconds(30);   ///< Without a byte of the body; then 408.
  Milliseconds write_timeout = std::chrono::seconds(30);  ///< Without progress of the answer; then closed.
  std::uint32_t body_rate = 240;   ///< Bytes a second that a body must make on average after its first
                                   ///< `body_timeout`, counting the time it is waited for; else 408. 0: any.
  std::uint32_t write_rate = 240;  ///< The same of the answer, after `write_timeout`; else closed.
  Milliseconds slow_grace = std::chrono::seconds(2);  ///< While others wait for an exchange, the rates count
                                                      ///< after this time already, for heads too.
  Milliseconds keep_alive_timeout = std::chrono::seconds(60);  ///< Idle between requests; then closed.
  Milliseconds queue_timeout = std::chrono::seconds(10);       ///< In the queue for an exchange; then 503.
  Milliseconds handler_timeout =
      std::chrono::seconds(60);  ///< A handler that waits longer gets 503. Zero: none.
  Milliseconds linger_timeout = std::chrono::seconds(2);    ///< Draining unread bytes before close.
  Milliseconds shutdown_timeout = std::chrono::seconds(5);  ///< Active requests may finish; then ended.

  std::uint32_t linger_bytes = 64 * 1024;  ///< Unread request bytes that are drained before close.

  friend constexpr bool operator==(const Limits&, const Limits&) noexcept = default;

  /// For servers: the default values.
  static constexpr Limits host() noexcept { return {}; }
  /// For microcontrollers: an App of 24 KB (on 32 bits), and 11 KB for 4 streams (`streams = 0` where none
  /// are opened). Newcomers wait rather than see an error, and a client's address says little (all may come
  /// through one), so it has no cap of connections and streams; of exchanges it has its share.
  static constexpr Limits device() noexcept {
    Limits limits;
    limits.connections = limits.connections_per_client = limits.queue_length = 12;
    limits.exchanges = 3;
    limits.streams = 4;
    limits.stream_bytes = 2048;
    limits.ws_message_bytes = 512;
    limits.background_tasks = 8;
    limits.when_full = WhenFull::wait;
    limits.head_bytes = 1024;
    limits.header_count = 32;
    limits.response_bytes = 1440;
    limits.arena_bytes = 1600;
    limits.routes = 24;
    limits.handler_bytes = 1024;
    limits.max_body_length = 1024;
    limits.max_readline = 1024;
    limits.first_timeout = limits.keep_alive_timeout = std::chrono::seconds(5);
    limits.queue_timeout = std::chrono::seconds(15);
    return limits;
  }

  /// Bytes that a `StaticApp` with these limits has, all in all: the App, its routes and hooks, the server,
  /// connections, exchanges and streams. It holds nothing else.
  constexpr std::size_t memory() const noexcept;
  /// Bytes of that for one connection.
  static constexpr std::size_t connection_memory() noexcept;
  /// Bytes of that for one exchange.
  constexpr std::size_t exchange_memory() const noexcept;
  /// Bytes of that for one stream.
  constexpr std::size_t stream_memory() const noexcept;
  /// Bytes of that for one WebSocket that compresses, beside its stream.
  constexpr std::size_t compression_memory() const noexcept;
  /// Bytes of that for routes and hooks.
  constexpr std::size_t registry_memory() const noexcept;
  /// Bytes of that for the server: what an `App` takes from the heap when it starts.
  constexpr std::size_t server_memory() const noexcept;

  /// `connections_per_client`, with what 0 stands for; where the system has descriptors for `usable`
  /// connections only, three quarters of these.
  constexpr std::uint32_t client_cap(std::uint32_t usable) const noexcept {
    return connections_per_client != 0 ? connections_per_client : usable - usable / 4;
  }
  constexpr std::uint32_t client_cap() const noexcept { return client_cap(connections); }

  /// The first thing that is wrong, by the field's name; `none` if nothing is. `most_bytes`: what `memory`
  /// may be at most; half of the address space, unless another system is asked about.
  constexpr LimitsError error(std::uint64_t most_bytes = SIZE_MAX / 2) const noexcept {
    using enum LimitsError;
    if (connections == 0) return connections_must_be_at_least_1;
    if (connections > 1024 * 1024) return connections_must_be_at_most_1_million;
    if (connections_per_client > connections) return connections_per_client_must_not_exceed_connections;
    if (exchanges == 0) return exchanges_must_be_at_least_1;
    if (exchanges > 1024 * 1024) return exchanges_must_be_at_most_1_million;
    if (streams > 1024 * 1024) return streams_must_be_at_most_1_million;
    if (streams != 0 && stream_bytes < 512) return stream_bytes_must_be_at_least_512;
    if (ws_compressed > streams) return ws_compressed_must_not_exceed_streams;
    if (ws_window_bits < 9 || ws_window_bits > 15) return ws_window_bits_must_be_from_9_to_15;
    if (head_bytes < 256 || head_bytes > 65535) return head_bytes_must_be_from_256_to_65535;
    if (header_count == 0 || header_count > 4096) return header_count_must_be_from_1_to_4096;
    if (response_bytes < 256) return response_bytes_must_be_at_least_256;
    if (arena_bytes < 1024) return arena_bytes_must_be_at_least_1024;
    if (routes == 0) return routes_must_be_at_least_1;
    if (max_readline < 64) return max_readline_must_be_at_least_64;
    if (max_body_length > max_content_length) return max_body_length_must_not_exceed_max_content_length;
    if (first_timeout.count <= 0) return first_timeout_must_be_positive;
    if (keep_alive_timeout.count <= 0) return keep_alive_timeout_must_be_positive;
    if (head_timeout.count <= 0) return head_timeout_must_be_positive;
    if (body_timeout.count <= 0) return body_timeout_must_be_positive;
    if (write_timeout.count <= 0) return write_timeout_must_be_positive;
    if (slow_grace.count <= 0) return slow_grace_must_be_positive;
    if (queue_timeout.count <= 0) return queue_timeout_must_be_positive;
    if (handler_timeout.count < 0) return handler_timeout_must_not_be_negative;
    if (linger_timeout.count < 0) return linger_timeout_must_not_be_negative;
    if (shutdown_timeout.count < 0) return shutdown_timeout_must_not_be_negative;
    if (detail::memory_bytes(*this) > most_bytes) return memory_must_not_exceed_half_the_address_space;
    return none;
  }
  /// The same in words; null if nothing is wrong.
  constexpr const char* check() const noexcept {
    switch (error()) {
      case LimitsError::none: return nullptr;
#define MICRODOT_LIMITS_ERROR(name, words) \
  case LimitsError::name: return words;
        MICRODOT_LIMITS_ERRORS(MICRODOT_LIMITS_ERROR)
#undef MICRODOT_LIMITS_ERROR
    }
    return nullptr;
  }
};
#undef MICRODOT_LIMITS_ERRORS

namespace detail {

template <typename Size>
constexpr Size align_up(Size size) noexcept {
  constexpr Size kAlign = alignof(std::max_align_t);
  return (size + kAlign - 1) / kAlign * kAlign;
}
// Room for the objects themselves, whose sizes 64-bit and 32-bit systems agree on closely enough; the sources
// assert that they fit.
constexpr std::size_t object_bytes(std::size_t on_64_bits, std::size_t on_32_bits) noexcept {
  return align_up(sizeof(void*) == 8 ? on_64_bits : on_32_bits);
}
inline constexpr std::size_t kAppBytes = object_bytes(960, MICRODOT_HOSTED ? 568 : 344);
inline constexpr std::size_t kServerBytes = object_bytes(1456, MICRODOT_HOSTED ? 1072 : 1056);
/// To the byte, since there are many, and without the others' alignment, which is more than it needs.
inline constexpr std::size_t kConnectionBytes = sizeof(void*) == 8 ? 200 : MICRODOT_HOSTED ? 152 : 136;
inline constexpr std::size_t kExchangeBytes = object_bytes(1664, 1040);
inline constexpr std::size_t kStreamBytes = object_bytes(112, 72);
inline constexpr std::size_t kRouteBytes = object_bytes(72, 44);
inline constexpr std::size_t kHeaderFieldBytes = 8;
/// One more than there are, to tell newcomers that there are no more.
constexpr std::size_t connection_slots(const Limits& limits) noexcept {
  return std::size_t{limits.connections} + (limits.when_full == WhenFull::refuse ? 1 : 0);
}

// Sizes are summed up in 64 bits on every system: a count of 2^20 times what four fields of 32 bits can be
// stays far below 2^64, so that `Limits::error` sees sums that a std::size_t of 32 bits could not hold.

/// The body window: streams need one even if no body is read beforehand, and the end of a chunked body has to
/// be read behind the longest one that is kept.
constexpr std::uint64_t body_window_bytes(const Limits& limits) noexcept {
  return std::uint64_t{limits.max_body_length > 1024 ? limits.max_body_length : 1024} + 16;
}
/// All connections; what lies behind them is aligned.
constexpr std::uint64_t connections_bytes(const Limits& limits) noexcept {
  return align_up(std::uint64_t{connection_slots(limits)} * kConnectionBytes);
}
constexpr std::uint64_t exchange_bytes(const Limits& limits) noexcept {
  std::uint64_t sum = kExchangeBytes;
  for (const std::uint64_t size :
       {std::uint64_t{limits.header_count} * kHeaderFieldBytes, std::uint64_t{limits.head_bytes},
        body_window_bytes(limits), std::uint64_t{limits.response_bytes}, std::uint64_t{limits.arena_bytes}})
    sum += align_up(size);
  return sum;
}
/// A message, what is told with it, and some bytes of what follows.
inline constexpr std::uint32_t kMessageOverhead = 64;
constexpr std::uint64_t stream_bytes(const Limits& limits) noexcept {
  const std::uint64_t message =
      limits.ws_message_bytes != 0 ? std::uint64_t{limits.ws_message_bytes} + kMessageOverhead : 0;
  return kStreamBytes + align_up(std::uint64_t{limits.stream_bytes} + message);
}
/// zlib's two states, in its version for 64 bits, and what the library has beside them.
inline constexpr std::uint32_t kCompressionStates = 16 * 1024;
/// What compresses needs eight windows, half of them for its tables; what inflates one. Then bytes that have
/// come, and a message that goes.
constexpr std::uint64_t compression_bytes(const Limits& limits) noexcept {
  return align_up(kCompressionStates + (std::uint64_t{9} << limits.ws_window_bits) + limits.head_bytes +
                  limits.ws_message_bytes);
}
constexpr std::uint64_t registry_bytes(const Limits& limits) noexcept {
  return std::uint64_t{limits.routes} * kRouteBytes + align_up(std::uint64_t{limits.handler_bytes});
}
constexpr std::uint64_t server_bytes(const Limits& limits) noexcept {
  return kServerBytes + connections_bytes(limits) + limits.exchanges * exchange_bytes(limits) +
         limits.streams * stream_bytes(limits) + limits.ws_compressed * compression_bytes(limits);
}
constexpr std::uint64_t memory_bytes(const Limits& limits) noexcept {
  return kAppBytes + registry_bytes(limits) + server_bytes(limits);
}

}  // namespace detail

constexpr std::size_t Limits::connection_memory() noexcept { return detail::kConnectionBytes; }
constexpr std::size_t Limits::exchange_memory() const noexcept {
  return static_cast<std::size_t>(detail::exchange_bytes(*this));
}
constexpr std::size_t Limits::stream_memory() const noexcept {
  return static_cast<std::size_t>(detail::stream_bytes(*this));
}
constexpr std::size_t Limits::compression_memory() const noexcept {
  return static_cast<std::size_t>(detail::compression_bytes(*this));
}
constexpr std::size_t Limits::registry_memory() const noexcept {
  return static_cast<std::size_t>(detail::registry_bytes(*this));
}
constexpr std::size_t Limits::server_memory() const noexcept {
  return static_cast<std::size_t>(detail::server_bytes(*this));
}
constexpr std::size_t Limits::memory() const noexcept {
  return static_cast<std::size_t>(detail::memory_bytes(*this));
}

}  // namespace microdot::inline MICRODOT_ABI
