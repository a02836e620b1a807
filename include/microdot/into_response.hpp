#pragma once
/// What a handler returns, as a `Response`. Users extend it with `IntoResponse`.

#include <concepts>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <microdot/async/generator.hpp>
#include <microdot/response.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Makes handlers able to return a type of your own:
///
///     template <> struct microdot::IntoResponse<Point> {
///       static Response make(Point p) { return Response(std::to_string(p.x)); }
///     };
template <typename T>
struct IntoResponse;

namespace detail {

template <typename T>
concept Text = std::convertible_to<T, std::string_view>;
template <typename T>
concept Status = std::integral<std::remove_cvref_t<T>> && !std::same_as<std::remove_cvref_t<T>, bool> &&
                 !std::same_as<std::remove_cvref_t<T>, char>;
template <typename T>
concept CustomResponse = requires(T&& value) {
  { IntoResponse<std::remove_cvref_t<T>>::make(std::forward<T>(value)) } -> std::same_as<Response>;
};

template <typename T>
inline constexpr bool kIsOptional = false;
template <typename T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <typename T>
inline constexpr bool kIsTuple = false;
template <typename... Ts>
inline constexpr bool kIsTuple<std::tuple<Ts...>> = true;
template <typename A, typename B>
inline constexpr bool kIsTuple<std::pair<A, B>> = true;
template <typename T>
inline constexpr bool kAlwaysFalse = false;

template <typename T>
Response into_response(T&& value);

template <typename Fields>
void add_headers(Response& response, const Fields& fields) {
  if constexpr (std::same_as<Fields, Header>) {
    response.header(fields.name, fields.value);
  } else if constexpr (requires { std::begin(fields), std::end(fields); }) {
    for (const auto& field : fields) {
      if constexpr (std::same_as<std::remove_cvref_t<decltype(field)>, Header>) {
        response.header(field.name, field.value);
      } else {
        response.header(std::get<0>(field), std::get<1>(field));
      }
    }
  } else {
    static_assert(kAlwaysFalse<Fields>, "a handler's headers must be a range of pairs of names and values");
  }
}

// (body, status[, headers]), (body, headers), (status, headers) as in Microdot.
template <typename Tuple>
Response tuple_into_response(Tuple&& tuple) {
  using First = std::remove_cvref_t<decltype(std::get<0>(tuple))>;
  using Second = std::remove_cvref_t<decltype(std::get<1>(tuple))>;
  constexpr std::size_t kSize = std::tuple_size_v<std::remove_cvref_t<Tuple>>;
  static_assert(kSize == 2 || kSize == 3, "a handler returns (body, status) or (body, status, headers)");
  Response response = into_response(std::get<0>(std::forward<Tuple>(tuple)));
  if constexpr (Status<Second>) {
    static_assert(!Status<First>, "a handler returns (body, status): the first is a status already");
    response.status_code = static_cast<int>(std::get<1>(tuple));
    if constexpr (kSize == 3) add_headers(response, std::get<2>(tuple));
  } else {
    static_assert(kSize == 2, "a handler returns (body, status, headers), in this order");
    add_headers(response, std::get<1>(tuple));
  }
  return response;
}

/// Whatever a handler returned, as a `Response`.
template <typename T>
Response into_response(T&& value) {
  using V = std::remove_cvref_t<T>;
  if constexpr (std::same_as<V, Response>) {
    return std::forward<T>(value);
  } else if constexpr (std::same_as<V, Abort>) {
    return value;
  } else if constexpr (CustomResponse<T>) {
    return IntoResponse<V>::make(std::forward<T>(value));
  } else if constexpr (kIsOptional<V>) {
    if (!value) return Response("", 204);
    return into_response(*std::forward<T>(value));
  } else if constexpr (Status<V>) {
    return Response("", static_cast<int>(value));
  } else if constexpr (kIsTuple<V>) {
    return tuple_into_response(std::forward<T>(value));
  } else if constexpr (std::same_as<V, Generator<std::string_view>> || std::same_as<V, std::string>) {
    return Response(std::forward<T>(value));
  } else if constexpr (std::same_as<V, std::nullptr_t>) {
    static_assert(kAlwaysFalse<V>, "a handler must not return nullptr: return 204, or nothing (void)");
  } else if constexpr (std::same_as<V, bool>) {
    static_assert(kAlwaysFalse<V>, "a handler must not return a bool: return a status or text");
  } else if constexpr (std::same_as<std::decay_t<T>, char*>) {
    static_assert(kAlwaysFalse<V>,
                  "a handler must not return a char*: return const char* (static), std::string, or "
                  "req.format(...)");
  } else if constexpr (Text<T>) {
    return Response(std::string_view(value));
  } else {
    static_assert(
        kAlwaysFalse<V>,
        "a handler returns text, a status, (body, status[, headers]), Response, Generator<std::string_view>, "
        "a Task of these, or a type with microdot::IntoResponse");
  }
}

}  // namespace detail

}  // namespace microdot::inline MICRODOT_ABI
