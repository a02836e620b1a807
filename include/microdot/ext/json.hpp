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

#include <cstddef>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include <microdot/handler.hpp>
#include <microdot/http/chars.hpp>
#include <microdot/request.hpp>

namespace microdot::inline MICRODOT_ABI {

/// How deep arrays and objects may lie in each other in a request's body. What copies, writes or compares
/// values recurses, so that a body of brackets alone could exhaust the stack.
inline constexpr std::size_t kMaxJsonDepth = 64;

namespace detail {

/// Whether nothing lies deeper than `kMaxJsonDepth` in `text`. Of texts that are not JSON the answer means
/// nothing.
inline bool json_depth_is_bounded(std::string_view text) noexcept {
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        quoted = false;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxJsonDepth) return false;
    } else if ((c == ']' || c == '}') && depth != 0) {
      --depth;
    }
  }
  return true;
}

/// Whether a media type is JSON: application/json, or any with the suffix +json (RFC 6839 3.1).
inline bool is_json_type(std::string_view type) noexcept {
  type = type.substr(0, type.find(';'));
  type = type.substr(0, type.find_last_not_of(" \t") + 1);
  constexpr std::string_view kSuffix = "+json";
  return equals_ignore_case(type, "application/json") ||
         (type.size() > kSuffix.size() &&
          equals_ignore_case(type.substr(type.size() - kSuffix.size()), kSuffix));
}

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
