#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <microdot/async/loop.hpp>
#include <microdot/base/shared.hpp>
#include <microdot/http/method.hpp>
#include <microdot/port/clock.hpp>

namespace microdot::inline MICRODOT_ABI {

/// How far a server has degraded, so as to stay up: each tier includes those before it.
enum class Tier : std::uint8_t {
  normal,
  queueing,       ///< Connections wait for an exchange.
  no_keep_alive,  ///< Connections run out: answers say `Connection: close`.
  refusing,  ///< Some get 503 with `Retry-After`: the queue is full or too slow, no connection is left, or
             ///< the system itself is near its end.
  not_accepting,  ///< The system gives no more connections, or the listener is lost.
};

/// "normal", "queueing", "no keep-alive", "refusing" or "not accepting". Static storage.
std::string_view to_string(Tier tier) noexcept;

/// How long things took, counted by powers of two; no memory beside itself. On systems of 32 bits the counts
/// begin anew after 2^32, the sum does not.
class LatencyHistogram {
 public:
  static constexpr std::size_t kBuckets = 24;

  void add(Duration time) noexcept {
    const auto micros = static_cast<std::uint64_t>(time.count() > 0 ? time.count() : 0);
    const std::size_t bucket = static_cast<std::size_t>(std::bit_width(micros >> 7));
    detail::count_up(counts_[bucket < kBuckets ? bucket : kBuckets - 1]);
    detail::count_up(sum_, micros);
  }
  LatencyHistogram& operator+=(const LatencyHistogram& other) noexcept {
    for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
    sum_ += other.sum_;
    return *this;
  }
  /// How many took less than `limit(bucket)` but not less than the bucket before.
  std::uint64_t count(std::size_t bucket) const noexcept { return counts_[bucket]; }
  /// 128 us, 256 us, 512 us … ; the last bucket has no limit.
  static constexpr Duration limit(std::size_t bucket) noexcept {
    return Duration(std::int64_t{128} << bucket);
  }
  std::uint64_t total() const noexcept {
    std::uint64_t total = 0;
    for (const std::size_t count : counts_) total += count;
    return total;
  }
  /// Of all that was added.
  Duration sum() const noexcept { return Duration(static_cast<std::int64_t>(sum_)); }
  /// A time that `share` (0 to 1) of them did not exceed: the limit of the bucket where that is reached.
  Duration quantile(double share) const noexcept {
    const double wanted = share * static_cast<double>(total());
    double seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      seen += static_cast<double>(counts_[i]);
      if (counts_[i] != 0 && seen >= wanted) return limit(i);
    }
    return Duration{0};
  }

 private:
  std::array<std::size_t, kBuckets> counts_{};
  std::uint64_t sum_ = 0;  // microseconds
};

/// What a server uses now and what has happened since it started, for tests and monitoring. Of several
/// workers
/// (`ServerOptions::workers`): sums, except where it says otherwise.
struct Stats {
  // Now.
  Tier tier = Tier::normal;       ///< Of several workers: the worst.
  bool draining = false;          ///< It is to end and serves on (`ServerOptions::drain`). Of several: any.
  std::uint32_t connections = 0;  ///< Accepted sockets.
  std::uint32_t idle = 0;         ///< Of them, between requests.
  std::uint32_t exchanges = 0;    ///< Requests in flight.
  std::uint32_t queued = 0;       ///< Connections that wait for an exchange.
  std::uint32_t streams = 0;      ///< Live streams: WebSocket, Server-Sent Events.
  std::uint32_t tasks = 0;        ///< Background tasks of the loop.
  std::uint32_t tasks_of_requests = 0;  ///< Of them, started by requests.

  // Since the start.
  std::uint64_t accepted = 0;          ///< Connections.
  std::uint64_t requests = 0;          ///< Answered.
  std::uint64_t refused = 0;           ///< Answered 503 without being read: see `Tier::refusing`.
  std::uint64_t evicted = 0;           ///< Idle connections that were closed to make room.
  std::uint64_t timed_out = 0;         ///< Requests and answers given up since their time was over.
  std::uint64_t forfeited = 0;         ///< The same, since they were too slow while others waited.
  std::uint64_t client_errors = 0;     ///< Answers with a status from 400 to 499.
  std::uint64_t server_errors = 0;     ///< Answers with a status from 500.
  std::uint64_t messages_in = 0;       ///< Of live streams, from clients.
  std::uint64_t messages_out = 0;      ///< To clients.
  std::uint64_t messages_dropped = 0;  ///< Not sent, since the client was too slow (`WhenSlow::drop_oldest`).
  std::uint64_t slow_streams = 0;      ///< Closed, since the client was too slow (`WhenSlow::close`).
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t tier_changes = 0;
  std::uint32_t task_restarts = 0;  ///< Of tasks of the loop, by `supervise`.
  std::uint32_t times_blocked = 0;  ///< See `Loop::warn_when_blocked`.
  LatencyHistogram latency;         ///< From a complete head to the end of the answer in the exchange.

  // The most that was used at once. Of several workers: of each the most, added up, though it need not have
  // been at the same time; of bytes and of time, the most of any.
  std::uint32_t connections_high_water = 0;
  std::uint32_t exchanges_high_water = 0;
  std::uint32_t queue_high_water = 0;
  std::uint32_t streams_high_water = 0;
  std::uint32_t stream_high_water = 0;     ///< Bytes that one stream has used of its memory.
  std::uint32_t arena_high_water = 0;      ///< Bytes that one request has used of its arena.
  std::uint32_t task_pool_high_water = 0;  ///< Bytes of the loop's task pool.
  std::uint32_t workers = 1;               ///< How many threads serve; limits are those of one.
  Duration longest_turn{0};                ///< See `Loop::longest_turn`.
  RunName longest_turn_by;                 ///< See `Loop::longest_turn_by`.

  TimePoint started{};  ///< When the server started, by the loop's clock.
};

/// What one route was asked for since the start of the server; see `Router::for_each_route`.
struct RouteStats {
  /// Of the routers that it is mounted with, from the app's inwards. Valid during the call.
  std::span<const std::string_view> prefixes;
  std::string_view pattern;  ///< As declared; a directory's prefix.
  MethodSet methods;
  bool directory = false;  ///< Serves static files.
  /// That came to it, whatever the answer was. Of a router that is mounted twice: by both ways. Begins anew
  /// after 2^32.
  std::uint32_t requests = 0;
};

}  // namespace microdot::inline MICRODOT_ABI
