#include <microdot/ext/monitor.hpp>

#include <algorithm>
#include <array>
#include <new>
#include <type_traits>

#include <microdot/app.hpp>
#include <microdot/base/text.hpp>

#include "../base/packed_texts.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

/// Where a metric's number is. Not a function for each: most are a member of one of two structures.
struct MetricValue {
  enum class Kind : std::uint8_t { number, count, limit, function };
  using Function = std::uint64_t (*)(const Stats& stats, const Limits& limits) noexcept;
  union Place {
    std::uint32_t Stats::*number;
    std::uint64_t Stats::*count;
    std::uint32_t Limits::*limit;  // of one worker; what is told is that of all
    Function function;
  };

  constexpr MetricValue(std::uint32_t Stats::*number) noexcept
      : kind(Kind::number), place{.number = number} {}
  constexpr MetricValue(std::uint64_t Stats::*count) noexcept : kind(Kind::count), place{.count = count} {}
  constexpr MetricValue(std::uint32_t Limits::*limit) noexcept : kind(Kind::limit), place{.limit = limit} {}
  constexpr MetricValue(Function function) noexcept : kind(Kind::function), place{.function = function} {}

  Kind kind;
  Place place;
};

/// A metric of one number: a counter if it is called "…_total", else a gauge.
struct Metric {
  std::string_view name;  // after "microdot_"
  std::string_view help;
  MetricValue value;
};

constexpr Metric kMetrics[] = {
    {"connections", "Accepted sockets.", &Stats::connections},
    {"connections_limit", "Limits::connections.", &Limits::connections},
    {"connections_high_water", "The most connections at once.", &Stats::connections_high_water},
    {"connections_idle", "Connections between requests.", &Stats::idle},
    {"exchanges", "Requests in flight.", &Stats::exchanges},
    {"exchanges_limit", "Limits::exchanges.", &Limits::exchanges},
    {"exchanges_high_water", "The most requests in flight at once.", &Stats::exchanges_high_water},
    {"queue", "Connections that wait for an exchange.", &Stats::queued},
    {"queue_limit", "Limits::queue_length.", &Limits::queue_length},
    {"queue_high_water", "The most connections that have waited at once.", &Stats::queue_high_water},
    {"streams", "Live streams.", &Stats::streams},
    {"streams_limit", "Limits::streams.", &Limits::streams},
    {"streams_high_water", "The most live streams at once.", &Stats::streams_high_water},
    {"tasks", "Background tasks of the loop.", &Stats::tasks},
    {"tasks_of_requests", "Background tasks that requests have started.", &Stats::tasks_of_requests},
    {"tasks_of_requests_limit", "Limits::background_tasks.", &Limits::background_tasks},
    {"task_pool_high_water_bytes", "The most that tasks have used of their pool.",
     &Stats::task_pool_high_water},
    {"task_pool_limit_bytes", "The size of the tasks' pool.",
     +[](const Stats&, const Limits&) noexcept -> std::uint64_t { return task_pool().capacity(); }},
    {"arena_high_water_bytes", "The most that one request has used of its arena.", &Stats::arena_high_water},
    {"arena_limit_bytes", "Limits::arena_bytes.",
     +[](const Stats&, const Limits& limits) noexcept -> std::uint64_t { return limits.arena_bytes; }},
#if MICRODOT_HOSTED
    {"workers", "Threads that serve; the limits are those of all.", &Stats::workers},
#endif
    {"longest_turn_microseconds", "The longest time from one look at the network to the next.",
     +[](const Stats& stats, const Limits&) noexcept -> std::uint64_t {
       return static_cast<std::uint64_t>(stats.longest_turn.count());
     }},

    {"connections_accepted_total", "Connections accepted.", &Stats::accepted},
    {"connections_refused_total", "Connections answered 503 without being read.", &Stats::refused},
    {"connections_evicted_total", "Idle connections closed to make room.", &Stats::evicted},
    {"requests_total", "Requests answered.", &Stats::requests},
    {"requests_timed_out_total", "Requests and answers given up since their time was over.",
     &Stats::timed_out},
    {"requests_forfeited_total", "Of them, given up since they were too slow while others waited.",
     &Stats::forfeited},
    {"client_errors_total", "Answers with a status from 400 to 499.", &Stats::client_errors},
    {"server_errors_total", "Answers with a status from 500.", &Stats::server_errors},
    {"messages_received_total", "Messages of live streams from clients.", &Stats::messages_in},
    {"messages_sent_total", "Messages of live streams to clients.", &Stats::messages_out},
    {"messages_dropped_total", "Messages not sent to clients that were too slow.", &Stats::messages_dropped},
    {"streams_slow_total", "Live streams closed since the client was too slow.", &Stats::slow_streams},
    {"received_bytes_total", "Bytes from clients.", &Stats::bytes_in},
    {"sent_bytes_total", "Bytes to clients.", &Stats::bytes_out},
    {"task_restarts_total", "Runs that supervise has started again.", &Stats::task_restarts},
    {"blocked_total", "Times that somebody's code has kept the loop too long, as the log warns.",
     &Stats::times_blocked},
    {"tier_changes_total", "Times that the tier has changed.", &Stats::tier_changes},
    {"tier",
     "How far the server has degraded: 0 normal, 1 queueing, 2 no keep-alive, 3 refusing, 4 not accepting.",
     +[](const Stats& stats, const Limits&) noexcept { return static_cast<std::uint64_t>(stats.tier); }},
};

constexpr auto kNames = detail::pack_texts<kMetrics, &Metric::name>();
constexpr auto kHelp = detail::pack_texts<kMetrics, &Metric::help>();
// Apart, since the compiler would pad each kind to a word.
constexpr auto kKinds = [] {
  std::array<MetricValue::Kind, std::size(kMetrics)> kinds{};
  std::transform(std::begin(kMetrics), std::end(kMetrics), kinds.begin(),
                 [](const Metric& metric) { return metric.value.kind; });
  return kinds;
}();
constexpr auto kPlaces = [] {
  std::array<MetricValue::Place, std::size(kMetrics)> places{};
  std::transform(std::begin(kMetrics), std::end(kMetrics), places.begin(),
                 [](const Metric& metric) { return metric.value.place; });
  return places;
}();

constexpr std::size_t kTiers = static_cast<std::size_t>(Tier::not_accepting) + 1;
constexpr std::string_view kTierHead =
    "# HELP microdot_tier_state 1 for the tier that the server is in.\n"
    "# TYPE microdot_tier_state gauge\n";
constexpr std::string_view kLongestTurnHead =
    "# HELP microdot_longest_turn_info 1 for who ran longest in the longest turn.\n"
    "# TYPE microdot_longest_turn_info gauge\n";
constexpr std::string_view kLatencyHead =
    "# HELP microdot_request_duration_seconds From a request's complete head to the end of its answer.\n"
    "# TYPE microdot_request_duration_seconds histogram\n";

// What is written at once: a metric, or one line of a metric that has several.
constexpr std::size_t kFirstTierRow = std::size(kMetrics);
constexpr std::size_t kLongestTurnRow = kFirstTierRow + kTiers;
constexpr std::size_t kFirstBucketRow = kLongestTurnRow + 1;
constexpr std::size_t kLastRow = kFirstBucketRow + LatencyHistogram::kBuckets;  // the sum and the count
constexpr std::size_t kMaxRow = 256;

constexpr bool metrics_fit() noexcept {
  for (const Metric& metric : kMetrics) {
    constexpr std::string_view kRest =
        "# HELP microdot_ \n# TYPE microdot_ counter\nmicrodot_ 18446744073709551615\n";
    if (kRest.size() + 3 * metric.name.size() + metric.help.size() > kMaxRow) return false;
  }
  return true;
}
static_assert(metrics_fit());

/// The body of /metrics, as it was when it was asked for: made twice, for its size and to be sent, and the
/// buckets of the histogram have to go with its count.
class Exposition final : public BodySource {
 public:
  explicit Exposition(const App& app) noexcept : stats_(app.stats()), limits_(&app.limits()) {
    for (BodyPiece piece; next(piece);) size_ += piece.bytes.size();
    row_ = 0;
  }

  /// Bytes of the whole body.
  std::size_t size() const noexcept { return size_; }

  bool next(BodyPiece& piece) noexcept override {
    text_.clear();
    while (row_ <= kLastRow && text_.view().size() + kMaxRow <= kPieceSize) write_row(row_++);
    piece = {.bytes = text_.view()};
    return !piece.bytes.empty();
  }

 private:
  // Several rows, since each piece is a write; not more, since it lies in the request's arena.
  static constexpr std::size_t kPieceSize = 2 * kMaxRow;

  void write_row(std::size_t row) noexcept {
    if (row < kFirstTierRow) {
      write_metric(row);
    } else if (row < kLongestTurnRow) {
      write_tier(static_cast<Tier>(row - kFirstTierRow));
    } else if (row == kLongestTurnRow) {
      write_longest_turn();
    } else if (row < kLastRow) {
      write_bucket(row - kFirstBucketRow);
    } else {
      text_.append("microdot_request_duration_seconds_sum ");
      append_seconds(stats_.latency.sum());
      text_.append("\nmicrodot_request_duration_seconds_count ").append(stats_.latency.total()).append('\n');
    }
  }
  void write_metric(std::size_t row) noexcept {
    const std::string_view name = kNames[row];
    text_.append("# HELP microdot_").append(name).append(' ').append(kHelp[row]);
    text_.append("\n# TYPE microdot_").append(name).append(name.ends_with("_total") ? " counter" : " gauge");
    text_.append("\nmicrodot_").append(name).append(' ');
    text_.append(value(row)).append('\n');
  }
  std::uint64_t value(std::size_t row) const noexcept {
    const MetricValue::Place& place = kPlaces[row];
    switch (kKinds[row]) {
      case MetricValue::Kind::number: return stats_.*place.number;
      case MetricValue::Kind::count: return stats_.*place.count;
      case MetricValue::Kind::limit: return std::uint64_t{stats_.workers} * (limits_->*place.limit);
      default: return place.function(stats_, *limits_);
    }
  }
  void write_tier(Tier tier) noexcept {
    if (tier == Tier::normal) text_.append(kTierHead);
    text_.append("microdot_tier_state{tier=\"").append(to_string(tier)).append("\"} ");
    text_.append(stats_.tier == tier ? '1' : '0').append('\n');
  }
  void write_longest_turn() noexcept {
    const std::string_view by = stats_.longest_turn_by.view();
    if (by.empty()) return;
    text_.append(kLongestTurnHead).append("microdot_longest_turn_info{by=\"");
    for (const char c : by) {
      if (c == '\n') {
        text_.append("\\n");
        continue;
      }
      if (c == '"' || c == '\\') text_.append('\\');
      text_.append(c);
    }
    text_.append("\"} 1\n");
  }
  // What took exactly a bucket's limit, and so belongs to it by `le`, stands in the next one: the clock cuts
  // to microseconds, so that it has taken longer.
  void write_bucket(std::size_t bucket) noexcept {
    if (bucket == 0) text_.append(kLatencyHead);
    text_.append("microdot_request_duration_seconds_bucket{le=\"");
    if (bucket == LatencyHistogram::kBuckets - 1) {
      text_.append("+Inf");
    } else {
      append_seconds(LatencyHistogram::limit(bucket));
    }
    std::uint64_t count = 0;
    for (std::size_t i = 0; i <= bucket; ++i) count += stats_.latency.count(i);
    text_.append("\"} ").append(count).append('\n');
  }
  void append_seconds(Duration time) noexcept {
    constexpr std::int64_t kSecond = 1'000'000;
    char digits[32];
    const std::size_t size = format_to(digits, "{}.{:06}", time.count() / kSecond, time.count() % kSecond);
    text_.append(std::string_view(digits, size));
  }

  Stats stats_;
  const Limits* limits_;
  std::size_t size_ = 0;
  std::size_t row_ = 0;
  FixedText<kPieceSize> text_;
};
static_assert(std::is_trivially_destructible_v<Exposition>);  // goes with the arena
static_assert(std::is_same_v<Duration::period, std::micro>);

}  // namespace

Response metrics(Request& req) noexcept {
  void* memory = req.arena().allocate(sizeof(Exposition));
  if (memory == nullptr) return abort(503);
  auto* exposition = ::new (memory) Exposition(req.app);
  Response response("", 200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}});
  response.set_file(File(), 0, exposition->size(), exposition);
  return response;
}

Response healthz(Request& req) noexcept {
  const Stats stats = req.app.stats();
  const bool available = stats.tier < Tier::refusing && !stats.draining;
  const std::string_view body = req.format("{}: {}\n", available ? "ok" : "unavailable",
                                           stats.draining ? "to end" : to_string(stats.tier));
  Response response(body, available ? 200 : 503, {{"Cache-Control", "no-store"}});
  if (!available) response.header("Retry-After", 5);
  return response;
}

}  // namespace microdot::inline MICRODOT_ABI
