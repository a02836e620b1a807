#include <microdot/request.hpp>

#include <cstring>

#include <microdot/async/spawn.hpp>
#include <microdot/base/text.hpp>
#include <microdot/http/request_parser.hpp>

#include "server/body_reader.hpp"

namespace microdot::inline MICRODOT_ABI {

Request::Request(App& its_app, const RequestParser& parser, detail::BodyReader* body, Arena& arena,
                 const Endpoint& client) noexcept
    : method(parser.method_text()),
      url(parser.target()),
      path(parser.path()),
      query_string(parser.query()),
      http_version(parser.version_minor() == 0 ? "1.0" : "1.1"),
      scheme("http"),
      host(parser.host()),
      headers(parser.headers()),
      content_type(headers["Content-Type"]),
      content_length(parser.content_length().value_or(0)),
      // By its members, as it was just written: wider reads would wait until all of them are stored.
      client_addr{.address = client.address, .port = client.port, .family = client.family},
      app(its_app),
      arena_(&arena),
      body_(body) {
  if (!query_string.empty()) args = parse_pairs(query_string, 414);
}

Request::~Request() {
  while (ends_ != nullptr) {
    EndEntry* entry = std::exchange(ends_, ends_->next);
#if MICRODOT_EXCEPTIONS
    try {
      entry->run(*this);
    } catch (...) {
      FixedText<256> line;
      line.append(method).append(" ").append(path).append(": on_end: ");
      line.append(detail::current_exception_text());
      Loop::current().port().log().write(LogLevel::error, line.view());
    }
#else
    entry->run(*this);
#endif
  }
}

// Oldest first, so that in `to` they stand in the same order.
bool Request::move_objects(Request& to) noexcept {
  EndEntry* oldest_first = nullptr;
  while (ends_ != nullptr) {
    EndEntry* const entry = std::exchange(ends_, ends_->next);
    entry->next = std::exchange(oldest_first, entry);
  }
  globals_ = nullptr;
  bool all = true;
  while (oldest_first != nullptr) {
    EndEntry* const entry = oldest_first;
    oldest_first = entry->next;
    EndEntry* const moved = all ? entry->move_to(to) : entry;
    all = all && moved != nullptr;
    if (moved == entry || moved == nullptr) {
      push_end(*entry);
    } else {
      to.push_end(*moved);
    }
  }
  return all;
}

std::string_view Request::body() const noexcept {
  return body_ != nullptr ? body_->whole() : std::string_view{};
}

bool Request::body_kept() const noexcept { return body_ == nullptr || body_->kept(); }

const MultiDict* Request::form() noexcept {
  if (form_parsed_) return &form_;
  constexpr std::string_view kForm = "application/x-www-form-urlencoded";
  const std::string_view type = content_type.substr(0, content_type.find(';'));
  const std::size_t end = type.find_last_not_of(" \t");
  if (!equals_ignore_case(type.substr(0, end + 1), kForm)) return nullptr;
  form_parsed_ = true;
  if (!body_kept()) fail(413);
  form_ = parse_pairs(body(), 413);
  return &form_;
}

MultiDict Request::parse_pairs(std::string_view text, int status_if_full) noexcept {
  const std::size_t count = count_form_pairs(text);
  if (count == 0) return {};
  void* pairs = arena_->allocate(count * sizeof(NameValue));
  void* decoded = arena_->allocate(text.size());
  if (pairs == nullptr || decoded == nullptr) {
    fail(status_if_full);
    return {};
  }
  const Result<std::span<const NameValue>> parsed =
      parse_form(text, {static_cast<NameValue*>(pairs), count}, {static_cast<char*>(decoded), text.size()});
  if (!parsed) {
    fail(400);
    return {};
  }
  return MultiDict(*parsed);
}

void* Request::take(std::size_t size) noexcept {
  void* memory = arena_->allocate(size);
  if (memory == nullptr) fail(503);
  return memory;
}

std::string_view Request::keep_text(std::size_t size) noexcept {
  const std::string_view kept = arena_->keep(size);
  if (kept.data() == nullptr) fail(503);
  return kept;
}

std::string_view Request::copy(std::string_view text) noexcept {
  const std::string_view copied = arena_->copy(text);
  if (copied.data() == nullptr && !text.empty()) fail(503);
  return copied;
}

// RequestStream

bool RequestStream::Next::await_ready() const noexcept {
  // The result is fetched in await_resume unless it has to be waited for.
  return reader_ == nullptr || reader_->ready();
}

void RequestStream::Next::await_suspend(std::coroutine_handle<> handle) const noexcept {
  strand_ = &Strand::running();
  reader_->wait(*strand_, handle);
}

void RequestStream::Next::stop_waiting() const noexcept { reader_->forget_waiter(strand_); }

Result<std::string_view> RequestStream::Next::await_resume() const noexcept {
  if (reader_ == nullptr) return std::string_view{};
  return reader_->take_result();
}

Result<std::size_t> RequestStream::Read::await_resume() const noexcept {
  if (reader_ == nullptr) return std::size_t{0};
  return reader_->take_result_into(buffer_);
}

}  // namespace microdot::inline MICRODOT_ABI
