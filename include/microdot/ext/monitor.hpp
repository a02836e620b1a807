#pragma once
/// An App's statistics for those who watch it: a page for people, one for Prometheus and one for load
/// balancers. All of it in one line:
///
///     monitor(app, {.allow = is_local});
///
/// or what is wanted of it, as plain handlers:
///
///     app.get("/metrics", metrics);
///     app.get("/healthz", healthz);
///
/// What is not named is no part of the program.

#include <microdot/request.hpp>
#include <microdot/response.hpp>
#include <microdot/router.hpp>

namespace microdot::inline MICRODOT_ABI {

/// How `monitor` is set up.
struct MonitorOptions {
  /// Who may see it: all others are answered 403. Null: whoever may ask the router, as its hooks say.
  /// `/healthz` is for everybody, since load balancers know no password and it says little.
  bool (*allow)(const Request& req) = nullptr;
};

/// Adds `/status`, `/status/data`, `/status/events`, `/metrics` and `/healthz`: five of `Limits::routes`. To
/// have them elsewhere, or behind a login, add them to a router of their own:
///
///     Router admin;
///     admin.before_request(require_login);
///     monitor(admin);
///     app.mount(admin, "/admin", {.local = true});
void monitor(Router& router, const MonitorOptions& options = {});

/// A page that shows how the App is, and goes on doing so. It looks for `status_data` at its own path with
/// "/data" behind it, and for `status_events` at "/events". About 8 KB, compressed, and nothing from
/// elsewhere.
Response status_page(Request& req) noexcept;

/// How the App is now, as JSON of at most `kStatusBytes`; docs/guide/monitoring.md says what its fields are.
/// It is made in the request's arena: where there is less room it tells of fewer routes, and where that is
/// not enough either (about 800 bytes are) the answer is 503.
Response status_data(Request& req) noexcept;

/// The same every second, as Server-Sent Events (text/event-stream), in a stream slot: see <ext/sse.hpp>.
Response status_events(Request& req) noexcept;

/// The longest that `status_data` can be.
inline constexpr std::size_t kStatusBytes = 1536;

/// All of `req.app.stats()`, and the limits that it has to be seen in proportion to, in Prometheus' text
/// format (version 0.0.4). Names begin with `microdot_`; totals count from the start of the server. Takes
/// less than 1 KB of the request's arena, whatever there is to tell; without room for it the answer is 503.
Response metrics(Request& req) noexcept;

/// 200 and "ok: <tier>" while everybody is served, however slowly; 503 and "unavailable: <tier>", with
/// `Retry-After`, while newcomers are turned away (`Tier::refusing`, `Tier::not_accepting`) or the server is
/// to end (`ServerOptions::drain`; "to end" in place of the tier). It means "send
/// no more requests here for now", not "start it anew": a server that has too much to do is not helped by
/// that.
Response healthz(Request& req) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
