#include "dispatch.hpp"

#include <microdot/base/text.hpp>
#include <microdot/http/status.hpp>

#include "../send_file.hpp"

namespace microdot::inline MICRODOT_ABI::detail {

std::string_view error_text(int status) noexcept {
  switch (status) {
    case 400: return "Bad request";
    case 404: return "Not found";
    case 405: return "Method not allowed";
    case 413: return "Payload too large";
    case 500: return "Internal server error";
    case 501: return "Not implemented";
    case 503: return "Service unavailable";
    default: return reason_phrase(status);
  }
}

MICRODOT_STEP void Dispatch::route() noexcept {
  RouteFinder finder(method_, request_->path, request_->arena());
  finder.find(*app_, match_);
  if (match_.out_of_memory) return no_memory();
  if (match_.entry == nullptr) return no_route();
  match_.entry->count_request(app_->has_workers());
  request_->route = match_.entry->pattern;
  if (!match_.prefix.empty()) request_->url_prefix = match_.prefix;
  if (match_.entry->max_active != 0) {
    if (!count_up_together(match_.entry->active, match_.entry->max_active)) return fail(503, {});
    active_ = true;
  }
  context_.path_args = &match_.args;
  context_.pattern = match_.entry->pattern;
  if (is_empty(&Router::before_)) stage_ = Stage::handler;
}

void Dispatch::no_route() noexcept {
  if (method_ == Method::options && (!match_.allowed.empty() || request_->path == "*"))
    return automatic_options();
  if (method_ == Method::other) return fail(501, {});
  if (match_.allowed.empty()) return fail(404, {});
  fail(405, {});
}

void Dispatch::automatic_options() noexcept {
  response_ = Response();
  add_allow();
  stage_ = Stage::after;
}

void Dispatch::fail(int status, std::string_view reason, bool thrown) noexcept {
  begin_walk();
  request_->take_failure();
  response_ = Response(reason.empty() ? error_text(status) : reason, status);
  if (status == 405) add_allow();
  if (status == 503 && response_.header("Retry-After", 1).error() != Error::none) {
    response_ = Response(response_.body(), status);  // it is memory that is short
  }
  error_status_ = status;
  // Each kind of error handler gets one try, so that handlers which fail themselves come to an end.
  if (stage_ == Stage::after_error) {
    stage_ = Stage::done;
  } else if (thrown && !exception_handled_) {
    stage_ = Stage::exception;
  } else if (!error_handled_) {
    stage_ = Stage::error;
  } else {
    stage_ = Stage::after_error;
  }
}

// Asking again changes nothing, so nobody is told when to.
void Dispatch::no_memory() noexcept {
  log("out of memory: see Limits::arena_bytes");
  fail(503, {});
  response_.headers().remove("Retry-After");
}

inline bool Dispatch::is_empty(CallableList Router::*list) const noexcept {
  for (std::size_t i = 0; i < match_.depth; ++i) {
    if ((match_.routers[i]->*list).first() != nullptr) return false;
  }
  return true;
}

// Goes through one list of each router: from the app inwards, or from the route's router outwards.
inline Callable* Dispatch::advance_list(CallableList Router::*list, bool from_app) noexcept {
  if (at_ != nullptr) at_ = at_->next;
  while (at_ == nullptr && router_ < match_.depth) {
    const std::size_t index = from_app ? router_ : match_.depth - 1U - router_;
    ++router_;
    at_ = (match_.routers[index]->*list).first();
  }
  return at_;
}

Callable* Dispatch::error_handler(int status) const noexcept {
  for (std::size_t i = match_.depth; i-- > 0;) {
    for (const ErrorEntry* entry = match_.routers[i]->errors_; entry != nullptr; entry = entry->next) {
      if (entry->status == status) return entry->handler;
    }
  }
  return nullptr;
}

Callable* Dispatch::exception_handler() const noexcept {
#if MICRODOT_EXCEPTIONS
  for (std::size_t i = match_.depth; i-- > 0;) {
    for (Callable* at = match_.routers[i]->exceptions_.first(); at != nullptr; at = at->next) {
      if (static_cast<ExceptionHandler*>(at)->catches(context_.exception)) return at;
    }
  }
#endif
  return nullptr;
}

// What most applications have, apart from the rest: it stays small. Null, and another stage, after the last
// one.
Callable* Dispatch::next_hook() noexcept {
  if (stage_ == Stage::before) {
    if (Callable* hook = advance_list(&Router::before_, true)) return hook;
    stage_ = Stage::handler;
    return nullptr;
  }
  context_.response = &response_;
  if (Callable* hook = advance_list(&Router::after_, false)) return hook;
  at_ = request_->after_request_hooks();
  stage_ = at_ != nullptr ? Stage::after_request : Stage::done;
  return at_;
}

// The next one, in the other stages.
Callable* Dispatch::advance() noexcept {
  if (match_.depth == 0) match_.routers[match_.depth++] = app_;
  for (;;) {
    switch (stage_) {
      case Stage::handler:
        if (match_.entry->kind == RouteEntry::Kind::handler) return match_.entry->handler;
        {
          const StaticDirectory& directory = *match_.entry->directory;
          settle(directory.serve(directory, match_.rest, *request_));
        }
        break;
      case Stage::before:
      case Stage::after:
        if (Callable* hook = next_hook()) return hook;
        break;
      case Stage::after_request:
        at_ = at_ != nullptr ? at_->next : nullptr;
        if (at_ != nullptr) return at_;
        stage_ = Stage::done;
        break;
      case Stage::exception:
        exception_handled_ = true;
        if (Callable* handler = exception_handler()) return handler;
        stage_ = Stage::error;
        break;
      case Stage::error:
        error_handled_ = true;
        if (Callable* handler = error_handler(error_status_)) return handler;
        stage_ = Stage::after_error;
        break;
      case Stage::after_error:
        context_.response = &response_;
        if (Callable* hook = advance_list(&Router::after_error_, false)) return hook;
        stage_ = Stage::done;
        break;
      case Stage::done: return nullptr;
    }
  }
}

MICRODOT_STEP bool Dispatch::run() noexcept {
  while (Callable* const callable = next()) {
    result_.clear();
    call(*callable);
    if (result_.pending()) return false;
    // What most hooks give before a request: nothing.
    if (stage_ != Stage::before || !result_.empty() || request_->has_failed()) take();
  }
  return true;
}

inline void Dispatch::call(Callable& callable) noexcept {
#if MICRODOT_EXCEPTIONS
  try {
    callable.call(context_, result_);
  } catch (const Abort& abort) {
    result_.set(abort);
  } catch (...) {
    thrown();
  }
#else
  callable.call(context_, result_);
#endif
}

void Dispatch::finish() noexcept {
#if MICRODOT_EXCEPTIONS
  try {
    result_.take();
  } catch (const Abort& abort) {
    result_.set(abort);
  } catch (...) {
    thrown();
  }
#else
  result_.take();
#endif
  take();
}

void Dispatch::stopped(const Stop& stop) noexcept {
  result_.destroy_task();
  Response response = Abort(stop.status != 0 ? stop.status : 503, stop.reason);
  result_.set(std::move(response));
  take();
}

#if MICRODOT_EXCEPTIONS
void Dispatch::thrown() noexcept {
  context_.exception = std::current_exception();
  log_exception(context_.exception);
  thrown_ = true;
  fail(500, {}, true);
}

void Dispatch::stream_threw(std::exception_ptr exception) noexcept {
  try {
    std::rethrow_exception(std::move(exception));
  } catch (const Abort& abort) {
    fail(abort.status_code(), abort.reason());
  } catch (...) {
    thrown();
    thrown_ = false;  // there is no call to take a result from
  }
}

void Dispatch::log_exception(const std::exception_ptr& exception) noexcept {
  try {
    std::rethrow_exception(exception);
  } catch (...) {
    log(current_exception_text());
  }
}
#endif

inline void Dispatch::take() noexcept {
  if (std::exchange(thrown_, false)) return;  // dealt with
  if (result_.out_of_memory()) return no_memory();
  if (const int status = request_->take_failure(); status != 0) return refuse(status);
  if (result_.has_response()) return settle(std::move(result_.response()));
  // An error handler that gives nothing leaves the error's own answer.
  if (stage_ == Stage::exception || stage_ == Stage::error) stage_ = Stage::after_error;
  check_response();
}

inline void Dispatch::settle(Response&& response) noexcept {
  if (response.body_kind() == Response::BodyKind::file_request)
    response.file_request()->open(response, *request_);
  if (response.aborted()) return fail(response.status_code, response.body());
  response_ = std::move(response);
  switch (stage_) {
    case Stage::before:
    case Stage::handler:
      begin_walk();
      stage_ = is_empty(&Router::after_) && request_->after_request_hooks() == nullptr ? Stage::done
                                                                                       : Stage::after;
      break;
    case Stage::exception:
    case Stage::error:
      // An error handler's 405 names the methods too (RFC 9110 15.5.6).
      if (response_.status_code == 405 && !response_.headers().contains("Allow")) add_allow();
      stage_ = Stage::after_error;
      break;
    default: break;
  }
  check_response();
}

void Dispatch::mend_response() noexcept {
  const int status = response_.status_code;
  const bool begins_stream = response_.body_kind() == Response::BodyKind::stream;
  if ((status < 200 && !(begins_stream && status == 101)) || status > 999) {
    // An interim status would be taken for one, and what follows for the answer to this request.
    FixedText<64> text;
    log(text.append("a handler may not answer with status ").append(status).view());
    return fail(500, {});
  }
  if (status == 205) response_.set_body({});  // RFC 9110 15.3.6
  switch (response_.error()) {
    case Error::none: return;
    case Error::no_memory: return no_memory();
    default: log("a header field or cookie of the response is not valid"); return fail(500, {});
  }
}

void Dispatch::add_allow() noexcept {
  char buffer[kMaxAllow];
  MethodSet methods = match_.allowed;
  if (methods.contains(Method::get)) methods.add(Method::head);
  methods.add(Method::options);
  response_.header("Allow", write_allow(methods, buffer));
}

void Dispatch::log(std::string_view what) noexcept {
  FixedText<256> line;
  line.append(request_->method).append(" ").append(request_->path).append(": ").append(what);
  Loop::current().port().log().write(LogLevel::error, line.view());
}

}  // namespace microdot::inline MICRODOT_ABI::detail
