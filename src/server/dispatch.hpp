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
      : app_(&app),
        request_(&request),
        method_(method),
        context_{.request = request, .response = response_} {}
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

  /// Calls what comes next. False: there is nothing, the response is complete. True: `take` what it gave;
  /// before that, if it is a coroutine (`pending`), `task` has to run, then comes `finish` or `stopped`.
  bool call() noexcept;
  bool pending() const noexcept { return result_.pending(); }
  std::coroutine_handle<> task() const noexcept { return result_.task(); }
  /// It has run to its end. False: it threw, and there is nothing to take.
  bool finish() noexcept;
  /// It was stopped.
  void stopped(const Stop& stop) noexcept;
  /// Goes on with what the call gave.
  void take() noexcept;

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
  enum class Stage : std::uint8_t { before, handler, after, after_request, exception, error, after_error };

  bool call(Callable& callable) noexcept;
  void fail(int status, std::string_view reason, bool thrown = false) noexcept;
  /// The request's own is used up.
  void no_memory() noexcept;
  /// A response that lacks a field, or has one that would break the message, is not sent. False: an error
  /// takes its place.
  bool check_response() noexcept {
    const int status = response_.status_code;
    return (status >= 200 && status <= 999 && status != 205 && response_.error() == Error::none) ||
           mend_response();
  }
  bool mend_response() noexcept;
  void add_allow() noexcept;
  void log(std::string_view what) noexcept;
  void no_route() noexcept;
  void automatic_options() noexcept;
  // What is called next, as `at_`: the next stage's first where a stage ends.
  void begin_before(std::size_t router) noexcept;
  void begin_after(std::size_t routers) noexcept;
  void begin_error(Stage stage) noexcept;
  void advance() noexcept;
  void advance_other() noexcept;
  void take_error() noexcept;
  Callable* outwards(CallableList Router::*list, std::size_t routers) noexcept;
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
  bool active_ = false;             // counts among its route's active requests
  std::uint8_t router_ = 0;         // whose list `at_` is in, as index into match_.routers
  int error_status_ = 0;
  Callable* at_ = nullptr;  // what is called now; null: nothing, or a directory in the stage `handler`
  RouteMatch match_;
  CallContext context_;
  Response response_;
  CallResult result_;  // of the call at hand; its coroutine may use all of the others
};

/// The words for an error that nothing else describes.
std::string_view error_text(int status) noexcept;

}  // namespace microdot::inline MICRODOT_ABI::detail
