#pragma once
/// How a handler of any signature becomes a `Callable`, and what it returns a `Response`. Users extend it
/// with `IntoResponse`.

#include <concepts>
#include <coroutine>
#include <exception>
#include <iterator>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <microdot/async/generator.hpp>
#include <microdot/async/task.hpp>
#include <microdot/response.hpp>
#include <microdot/route.hpp>

namespace microdot::inline MICRODOT_ABI {

class Request;

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

/// What a handler or hook gave: a response, nothing, or a coroutine that will.
class CallResult {
 public:
  CallResult() noexcept = default;
  CallResult(const CallResult&) = delete;
  CallResult& operator=(const CallResult&) = delete;
  ~CallResult() {
    if (task_) task_.destroy();
  }

  bool has_response() const noexcept { return response_.has_value(); }
  Response& response() noexcept { return *response_; }
  void set(Response&& response) noexcept { response_.emplace(std::move(response)); }
  /// A frame found no room.
  bool out_of_memory() const noexcept { return out_of_memory_; }

  /// A coroutine has to run first.
  bool pending() const noexcept { return static_cast<bool>(task_); }
  std::coroutine_handle<> task() const noexcept { return task_; }
  template <typename T, typename Take>
  void set_task(Task<T> task, Take) noexcept {
    if (!task.valid()) {
      out_of_memory_ = true;
      return;
    }
    take_ = [](std::coroutine_handle<> handle, CallResult& result) {
      using Handle = std::coroutine_handle<typename Task<T>::promise_type>;
      auto& promise = Handle::from_address(handle.address()).promise();
      if constexpr (std::is_void_v<T>) {
        promise.take();
        Take::take(result);
      } else {
        Take::take(result, promise.take());
      }
    };
    task_ = task.release();
  }
  /// Takes the response out of the finished coroutine; throws what it threw.
  void take() {
    const std::coroutine_handle<> task = task_;
    struct Destroy {
      CallResult* result;
      ~Destroy() { std::exchange(result->task_, nullptr).destroy(); }
    } destroy{this};
    take_(task, *this);
  }
  /// Ends the coroutine.
  void destroy_task() noexcept {
    if (task_) std::exchange(task_, nullptr).destroy();
  }

 private:
  std::optional<Response> response_;
  std::coroutine_handle<> task_;
  void (*take_)(std::coroutine_handle<>, CallResult&) = nullptr;
  bool out_of_memory_ = false;
};

/// What a callable is called with; which of it there is depends on what it is for.
struct CallContext {
  Request& request;
  Response* response = nullptr;         // after hooks
  const PathArgs* path_args = nullptr;  // route handlers
  std::string_view pattern = {};        // route handlers
#if MICRODOT_EXCEPTIONS
  std::exception_ptr exception =
      {};  // error handlers for exceptions; keeps the exception alive while they run
#endif
};

/// A stored handler or hook.
class Callable {
 public:
  Callable(const Callable&) = delete;
  Callable& operator=(const Callable&) = delete;
  /// May throw what the user's code throws.
  virtual void call(CallContext& context, CallResult& result) = 0;
  virtual void destroy() noexcept = 0;

  Callable* next = nullptr;        // in the list it is called from
  Callable* next_owned = nullptr;  // of the router that it was registered with

 protected:
  Callable() noexcept = default;
  ~Callable() = default;
};

enum class CallKind : std::uint8_t {
  handler,  // f(req, path args…)
  before,   // f(req); a response ends the request
  after,    // f(req, res); a response replaces res
  error,    // f(req): error handler for a status
};

// What a missing value means: a handler that returns nothing answers 204; a hook or error handler lets things
// be.
template <CallKind kKind>
struct TakeValue {
  static void take(CallResult& result) noexcept {
    if constexpr (kKind == CallKind::handler) result.set(Response("", 204));
  }
  template <typename T>
  static void take(CallResult& result, T&& value) {
    if constexpr (kIsOptional<std::remove_cvref_t<T>>) {
      if (!value) return take(result);
      take(result, *std::forward<T>(value));
    } else {
      result.set(into_response(std::forward<T>(value)));
    }
  }
};

/// Calls `f` and puts what it returns into `result`.
template <CallKind kKind, typename Invoke>
void call_into(CallResult& result, Invoke&& invoke) {
  using R = std::invoke_result_t<Invoke>;
  if constexpr (kIsTask<R>) {
    result.set_task(invoke(), TakeValue<kKind>{});
  } else if constexpr (std::is_void_v<R>) {
    invoke();
    TakeValue<kKind>::take(result);
  } else {
    TakeValue<kKind>::take(result, invoke());
  }
}

/// A hook or error handler of type `F`.
template <typename F, CallKind kKind>
class HookFor final : public Callable {
 public:
  explicit HookFor(F&& f) : f_(std::move(f)) {}
  explicit HookFor(const F& f) : f_(f) {}
  void call(CallContext& context, CallResult& result) override {
    if constexpr (kKind == CallKind::after) {
      static_assert(std::invocable<F&, Request&, Response&>, "this hook is called as f(Request&, Response&)");
      call_into<kKind>(result, [&]() -> decltype(auto) { return f_(context.request, *context.response); });
    } else {
      static_assert(std::invocable<F&, Request&>, "this hook or error handler is called as f(Request&)");
      call_into<kKind>(result, [&]() -> decltype(auto) { return f_(context.request); });
    }
  }
  void destroy() noexcept override { this->~HookFor(); }

 private:
  F f_;
};

/// A route's handler of type `F`.
template <typename F>
class RouteHandlerFor final : public Callable {
 public:
  explicit RouteHandlerFor(F&& f) : f_(std::move(f)) {}
  explicit RouteHandlerFor(const F& f) : f_(f) {}
  void call(CallContext& context, CallResult& result) override {
    call_into<CallKind::handler>(result, [&]() -> decltype(auto) {
      return call_with(f_, context.request, context.pattern, *context.path_args);
    });
  }
  void destroy() noexcept override { this->~RouteHandlerFor(); }

 private:
  F f_;
};

#if MICRODOT_EXCEPTIONS
/// An error handler for exceptions of class `E`.
class ExceptionHandler : public Callable {
 public:
  /// Whether it handles this exception.
  virtual bool catches(const std::exception_ptr& exception) const noexcept = 0;
  /// Throws a null pointer to its class: another handler that catches that handles a base of it.
  virtual void throw_pointer() const = 0;
  virtual bool catches_pointer(const ExceptionHandler& other) const noexcept = 0;

 protected:
  ~ExceptionHandler() = default;
};

template <typename E, typename F>
class ExceptionHandlerFor final : public ExceptionHandler {
 public:
  explicit ExceptionHandlerFor(F&& f) : f_(std::move(f)) {}
  explicit ExceptionHandlerFor(const F& f) : f_(f) {}
  void call(CallContext& context, CallResult& result) override {
    static_assert(std::invocable<F&, Request&, const E&>,
                  "this error handler is called as f(Request&, const E&)");
    // The exception outlives the catch block: the context keeps it.
    const E* exception = nullptr;
    try {
      std::rethrow_exception(context.exception);
    } catch (const E& caught) {
      exception = &caught;
    }
    call_into<CallKind::error>(result, [&]() -> decltype(auto) { return f_(context.request, *exception); });
  }
  void destroy() noexcept override { this->~ExceptionHandlerFor(); }
  bool catches(const std::exception_ptr& exception) const noexcept override {
    try {
      std::rethrow_exception(exception);
    } catch (const E&) {
      return true;
    } catch (...) {
      return false;
    }
  }
  void throw_pointer() const override {
    if constexpr (std::is_class_v<E>) throw static_cast<const E*>(nullptr);
  }
  bool catches_pointer(const ExceptionHandler& other) const noexcept override {
    try {
      other.throw_pointer();
    } catch (const E*) {
      return true;
    } catch (...) {
    }
    return false;
  }

 private:
  F f_;
};
#endif

}  // namespace detail

}  // namespace microdot::inline MICRODOT_ABI
