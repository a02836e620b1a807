#pragma once
/// How a handler of any signature becomes a `Callable`.

#include <concepts>
#include <coroutine>
#include <exception>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

#include <microdot/async/task.hpp>
#include <microdot/into_response.hpp>
#include <microdot/response.hpp>
#include <microdot/route.hpp>

namespace microdot::inline MICRODOT_ABI {

class Request;

namespace detail {

/// A callable's signature, without the class that it may be of: CallOf<F>::type is R(P…).
template <typename F>
struct CallOf;
template <typename R, typename... P, bool N>
struct CallOf<R (*)(P...) noexcept(N)> : std::type_identity<R(P...)> {};
template <typename C, typename R, typename... P, bool N>
struct CallOf<R (C::*)(P...) noexcept(N)> : std::type_identity<R(P...)> {};
template <typename C, typename R, typename... P, bool N>
struct CallOf<R (C::*)(P...) const noexcept(N)> : std::type_identity<R(P...)> {};
template <typename F>
requires requires { &F::operator(); }
struct CallOf<F> : CallOf<decltype(&F::operator())> {};

/// What a handler or hook gave: a response, nothing, or a coroutine that will.
class CallResult {
 public:
  CallResult() noexcept {}  // not defaulted: it would be cleared first, room for a response and all
  CallResult(const CallResult&) = delete;
  CallResult& operator=(const CallResult&) = delete;
  ~CallResult() { clear(); }

  /// Before another call.
  void clear() noexcept {
    if (given_ != Given::nothing) destroy();
  }
  bool has_response() const noexcept { return given_ == Given::response; }
  Response& response() noexcept { return response_; }
  /// Puts it in the place of `to`. What is left of it owns nothing, so there is nothing to destroy.
  void move_response(Response& to) noexcept {
    to.~Response();
    ::new (static_cast<void*>(&to)) Response(std::move(response_));
    given_ = Given::nothing;
  }
  void set(Response&& response) noexcept {
    set_made([&response]() noexcept { return Response(std::move(response)); });
  }
  /// The response that `make()` gives, made in its place. There is none yet.
  template <typename Make>
  void set_made(Make&& make) {
    ::new (static_cast<void*>(&response_)) Response(make());
    given_ = Given::response;
  }
  /// A frame found no room.
  bool out_of_memory() const noexcept { return given_ == Given::no_memory; }

  /// A coroutine has to run first.
  bool pending() const noexcept { return given_ == Given::task; }
  std::coroutine_handle<> task() const noexcept { return task_; }
  template <typename T, typename Take>
  void set_task(Task<T> task, Take) noexcept {
    if (!task.valid()) {
      given_ = Given::no_memory;
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
    given_ = Given::task;
  }
  /// Takes the response out of the finished coroutine; throws what it threw.
  void take() {
    const struct Frame {
      std::coroutine_handle<> task;
      ~Frame() { task.destroy(); }
    } frame{task_};
    given_ = Given::nothing;
    take_(frame.task, *this);
  }

 private:
  enum class Given : std::uint8_t { nothing, response, task, no_memory };

  void destroy() noexcept {
    if (given_ == Given::response) response_.~Response();
    if (given_ == Given::task) task_.destroy();
    given_ = Given::nothing;
  }

  union {
    Response response_;
  };
  std::coroutine_handle<> task_;
  void (*take_)(std::coroutine_handle<>, CallResult&) = nullptr;
  Given given_ = Given::nothing;
};

/// What a callable is called with; which of it there is depends on what it is for.
struct CallContext {
  Request& request;
  Response& response;                   // after hooks
  const PathArgs* path_args = nullptr;  // route handlers
  std::string_view pattern = {};        // route handlers
#if MICRODOT_EXCEPTIONS
  std::exception_ptr exception =
      {};  // error handlers for exceptions; keeps the exception alive while they run
#endif
};

/// A closure that a router keeps until it goes.
class Stored {
 public:
  Stored(const Stored&) = delete;
  Stored& operator=(const Stored&) = delete;
  virtual void destroy() noexcept = 0;

  Stored* next_owned = nullptr;  // of the router that it was registered with

 protected:
  Stored() noexcept = default;
  ~Stored() = default;
};

/// A stored handler or hook.
class Callable : public Stored {
 public:
  /// May throw what the user's code throws.
  virtual void call(CallContext& context, CallResult& result) = 0;

  Callable* next = nullptr;  // in the list it is called from

 protected:
  ~Callable() = default;
};

/// A stored hook for what happens to the server, not to a request: f(), plain or a coroutine.
class ServerHook : public Stored {
 public:
  /// Calls it, when the task runs. Empty if there is no room for the frame.
  virtual Task<> call() = 0;

  ServerHook* next = nullptr;

 protected:
  ~ServerHook() = default;
};

template <typename F>
class ServerHookFor final : public ServerHook {
  static_assert(std::invocable<F&>, "this hook is called as f()");

 public:
  explicit ServerHookFor(F&& f) : f_(std::move(f)) {}
  explicit ServerHookFor(const F& f) : f_(f) {}
  Task<> call() override {
    using R = std::invoke_result_t<F&>;
    static_assert(std::is_void_v<R> || std::is_same_v<R, Task<>>, "this hook returns nothing, or Task<>");
    if constexpr (std::is_void_v<R>) {
      f_();
      co_return;
    } else {
      co_await f_();
    }
  }
  void destroy() noexcept override { this->~ServerHookFor(); }

 private:
  F f_;
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
      result.set_made([&value]() -> Response { return into_response(std::forward<T>(value)); });
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
      call_into<kKind>(result, [&]() -> decltype(auto) { return f_(context.request, context.response); });
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
