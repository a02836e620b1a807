#include <microdot/response.hpp>

#include <cstring>
#include <new>

#include <microdot/async/loop.hpp>
#include <microdot/base/text.hpp>
#include <microdot/stream.hpp>

#include "send_file.hpp"

namespace microdot::inline MICRODOT_ABI {

Response::Response(detail::FileRequest* request) noexcept : Response() {
  file_request_ = request;
  kind_ = BodyKind::file_request;
}

Response::Response(detail::StreamStart* stream, int status) noexcept : Response(Prepared{}, status, {}) {
  if (stream != nullptr) {
    stream_ = stream;
    kind_ = BodyKind::stream;
  } else {
    status_code = 503;
    headers_.fail(Error::no_memory);
  }
}

void Response::move_body(Response& other) noexcept {
  kind_ = other.kind_;
  switch (kind_) {
    case BodyKind::view: view_ = other.view_; break;
    case BodyKind::owned: {
      const detail::OwnedBodyOps* ops = owned_.ops = other.owned_.ops;
      ops->move(owned_.text, other.owned_.text);
      break;
    }
    case BodyKind::generator: generator_ = other.generator_; break;
    case BodyKind::file:
    case BodyKind::source:
      ::new (static_cast<void*>(&file_)) FileBody(std::move(other.file_));
      other.file_.~FileBody();
      break;
    case BodyKind::file_request: file_request_ = other.file_request_; break;
    case BodyKind::stream: stream_ = other.stream_; break;
  }
  other.kind_ = BodyKind::view;
  other.view_ = {};
}

void Response::destroy_body() noexcept {
  switch (kind_) {
    case BodyKind::view: return;
    case BodyKind::owned: owned_.ops->destroy(owned_.text); break;
    case BodyKind::generator:
      if (generator_.handle) generator_.handle.destroy();
      break;
    case BodyKind::file:
    case BodyKind::source: file_.~FileBody(); break;
    case BodyKind::file_request: Arena::free(file_request_); break;
    case BodyKind::stream: stream_->destroy(); break;
  }
  kind_ = BodyKind::view;
  view_ = {};
}

void Response::set_body(std::string_view body) noexcept {
  destroy_body();
  view_ = body;
}

void Response::set_file(FileReader&& file, std::uint64_t offset, std::uint64_t size,
                        BodySource* source) noexcept {
  destroy_body();
  ::new (static_cast<void*>(&file_)) FileBody{std::move(file), offset, size, source};
  kind_ = source != nullptr ? BodyKind::source : BodyKind::file;
}

void Response::set_number(std::string_view name, std::int64_t value) noexcept {
  FixedText<1 + kMaxDecimal> text;
  headers_.set(name, text.append(value).view());
}

Response& Response::set_cookie(std::string_view name, std::string_view value,
                               const CookieOptions& options) noexcept {
  // Measured generously: attribute names and a date take less than 192 bytes.
  const std::size_t room = name.size() + value.size() + options.path.size() + options.domain.size() +
                           options.expires.date().size() + 192;
  auto* text = static_cast<char*>(current_arena().allocate(room));
  if (text == nullptr) {
    headers_.fail(Error::no_memory);
    return *this;
  }
  const Result<std::string_view> field = write_set_cookie(name, value, options, {text, room});
  if (field) {
    headers_.add("Set-Cookie", *field);
  } else {
    headers_.fail(field.error());
  }
  Arena::free(text);
  return *this;
}

Response& Response::delete_cookie(std::string_view name, CookieOptions options) noexcept {
  return set_cookie(name, "", delete_cookie_options(options));
}

Response redirect(std::string_view url, int status) noexcept {
  Response response("", status);
  response.header("Location", url);
  return response;
}

Response send_file(std::string_view path, const SendFileOptions& options) noexcept {
  // One block for the request and copies of its texts.
  const std::string_view texts[] = {path, options.root.path(), options.content_type, options.compressed.name};
  std::size_t size = sizeof(detail::FileRequest);
  for (const std::string_view text : texts) size += text.size();
  void* memory = current_arena().allocate(size);
  if (memory == nullptr) {
    Response response;
    response.headers().fail(Error::no_memory);
    return response;
  }
  auto* request = ::new (memory) detail::FileRequest{path, options, detail::open_file};
  char* at = reinterpret_cast<char*>(request + 1);
  const auto copy = [&at](std::string_view text) noexcept {
    if (!text.empty()) std::memcpy(at, text.data(), text.size());
    return std::string_view(std::exchange(at, at + text.size()), text.size());
  };
  request->path = copy(path);
  request->options.root = options.root.with_path(copy(options.root.path()));
  request->options.content_type = copy(options.content_type);
  request->options.compressed.name = copy(options.compressed.name);
  Response response(request);
  response.status_code = options.status_code;
  return response;
}

// Abort

std::string_view Abort::keep(std::string_view reason) noexcept {
  Arena& arena = current_arena();
  // The task pool is never reset: what is copied there would stay.
  return &arena == &task_pool() ? std::string_view{} : arena.copy(reason);
}

Abort::operator Response() const noexcept {
  Response response(reason_, status_);
  response.mark_aborted();
  return response;
}

void Abort::await_suspend(std::coroutine_handle<> handle) const noexcept {
  Strand& strand = Strand::running();
  // A request's frames go before its answer is made; a task's frames, and the reason in them, outlive the
  // report.
  const std::string_view reason = &strand.arena() == &task_pool() ? reason_ : strand.arena().copy(reason_);
  strand.park(handle);
  strand.stop_outermost(
      {.cause = Stop::Cause::abort, .status = static_cast<std::uint16_t>(status_), .reason = reason});
}

}  // namespace microdot::inline MICRODOT_ABI
