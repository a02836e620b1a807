#pragma once
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <microdot/base/config.hpp>
#include <microdot/route_pattern.hpp>

/// Routes: patterns checked against their handlers, matching, and calling a handler with what the path holds.
namespace microdot::inline MICRODOT_ABI {

class Request;

/// The values of a pattern's components, in order: raw (percent-encoded) from `match_path`; whoever calls the
/// handler decodes them first.
struct PathArgs {
  PathArgs() noexcept {}  // without the values: most requests have few
  void add(std::string_view value) noexcept { std::construct_at(values + count++, value); }

  union {
    std::string_view values[kMaxPathArgs];  // the first `count`
  };
  std::uint8_t count = 0;
};

/// Specialise it for a type of your own, to use that as a path argument:
///
///     template <> struct microdot::PathType<Hex> {
///       static constexpr std::string_view name = "hex";      // as in "/colors/<hex:color>"
///       static bool parse(std::string_view text, Hex& value);  // false: the route does not match
///     };
///
/// `text` is one decoded segment, never empty. The type must be default-constructible. `parse` may be called
/// twice for one request; one that throws refuses.
template <typename T>
struct PathType;

/// Matches the whole of a path, raw as sent, against a checked pattern: segment by segment, literals by what
/// their percent-encoding means, so that "%2F" never separates. Trailing slashes count. A component of "path"
/// takes all that is left, others one segment; none takes nothing. Fills `args` with views of `path`; what
/// types say is not looked at (`accepts`).
bool match_path(std::string_view pattern, std::string_view path, PathArgs& args) noexcept;

/// Whether `path` lies below a checked mount prefix. `rest` gets what follows it, which begins with '/': of
/// "/api/users" below "/api" it is "/users", of "/api/" it is "/"; "/api" alone does not lie below it.
/// Everything lies below "".
bool match_prefix(std::string_view prefix, std::string_view path, std::string_view& rest) noexcept;

namespace detail {

template <typename T, typename... Types>
inline constexpr bool kIsAnyOf = (std::is_same_v<T, Types> || ...);
template <typename T>
inline constexpr bool kIsCharacter = kIsAnyOf<T, bool, char, wchar_t, char8_t, char16_t, char32_t>;
template <typename T>
inline constexpr bool kIsPathInteger = std::is_integral_v<T> && sizeof(T) <= 8 && !kIsCharacter<T>;
template <typename T>
inline constexpr bool kIsPathText = kIsAnyOf<T, std::string_view, std::string>;

template <typename T>
concept HasPathType = requires {
  sizeof(PathType<T>);
};
template <typename T>
concept PathTypeHasName = requires {
  { PathType<T>::name } -> std::convertible_to<std::string_view>;
};
template <typename T>
concept PathTypeHasParse = requires(std::string_view text, T& value) {
  { PathType<T>::parse(text, value) } -> std::same_as<bool>;
};

/// What the argument type `T` takes. A type that can take nothing ends the compilation.
template <typename T>
consteval PathArgType path_arg_type() {
  static_assert(!kIsCharacter<T> || HasPathType<T>, "a path argument must not be a bool or a character");
  static_assert(kIsCharacter<T> || kIsPathInteger<T> || kIsPathText<T> || HasPathType<T>,
                "a path argument must be an integer, a std::string_view, a std::string or have a PathType");
  PathArgType type{.integer = kIsPathInteger<T>, .text = kIsPathText<T>};
  if constexpr (HasPathType<T>) {
    static_assert(PathTypeHasName<T>, "a PathType needs: static constexpr std::string_view name");
    static_assert(PathTypeHasParse<T>, "a PathType<T> needs: static bool parse(std::string_view, T&)");
    static_assert(std::is_default_constructible_v<T>, "a path argument must be default-constructible");
    if constexpr (PathTypeHasName<T>) type.custom = PathType<T>::name;
  }
  return type;
}

/// The type of the component that `place` (from 0) has in a checked pattern.
std::string_view component_type(std::string_view pattern, std::size_t place) noexcept;
/// Reads `-?\d+`, and no more, of a number from `min` to `max`; `bits` is it in two's complement.
bool parse_integer(std::string_view text, std::int64_t min, std::uint64_t max, std::uint64_t& bits) noexcept;

/// Reads the argument in `place`. False if the type refuses the text.
template <typename T>
bool parse_path_arg(std::string_view pattern, std::size_t place, std::string_view text, T& value) {
  if constexpr (HasPathType<T>) {
    if (component_type(pattern, place) == PathType<T>::name) return PathType<T>::parse(text, value);
  }
  if constexpr (kIsPathInteger<T>) {
    using Limits = std::numeric_limits<T>;
    std::uint64_t bits = 0;
    if (!parse_integer(text, static_cast<std::int64_t>(Limits::min()),
                       static_cast<std::uint64_t>(Limits::max()), bits)) {
      return false;
    }
    value = static_cast<T>(bits);
    return true;
  } else if constexpr (kIsPathText<T>) {
    value = text;
    return true;
  } else {
    return false;
  }
}

template <typename T>
bool accepts_path_arg(std::string_view pattern, std::size_t place, std::string_view text) noexcept {
  // Text takes all; a std::string need not be made to find out.
  if constexpr (kIsPathText<T> && !HasPathType<T>) return true;
#if MICRODOT_EXCEPTIONS
  try {
#endif
    T value{};
    return parse_path_arg(pattern, place, text, value);
#if MICRODOT_EXCEPTIONS
  } catch (...) {
    return false;
  }
#endif
}

template <typename R>
concept CoroutineType = requires {
  typename std::remove_cvref_t<R>::promise_type;
};

/// What is left of a handler that was refused, so that compilers have one complaint and not ten.
struct NoSignature {
  using Return = void;
  using Params = std::tuple<>;
  using Args = std::tuple<>;
  static constexpr std::size_t kArgs = 0;
  static constexpr PathArgType kArgTypes[1] = {};
};

/// What a call operator or function says of a handler. The primary is for those without any parameter.
template <typename R, typename... P>
struct HandlerSignature : NoSignature {
  static_assert(sizeof...(P) > 0, "a route handler must take Request& first");
};
template <typename R, typename First, typename... P>
struct HandlerSignature<R, First, P...> {
  static_assert(kIsAnyOf<First, Request&, const Request&>, "a route handler must take Request& first");
  static_assert(sizeof...(P) <= kMaxPathArgs, "a route handler takes too many path arguments");
  static_assert(((!std::is_lvalue_reference_v<P> || std::is_const_v<std::remove_reference_t<P>>)&&...),
                "a route handler must take path arguments by value or const reference");
  static_assert(!CoroutineType<R> || (!std::is_reference_v<P> && ...),
                "a coroutine must take path arguments by value: references are gone when it resumes");
  using Return = R;
  using Params = std::tuple<P...>;
  using Args = std::tuple<std::remove_cvref_t<P>...>;
  static constexpr std::size_t kArgs = sizeof...(P);
  /// One more than there are, as arrays of none are not allowed.
  static constexpr PathArgType kArgTypes[kArgs + 1] = {path_arg_type<std::remove_cvref_t<P>>()..., {}};
};

template <typename Call>
struct CallSignature;
template <typename C, typename R, typename... P, bool N>
struct CallSignature<R (C::*)(P...) noexcept(N)> : HandlerSignature<R, P...> {};
template <typename C, typename R, typename... P, bool N>
struct CallSignature<R (C::*)(P...) const noexcept(N)> : HandlerSignature<R, P...> {};
template <typename C, typename R, typename... P, bool N>
struct CallSignature<R (C::*)(P...)& noexcept(N)> : HandlerSignature<R, P...> {};
template <typename C, typename R, typename... P, bool N>
struct CallSignature<R (C::*)(P...) const& noexcept(N)> : HandlerSignature<R, P...> {};

}  // namespace detail

/// What a handler's signature says. `F` is its decayed type: a pointer to function, or a class with one call
/// operator (every lambda without `auto` parameters). Members: `Return`, `Params` and `Args` (tuples of the
/// path arguments' types, as declared and decayed), `kArgs` and `kArgTypes`.
template <typename F>
struct HandlerTraits : detail::NoSignature {
  static_assert(
      !std::is_same_v<F, F>,
      "a route handler must be a function, or a lambda whose parameters are not auto, taking Request& first");
};
template <typename R, typename... P, bool N>
struct HandlerTraits<R (*)(P...) noexcept(N)> : detail::HandlerSignature<R, P...> {};
template <typename F>
requires requires { &F::operator(); }
struct HandlerTraits<F> : detail::CallSignature<decltype(&F::operator())> {};

/// A pattern for a handler of the decayed type `F`. From a literal or another constant it is checked when it
/// is compiled; from `runtime(…)` when it is made, and `error` says what is wrong.
///
///     template <typename F> void get(std::type_identity_t<RoutePattern<std::decay_t<F>>> pattern, F&&
///     handler);
template <typename F>
class RoutePattern {
 public:
  template <typename S>
  requires std::convertible_to<const S&, std::string_view>
  consteval RoutePattern(const S& text) : text_(text) {  // NOLINT: implicit, as the literal is the pattern
    detail::refuse(check_pattern(text_, HandlerTraits<F>::kArgTypes, HandlerTraits<F>::kArgs));
  }
  constexpr RoutePattern(RuntimePattern pattern) noexcept  // NOLINT: implicit
      : text_(pattern.text),
        error_(
            pattern_error_text(check_pattern(text_, HandlerTraits<F>::kArgTypes, HandlerTraits<F>::kArgs))),
        runtime_(true) {}

  constexpr std::string_view text() const noexcept { return text_; }
  /// The text may be gone after the registration.
  constexpr bool is_runtime() const noexcept { return runtime_; }
  /// What is wrong with the pattern, in words; null if nothing is.
  constexpr const char* error() const noexcept { return error_; }

 private:
  std::string_view text_;
  const char* error_ = nullptr;
  bool runtime_ = false;
};

/// Where a router is mounted: "" or literal segments, "/api/v1". Checked like `RoutePattern`.
class RoutePrefix {
 public:
  template <typename S>
  requires std::convertible_to<const S&, std::string_view>
  consteval RoutePrefix(const S& text) : text_(text) {  // NOLINT: implicit
    detail::refuse(check_prefix(text_));
  }
  constexpr RoutePrefix(RuntimePattern prefix) noexcept  // NOLINT: implicit
      : text_(prefix.text), error_(pattern_error_text(check_prefix(text_))), runtime_(true) {}

  constexpr std::string_view text() const noexcept { return text_; }
  /// The text may be gone after the registration.
  constexpr bool is_runtime() const noexcept { return runtime_; }
  /// What is wrong with the prefix, in words; null if nothing is.
  constexpr const char* error() const noexcept { return error_; }

 private:
  std::string_view text_;
  const char* error_ = nullptr;
  bool runtime_ = false;
};

/// Whether the decoded values are what the handler's argument types take. If not, the route does not match:
/// numbers that their type cannot hold, custom types that refuse.
template <typename F>
bool accepts(std::string_view pattern, const PathArgs& decoded) noexcept {
  using Args = typename HandlerTraits<F>::Args;
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return decoded.count == sizeof...(I) &&
           (detail::accepts_path_arg<std::tuple_element_t<I, Args>>(pattern, I, decoded.values[I]) && ...);
  }
  (std::make_index_sequence<HandlerTraits<F>::kArgs>{});
}

/// Calls `handler(request, args…)` with the decoded values, which `accepts` must have accepted, and returns
/// what it returns.
template <typename F>
decltype(auto) call_with(F& handler, Request& request, std::string_view pattern, const PathArgs& decoded) {
  using Traits = HandlerTraits<F>;
  return [&]<std::size_t... I>(std::index_sequence<I...>)->typename Traits::Return {
    typename Traits::Args values{};
    (static_cast<void>(detail::parse_path_arg(pattern, I, decoded.values[I], std::get<I>(values))), ...);
    return handler(request,
                   static_cast<std::tuple_element_t<I, typename Traits::Params>&&>(std::get<I>(values))...);
  }
  (std::make_index_sequence<Traits::kArgs>{});
}

/// What compiles and matches the expressions of "re:" components; the core has none. Including
/// <microdot/ext/re2.hpp> and linking microdot::re2 sets one.
struct RegexEngine {
  /// Compiles all expressions of a checked pattern. Null if one is bad; `reason` then says why, in words that
  /// stay valid until the next call.
  void* (*compile)(std::string_view pattern, const char*& reason) noexcept;
  /// Whether each expression matches the whole of its decoded value.
  bool (*matches)(const void* compiled, const PathArgs& decoded) noexcept;
  void (*release)(void* compiled) noexcept;
};

/// Sets the engine for all Apps; null for none. Before any of them starts.
void set_regex_engine(const RegexEngine* engine) noexcept;
/// Whether a checked pattern has a "re:" component.
bool pattern_needs_regex(std::string_view pattern) noexcept;

/// The compiled expressions of one route.
class RouteRegex {
 public:
  constexpr RouteRegex() noexcept = default;
  RouteRegex(RouteRegex&& other) noexcept : compiled_(std::exchange(other.compiled_, nullptr)) {}
  RouteRegex& operator=(RouteRegex&& other) noexcept {
    std::swap(compiled_, other.compiled_);
    return *this;
  }
  ~RouteRegex();

  /// Compiles what the checked `pattern` needs. Returns null, or what is wrong in words that stay valid until
  /// the next call: there is no engine, or an expression is bad. May use the heap; a second call for the same
  /// route does nothing.
  const char* compile(std::string_view pattern) noexcept;
  /// Whether the decoded values match; true where the pattern has no expression.
  bool matches(const PathArgs& decoded) const noexcept;

 private:
  void* compiled_ = nullptr;
};

}  // namespace microdot::inline MICRODOT_ABI
