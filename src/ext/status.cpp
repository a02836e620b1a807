/// The page /status and the data that it shows.

#include <algorithm>
#include <optional>
#include <span>

#include <microdot/app.hpp>
#include <microdot/async/loop.hpp>
#include <microdot/async/sleep.hpp>
#include <microdot/base/text.hpp>
#include <microdot/ext/json_text.hpp>
#include <microdot/ext/monitor.hpp>
#include <microdot/ext/sse.hpp>
#include <microdot/http/utf8.hpp>

// What microdot_embed makes of status.html.
#if __has_include("microdot_status_page.hpp")
#include "microdot_status_page.hpp"
#define MICRODOT_STATUS_PAGE 1
#else  // PlatformIO, which builds without CMake
#define MICRODOT_STATUS_PAGE 0
#endif

namespace microdot::inline MICRODOT_ABI {
namespace {

constexpr std::size_t kMaxRoutes = 8;
constexpr std::size_t kMaxPattern = 48;  // longer ones are cut
constexpr std::string_view kEnd = "]}";

// From here on a request has taken too long, however long: one bucket for the rest (more than 67 s).
constexpr std::size_t kBuckets = 20;
static_assert(kBuckets < LatencyHistogram::kBuckets);

void append(TextBuilder& text, std::string_view name, std::uint64_t value) noexcept {
  text.append(",\"").append(name).append("\":").append(value);
}
/// Of something that there is a limit of: [now, limit, the most so far], with null for what is not known.
void append(TextBuilder& text, std::string_view name, std::optional<std::uint64_t> now, std::uint64_t limit,
            std::optional<std::uint64_t> most) noexcept {
  const auto append_known = [&text](const std::optional<std::uint64_t>& value) {
    value ? text.append(*value) : text.append("null");
  };
  text.append(",\"").append(name).append("\":[");
  append_known(now);
  text.append(',').append(limit).append(',');
  append_known(most);
  text.append(']');
}

void append_latency(TextBuilder& text, const LatencyHistogram& latency) noexcept {
  std::uint64_t counts[kBuckets] = {};
  for (std::size_t i = 0; i < LatencyHistogram::kBuckets; ++i)
    counts[std::min(i, kBuckets - 1)] += latency.count(i);
  std::size_t used = kBuckets;
  while (used != 0 && counts[used - 1] == 0) --used;
  text.append(",\"latency\":[");
  for (std::size_t i = 0; i < used; ++i) {
    if (i != 0) text.append(',');
    text.append(counts[i]);
  }
  text.append(']');
}

/// The routes that were asked for most, as ["GET","/path",number], as many as there is room for.
class Routes {
 public:
  explicit Routes(const App& app) noexcept : app_(app) {}

  /// Writes the next one; false if there is none.
  bool next(TextBuilder& text) noexcept {
    // Each time the greatest of those that are smaller than the last: needs no list of all routes.
    Place best;
    Place at;
    app_.for_each_route([&](const RouteStats& route) {
      at = {.requests = route.requests, .number = at.number + 1};
      if (!at.comes_before(last_) && at != last_ && (best.number == 0 || at.comes_before(best))) best = at;
    });
    if (best.number == 0) return false;
    last_ = best;
    std::uint32_t number = 0;
    app_.for_each_route([&](const RouteStats& route) {
      if (++number == best.number) write(text, route);
    });
    return true;
  }

 private:
  struct Place {
    std::uint32_t requests = UINT32_MAX;
    std::uint32_t number = 0;  // in their order, from 1
    bool comes_before(const Place& other) const noexcept {
      return requests != other.requests ? requests > other.requests : number < other.number;
    }
    bool operator==(const Place&) const noexcept = default;
  };

  static void write(TextBuilder& text, const RouteStats& route) noexcept {
    char methods[kMaxAllow];
    FixedText<kMaxPattern> pattern;
    for (const std::string_view prefix : route.prefixes) pattern.append(prefix);
    pattern.append(route.pattern);
    if (route.directory) pattern.append("/*");
    text.append("[\"").append(write_allow(route.methods, methods)).append("\",\"");
    std::string_view shown = pattern.view();
    while (!is_utf8(shown)) shown.remove_suffix(1);  // cut in the middle of a character
    detail::append_json(text, shown);
    text.append("\",").append(route.requests).append(']');
  }

  const App& app_;
  Place last_;
};

/// Writes all but the routes, for which the list is left open.
void write_numbers(TextBuilder& text, const Stats& stats, const Limits& limits, Duration uptime) noexcept {
  const auto all = [&](std::uint32_t limit) { return std::uint64_t{stats.workers} * limit; };
  text.append("{\"uptime_ms\":").append(uptime / Duration(std::chrono::milliseconds(1)));
  append(text, "tier", static_cast<std::uint64_t>(stats.tier));
#if MICRODOT_HOSTED
  append(text, "workers", stats.workers);
#endif
  append(text, "connections", stats.connections, all(limits.connections), stats.connections_high_water);
  append(text, "idle", stats.idle);
  append(text, "exchanges", stats.exchanges, all(limits.exchanges), stats.exchanges_high_water);
  append(text, "queue", stats.queued, all(limits.queue_length), stats.queue_high_water);
  append(text, "streams", stats.streams, all(limits.streams), stats.streams_high_water);
  append(text, "tasks", stats.tasks);
  append(text, "request_tasks", stats.tasks_of_requests, all(limits.background_tasks), {});
  append(text, "arena", {}, limits.arena_bytes, stats.arena_high_water);
  append(text, "stream", {}, limits.stream_memory(), stats.stream_high_water);
  append(text, "task_pool", task_pool().used(), task_pool().capacity(), stats.task_pool_high_water);
  append(text, "requests", stats.requests);
  append(text, "client_errors", stats.client_errors);
  append(text, "server_errors", stats.server_errors);
  append(text, "accepted", stats.accepted);
  append(text, "refused", stats.refused);
  append(text, "evicted", stats.evicted);
  append(text, "timed_out", stats.timed_out);
  append(text, "forfeited", stats.forfeited);
  append(text, "messages_in", stats.messages_in);
  append(text, "messages_out", stats.messages_out);
  append(text, "messages_dropped", stats.messages_dropped);
  append(text, "slow_streams", stats.slow_streams);
  append(text, "bytes_in", stats.bytes_in);
  append(text, "bytes_out", stats.bytes_out);
  append(text, "tier_changes", stats.tier_changes);
  append(text, "task_restarts", stats.task_restarts);
  append(text, "blocked", stats.times_blocked);
  append(text, "longest_turn_us", static_cast<std::uint64_t>(stats.longest_turn.count()));
  std::string_view by = stats.longest_turn_by.view();
  while (!is_utf8(by)) by.remove_suffix(1);  // cut in the middle of a character
  text.append(",\"longest_turn_by\":\"");
  detail::append_json(text, by);
  text.append('"');
  append_latency(text, stats.latency);
  text.append(",\"routes\":[");
}

/// Text in room that is somebody else's.
class TextIn final : public TextBuilder {
 public:
  explicit TextIn(std::span<char> room) noexcept
      : TextBuilder(room.data(), room.size()), capacity_(room.size()) {}
  /// Bytes that are left.
  std::size_t room() const noexcept { return capacity_ - view().size(); }

 private:
  std::size_t capacity_;
};

/// How the App is, in the arena, of which so many bytes are left; null data if there is no room for it. Who
/// has less than `kStatusBytes` there is told of fewer routes.
std::string_view make_status(Arena& arena, const App& app, std::size_t left) noexcept {
  const std::span<char> rest = arena.rest();
  if (rest.size() < left) return {};
  TextIn text(rest.first(std::min(kStatusBytes, rest.size() - left)));
  const Stats stats = app.stats();
  write_numbers(text, stats, app.limits(), Loop::current().now() - stats.started);
  if (text.room() < kMaxDecimal) return {};  // one of them may be missing
  Routes routes(app);
  // Of what is written longer in JSON, patterns have quotes and backslashes only: no control characters.
  FixedText<2 + kMaxAllow + 2 * kMaxPattern + kMaxDecimal + 8> route;
  for (std::size_t i = 0; i < kMaxRoutes; ++i) {
    route.clear();
    if (i != 0) route.append(',');
    if (!routes.next(route) || route.view().size() + kEnd.size() > text.room()) break;
    text.append(route.view());
  }
  text.append(kEnd);
  return arena.keep(text.view().size());
}

Task<> send_status(Request& req, SSE& sse) {
  constexpr auto kInterval = std::chrono::seconds(1);
  for (;;) {
    const std::string_view status = make_status(req.arena(), req.app, 0);
    if (status.data() == nullptr) co_return;
    const Result<void> sent = co_await sse.send(status);
    Arena::free(const_cast<char*>(status.data()));
    if (!sent) co_return;
    co_await sleep_for(kInterval);
  }
}

}  // namespace

Response status_page([[maybe_unused]] Request& req) noexcept {
#if MICRODOT_STATUS_PAGE
  // Not by send_file, which a program without other files need not have: 10 KB on a device.
  constexpr const EmbeddedFile& kPage = microdot_status_page.files().front();
  Response page("", 304, {{"ETag", kPage.etag}, {"Cache-Control", "no-cache"}});
  if (req.headers["If-None-Match"].find(kPage.etag) == std::string_view::npos) {
    page.status_code = 200;
    page.header("Content-Type", "text/html; charset=UTF-8").header("Content-Encoding", "gzip");
    page.set_body(kPage.content);
  }
  return page;
#else
  return abort(501, "built without CMake, which makes the page; the numbers are at /status/data");
#endif
}

Response status_data(Request& req) noexcept {
  Response answer("", 200, {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}});
  constexpr std::size_t kForHooks = 192;
  const std::string_view status = make_status(req.arena(), req.app, kForHooks);
  if (status.data() == nullptr) return abort(503);
  answer.set_body(status);
  return answer;
}

Response status_events(Request& req) noexcept {
  // On a device the status itself needs the memory; it is sent in pieces then.
  static auto route = with_sse(send_status, {.queue_bytes = MICRODOT_HOSTED ? 0 : 256});
  return route(req);
}

void monitor(Router& router, const MonitorOptions& options) {
  struct Guarded {
    bool (*allow)(const Request& req);
    Response (*handler)(Request& req) noexcept;
    Response operator()(Request& req) const {
      if (allow != nullptr && !allow(req)) return abort(403);
      return handler(req);
    }
  };
  const auto guarded = [&](Response (*handler)(Request&) noexcept) {
    return Guarded{options.allow, handler};
  };
  router.get("/status", guarded(status_page));
  router.get("/status/data", guarded(status_data));
  router.get("/status/events", guarded(status_events));
  router.get("/metrics", guarded(metrics));
  router.get("/healthz", healthz);
}

}  // namespace microdot::inline MICRODOT_ABI
