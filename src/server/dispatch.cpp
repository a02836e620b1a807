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
  begin_before(0);
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
  begin_after(match_.depth);
}

void Dispatch::fail(int status, std::string_view reason, bool thrown) noexcept {
  request_->take_failure();
  response_ = Response(reason.empty() ? error_text(status) : reason, status);
  if (status == 405) add_allow();
  if (status == 503 && response_.header("Retry-After", 1).error() != Error::none) {
    response_ = Response(response_.body(), status);  // it is memory that is short
  }
  error_status_ = status;
  // Each kind of error handler gets one try, so that handlers which fail themselves come to an end.
  if (stage_ == Stage::after_error) {
    at_ = nullptr;
  } else if (thrown && !exception_handled_) {
    begin_error(Stage::exception);
  } else {
    begin_error(error_handled_ ? Stage::after_error : Stage::error);
  }
}

// Asking again changes nothing, so nobody is told when to.
void Dispatch::no_memory() noexcept {
  log("out of memory: see Limits::arena_bytes");
  fail(503, {});
  response_.headers().remove("Retry-After");
}

// Hooks are called from the app inwards before a request …
inline void Dispatch::begin_before(std::size_t router) noexcept {
  for (; router < match_.depth; ++router) {
    if ((at_ = match_.routers[router]->before_.first()) != nullptr) {
      router_ = static_cast<std::uint8_t>(router);
      return;
    }
  }
  stage_ = Stage::handler;
  at_ = match_.entry->kind == RouteEntry::Kind::handler ? match_.entry->handler : nullptr;
}

// … and from the route's router outwards behind it: the first one in the lists of the outer `routers`.
inline Callable* Dispatch::outwards(CallableList Router::*list, std::size_t routers) noexcept {
  while (routers-- > 0) {
    if (Callable* hook = (match_.routers[routers]->*list).first()) {
      router_ = static_cast<std::uint8_t>(routers);
      return hook;
    }
  }
  return nullptr;
}

inline void Dispatch::begin_after(std::size_t routers) noexcept {
  stage_ = Stage::after;
  at_ = outwards(&Router::after_, routers);
  if (at_ != nullptr) return;
  stage_ = Stage::after_request;
  at_ = request_->after_request_hooks();
}

// An error's handler, or what comes behind it.
void Dispatch::begin_error(Stage stage) noexcept {
  if (match_.depth == 0) match_.routers[match_.depth++] = app_;
  stage_ = stage;
  at_ = nullptr;
  if (stage_ == Stage::exception) {
    exception_handled_ = true;
    at_ = exception_handler();
    if (at_ == nullptr) stage_ = Stage::error;
  }
  if (stage_ == Stage::error) {
    error_handled_ = true;
    at_ = error_handler(error_status_);
    if (at_ == nullptr) stage_ = Stage::after_error;
  }
  if (stage_ == Stage::after_error) at_ = outwards(&Router::after_error_, match_.depth);
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

// What is called next, if the call at hand leaves that to us.
inline void Dispatch::advance() noexcept {
  switch (stage_) {
    case Stage::handler: return begin_after(match_.depth);
    case Stage::after:
      at_ = at_->next;
      if (at_ == nullptr) begin_after(router_);
      return;
    default: return advance_other();
  }
}

// The same in the stages that few requests come to.
void Dispatch::advance_other() noexcept {
  at_ = at_->next;
  if (at_ == nullptr && stage_ == Stage::after_error) at_ = outwards(&Router::after_error_, router_);
}

MICRODOT_STEP bool Dispatch::call() noexcept {
  while (at_ != nullptr) {
    result_.clear();
    if (call(*at_)) return true;
  }
  if (stage_ != Stage::handler) return false;
  result_.clear();
  result_.set_made([this] {
    const StaticDirectory& directory = *match_.entry->directory;
    return directory.serve(directory, match_.rest, *request_);
  });
  return true;
}

// False if it threw: `fail` has seen to what comes next.
inline bool Dispatch::call(Callable& callable) noexcept {
#if MICRODOT_EXCEPTIONS
  try {
    callable.call(context_, result_);
  } catch (const Abort& abort) {
    result_.set(abort);
  } catch (...) {
    thrown();
    return false;
  }
#else
  callable.call(context_, result_);
#endif
  return true;
}

MICRODOT_STEP bool Dispatch::finish() noexcept {
#if MICRODOT_EXCEPTIONS
  try {
    result_.take();
  } catch (const Abort& abort) {
    result_.set(abort);
  } catch (...) {
    thrown();
    return false;
  }
#else
  result_.take();
#endif
  return true;
}

void Dispatch::stopped(const Stop& stop) noexcept {
  result_.clear();
  result_.set(Abort(stop.status != 0 ? stop.status : 503, stop.reason));
}

#if MICRODOT_EXCEPTIONS
void Dispatch::thrown() noexcept {
  context_.exception = std::current_exception();
  log_exception(context_.exception);
  fail(500, {}, true);
}

void Dispatch::stream_threw(std::exception_ptr exception) noexcept {
  try {
    std::rethrow_exception(std::move(exception));
  } catch (const Abort& abort) {
    fail(abort.status_code(), abort.reason());
  } catch (...) {
    thrown();
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

MICRODOT_STEP void Dispatch::take() noexcept {
  if (result_.out_of_memory()) return no_memory();
  if (request_->has_failed()) return refuse(request_->take_failure());
  if (result_.has_response()) {
    Response& response = result_.response();
    if (response.body_kind() == Response::BodyKind::file_request)
      response.file_request()->open(response, *request_);
    if (response.aborted()) return fail(response.status_code, response.body());
    result_.move_response(response_);
    if (stage_ == Stage::before) stage_ = Stage::handler;  // in its place
  } else if (stage_ == Stage::before) {
    at_ = at_->next;
    if (at_ == nullptr) begin_before(router_ + 1U);
    return;
  }
  if (stage_ == Stage::exception || stage_ == Stage::error) return take_error();
  if (check_response()) advance();
}

// An error handler that gave nothing leaves the error's own answer.
void Dispatch::take_error() noexcept {
  // A 405 of its own names the methods too (RFC 9110 15.5.6).
  if (response_.status_code == 405 && !response_.headers().contains("Allow")) add_allow();
  stage_ = Stage::after_error;
  if (check_response()) begin_error(Stage::after_error);
}

bool Dispatch::mend_response() noexcept {
  const int status = response_.status_code;
  const bool begins_stream = response_.body_kind() == Response::BodyKind::stream;
  if ((status < 200 && !(begins_stream && status == 101)) || status > 999) {
    // An interim status would be taken for one, and what follows for the answer to this request.
    FixedText<64> text;
    log(text.append("a handler may not answer with status ").append(status).view());
    fail(500, {});
    return false;
  }
  if (status == 205) response_.set_body({});  // RFC 9110 15.3.6
  switch (response_.error()) {
    case Error::none: return true;
    case Error::no_memory: no_memory(); return false;
    default:
      log("a header field or cookie of the response is not valid");
      fail(500, {});
      return false;
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
