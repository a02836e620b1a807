#pragma once
/// JSON with nlohmann/json: link `microdot::json`. Handlers may return a `nlohmann::json`, alone or as the
/// body of `(body, status[, headers])`, and `req.json()` gives the body of a request.
///
///     app.post("/sum", [](Request& req) -> nlohmann::json {
///       const nlohmann::json numbers = req.json();
///       …
///       return {{"sum", sum}};
///     });
///
/// Values of nlohmann/json use the heap; on devices without one leave this header out.

#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include <microdot/ext/json_text.hpp>
#include <microdot/handler.hpp>
#include <microdot/request.hpp>

namespace microdot::inline MICRODOT_ABI {

namespace detail {

/// Ends the request with an error: at once where exceptions are on, else when the handler returns.
inline nlohmann::json refuse_json(Request& request, int status) {
#if MICRODOT_EXCEPTIONS
  static_cast<void>(request);
  throw abort(status);
#else
  request.fail(status);
  return {};
#endif
}

/// See `Request::json`.
template <>
struct RequestJson<void> {
  static nlohmann::json parse(Request& request) {
    if (!is_json_type(request.content_type)) return {};
    const std::string_view body = request.body();
    if (!request.body_kept()) return refuse_json(request, 413);
    if (!json_depth_is_bounded(body)) return refuse_json(request, 400);
    nlohmann::json value = nlohmann::json::parse(body, nullptr, false);
    if (value.is_discarded()) return refuse_json(request, 400);
    return value;
  }
};

}  // namespace detail

/// Bytes that are not UTF-8 are sent as U+FFFD, as JSON is UTF-8 (RFC 8259 8.1).
template <>
struct IntoResponse<nlohmann::json> {
  static Response make(const nlohmann::json& value) {
    return Response(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), 200,
                    {{"Content-Type", "application/json; charset=UTF-8"}});
  }
};

}  // namespace microdot::inline MICRODOT_ABI
