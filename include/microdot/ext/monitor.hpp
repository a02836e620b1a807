#pragma once
/// An App's statistics for those who watch it: a page for Prometheus and one for load balancers. Plain
/// handlers:
///
///     app.get("/metrics", metrics);
///     app.get("/healthz", healthz);
///
/// They answer everybody who may ask the App: who that is, is for your hooks or for what stands in front of
/// it.

#include <microdot/request.hpp>
#include <microdot/response.hpp>

namespace microdot::inline MICRODOT_ABI {

/// All of `req.app.stats()`, and the limits that it has to be seen in proportion to, in Prometheus' text
/// format (version 0.0.4). Names begin with `microdot_`; totals count from the start of the server. Takes
/// less than 1 KB of the request's arena, whatever there is to tell; without room for it the answer is 503.
Response metrics(Request& req) noexcept;

/// 200 and "ok: <tier>" while everybody is served, however slowly; 503 and "unavailable: <tier>", with
/// `Retry-After`, while newcomers are turned away (`Tier::refusing`, `Tier::not_accepting`). It means "send
/// no more requests here for now", not "start it anew": a server that has too much to do is not helped by
/// that.
Response healthz(Request& req) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
