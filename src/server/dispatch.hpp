#pragma once
/// From a request to its response: which hook, handler or error handler is called next, and what their
/// results mean. Plain state, no coroutine: the connection calls `run`, and awaits what it must.

#include <microdot/app.hpp>
#include <microdot/async/strand.hpp>

#include "../request_unit.hpp"
#include "../router.hpp"

namespace microdot::inline MICRODOT_ABI::detail {

class Dispatch {
 public:
  Dispatch(App& app, Request& request, Method method) noexcept
      : app_(&app), request_(&request), method_(method), context_{.request = request} {}
  Dispatch(const Dispatch&) = delete;
  Dispatch& operator=(const Dispatch&) = delete;
  ~Dispatch() {
    if (active_) count_down_together(match_.entry->active);
  }

  /// Finds the route.
  void route() noexcept;
  /// Answers with an error instead (a body that is too large; 503: the request's memory is used up, as by a
  /// stream that found no room for its first piece), through its error handler.
  void refuse(int status) noexcept { return status == 503 ? no_memory() : fail(status, {}); }

  /// Calls what comes next, one after the other. True: the response is complete. False: `task` has to run,
  /// then comes `finish` or `stopped`, and `run` again.
  bool run() noexcept;
  /// The coroutine of what was called last.
  std::coroutine_handle<> task() const noexcept { return result_.task(); }
  /// It has run to its end.
  void finish() noexcept;
  /// It was stopped.
  void stopped(const Stop& stop) noexcept;

  /// The response is a stream that was stopped before its first piece: answer with an error instead.
  void stream_stopped(const Stop& stop) noexcept { fail(stop.status != 0 ? stop.status : 503, stop.reason); }
#if MICRODOT_EXCEPTIONS
  /// Likewise, if it threw.
  void stream_threw(std::exception_ptr exception) noexcept;
  /// One line about an exception that a handler let out.
  void log_exception(const std::exception_ptr& exception) noexcept;
#endif

  Response& response() noexcept { return response_; }
  /// The route; null if there is none.
  const RouteEntry* route_entry() const noexcept { return match_.entry; }
  /// The route serves only so many at once; this request is one of them until it ends.
  bool limited() const noexcept { return active_; }
  /// Leaves that to a stream, which counts down what is given when it ends; null if there is nothing to
  /// count.
  std::uint16_t* hand_over_count() noexcept {
    return std::exchange(active_, false) ? &match_.entry->active : nullptr;
  }

 private:
  enum class Stage : std::uint8_t {
    // those of hooks; `before` and `after` first
    before,
    after,
    after_request,
    after_error,
    // and of what answers
    handler,
    exception,
    error,
    done
  };

  /// What is to be called now; null when the response is complete.
  Callable* next() noexcept {
    if (stage_ <= Stage::after) {
      if (Callable* hook = next_hook()) return hook;
    }
    if (stage_ == Stage::done) return nullptr;
    if (stage_ == Stage::handler && match_.entry->kind == RouteEntry::Kind::handler) {
      return match_.entry->handler;
    }
    return advance();
  }
  void call(Callable& callable) noexcept;
  /// Goes on with what the call gave.
  void take() noexcept;
  void fail(int status, std::string_view reason, bool thrown = false) noexcept;
  /// The request's own is used up.
  void no_memory() noexcept;
  void settle(Response&& response) noexcept;
  /// A response that lacks a field, or has one that would break the message, is not sent.
  void check_response() noexcept {
    const int status = response_.status_code;
    if (status < 200 || status > 999 || status == 205 || response_.error() != Error::none) mend_response();
  }
  void mend_response() noexcept;
  void add_allow() noexcept;
  void log(std::string_view what) noexcept;
  void no_route() noexcept;
  void automatic_options() noexcept;
  Callable* next_hook() noexcept;
  Callable* advance() noexcept;
  void begin_walk() noexcept {
    at_ = nullptr;
    router_ = 0;
  }
  bool is_empty(CallableList Router::*list) const noexcept;
  Callable* advance_list(CallableList Router::*list, bool from_app) noexcept;
  Callable* error_handler(int status) const noexcept;
  Callable* exception_handler() const noexcept;
#if MICRODOT_EXCEPTIONS
  void thrown() noexcept;
#endif

  App* app_;
  Request* request_;
  Method method_;
  Stage stage_ = Stage::before;
  bool exception_handled_ = false;  // an error handler for the exception had its turn
  bool error_handled_ = false;      // so did one for the status
  bool thrown_ = false;             // the call at hand ended with an exception
  bool active_ = false;             // counts among its route's active requests
  std::uint8_t router_ = 0;         // whose list, as index into match_.routers
  int error_status_ = 0;
  Callable* at_ = nullptr;
  RouteMatch match_;
  CallContext context_;
  Response response_;
  CallResult result_;  // of the call at hand; its coroutine may use all of the others
};

/// The words for an error that nothing else describes.
std::string_view error_text(int status) noexcept;

}  // namespace microdot::inline MICRODOT_ABI::detail
