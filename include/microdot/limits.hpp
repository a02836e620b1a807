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

/// Every number that bounds what an App may use. The memory of an App follows from it: see `memory`.
///
///     App app{Limits{.connections = 200, .exchanges = 32}};
///     StaticApp<Limits{.connections = 12, .exchanges = 3, .head_bytes = 1024, …}> device_app;
struct Limits {
  // What is there at once. Memory.
  std::uint32_t connections = 1024;     ///< Accepted sockets, idle ones included.
  std::uint32_t exchanges = 64;         ///< Requests being read, handled and answered.
  std::uint32_t head_bytes = 8192;      ///< Request line and header fields; larger: 431. At most 65535.
  std::uint32_t header_count = 64;      ///< Header fields of a request; more: 431. 8 bytes each.
  std::uint32_t response_bytes = 4096;  ///< Response head, and small bodies sent with it in one write.
  std::uint32_t arena_bytes =
      16 * 1024;  ///< Coroutine frames, response fields and formatted text of one request.

  std::uint32_t handler_bytes = 4096;  ///< Routes, hooks and their closures in a `StaticApp`; an `App` takes
                                       ///< what it needs from the heap, before it starts.

  // Microdot's limits. Bytes.
  std::uint64_t max_content_length = 16 * 1024;  ///< Larger request bodies get 413.
  std::uint32_t max_body_length =
      16 * 1024;                      ///< Bodies up to this are read before the handler runs (memory: the
                                      ///< body window has this size); larger ones only by `stream()`.
  std::uint32_t max_readline = 2048;  ///< Longer request lines get 414, longer header lines 431.

  // Times.
  Milliseconds head_timeout = std::chrono::seconds(10);   ///< First to last byte of a head; then 408.
  Milliseconds body_timeout = std::chrono::seconds(30);   ///< Without a byte of the body; then 408.
  Milliseconds write_timeout = std::chrono::seconds(30);  ///< Without progress of the answer; then closed.
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
  /// For microcontrollers: an App under 48 KB.
  static constexpr Limits device() noexcept {
    Limits limits;
    limits.connections = 12;
    limits.exchanges = 3;
    limits.head_bytes = 1536;
    limits.header_count = 32;
    limits.response_bytes = 1460;
    limits.arena_bytes = 2048;
    limits.max_body_length = 2048;
    limits.max_readline = 1024;
    limits.keep_alive_timeout = std::chrono::seconds(5);
    limits.queue_timeout = std::chrono::seconds(15);
    return limits;
  }

  /// Bytes of the one block that an App with these limits lives in, apart from routes and hooks.
  constexpr std::size_t memory() const noexcept;
  /// Bytes of that for one connection.
  static constexpr std::size_t connection_memory() noexcept;
  /// Bytes of that for one exchange.
  constexpr std::size_t exchange_memory() const noexcept;
  /// Null, or what is wrong, by field name.
  constexpr const char* check() const noexcept {
    if (connections == 0) return "Limits::connections must be at least 1";
    if (exchanges == 0) return "Limits::exchanges must be at least 1";
    if (head_bytes < 256 || head_bytes > 65535) return "Limits::head_bytes must be from 256 to 65535";
    if (header_count == 0 || header_count > 4096) return "Limits::header_count must be from 1 to 4096";
    if (response_bytes < 256) return "Limits::response_bytes must be at least 256";
    if (arena_bytes < 1024) return "Limits::arena_bytes must be at least 1024";
    if (max_readline < 64) return "Limits::max_readline must be at least 64";
    if (max_body_length > max_content_length)
      return "Limits::max_body_length must not exceed max_content_length";
    return nullptr;
  }
};

namespace detail {

constexpr std::size_t align_up(std::size_t size) noexcept {
  return (size + alignof(std::max_align_t) - 1) / alignof(std::max_align_t) * alignof(std::max_align_t);
}
// Room for the objects themselves; the sources assert that they fit.
inline constexpr std::size_t kServerBytes = align_up(58 * sizeof(void*) + 192);
inline constexpr std::size_t kConnectionBytes = align_up(32 * sizeof(void*));
inline constexpr std::size_t kExchangeBytes = align_up(216 * sizeof(void*));
inline constexpr std::size_t kHeaderFieldBytes = 8;
/// The body window: streams need one even if no body is read beforehand, and the end of a chunked body has to
/// be read behind the longest one that is kept.
constexpr std::size_t body_window_bytes(const Limits& limits) noexcept {
  return (limits.max_body_length > 1024 ? limits.max_body_length : 1024) + 16;
}

}  // namespace detail

constexpr std::size_t Limits::connection_memory() noexcept { return detail::kConnectionBytes; }

constexpr std::size_t Limits::exchange_memory() const noexcept {
  return detail::kExchangeBytes + detail::align_up(header_count * detail::kHeaderFieldBytes) +
         detail::align_up(head_bytes) + detail::align_up(detail::body_window_bytes(*this)) +
         detail::align_up(response_bytes) + detail::align_up(arena_bytes);
}

constexpr std::size_t Limits::memory() const noexcept {
  return detail::kServerBytes + connections * connection_memory() + exchanges * exchange_memory();
}

}  // namespace microdot::inline MICRODOT_ABI
