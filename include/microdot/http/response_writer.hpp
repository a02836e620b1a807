#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include <microdot/base/config.hpp>
#include <microdot/base/result.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Whether `name` may be a field name: a token (RFC 9110 5.1), not empty.
bool is_valid_field_name(std::string_view name) noexcept;

/// Whether `value` may be a field value: no CR, LF, NUL or other control byte but HTAB (RFC 9110 5.5). This
/// is what keeps text of a client from adding fields or whole responses (response splitting).
bool is_valid_field_value(std::string_view value) noexcept;

/// Writes the head of a response into memory of the caller.
///
///     ResponseHead head(buffer);
///     head.status(200).raw(date.at(now)).content_type("text/html").content_length(body.size());
///     Result<std::string_view> bytes = head.finish();
///
/// The first problem stays: `Error::too_large` (no room; never writes past the buffer) or `Error::invalid` (a
/// status outside 100–999, or a field that would break the message). Later calls then do nothing.
class ResponseHead {
 public:
  explicit ResponseHead(std::span<char> out) noexcept
      : begin_(out.data()), p_(out.data()), end_(out.data() + out.size()) {}

  /// The status line, first of all. Without `reason` the registered phrase is used.
  ResponseHead& status(int code, std::string_view reason = {}) noexcept;
  /// Lines that are known to be right, each with its CRLF: constants and the cached Date line.
  ResponseHead& raw(std::string_view lines) noexcept {
    if (!lines.empty() && fits(lines.size())) put(lines);
    return *this;
  }
  ResponseHead& raw(const char* lines) noexcept { return raw(std::string_view(lines)); }
  /// Any field; name and value are checked.
  ResponseHead& field(std::string_view name, std::string_view value) noexcept;
  ResponseHead& field(std::string_view name, std::uint64_t value) noexcept;
  ResponseHead& content_type(std::string_view type) noexcept;
  /// The same for a type that is known to be right, with "charset=UTF-8" where it names none.
  ResponseHead& text_type(std::string_view type) noexcept {
    raw("Content-Type: ").raw(type);
    return raw(type.find("charset=") == std::string_view::npos ? "; charset=UTF-8\r\n" : "\r\n");
  }
  ResponseHead& content_length(std::uint64_t size) noexcept;
  /// "Transfer-Encoding: chunked".
  ResponseHead& chunked() noexcept { return raw("Transfer-Encoding: chunked\r\n"); }
  ResponseHead& connection_close() noexcept { return raw("Connection: close\r\n"); }
  /// What HTTP/1.0 clients that asked for it need to hear.
  ResponseHead& connection_keep_alive() noexcept { return raw("Connection: keep-alive\r\n"); }

  /// Ends the head with an empty line. Returns all bytes written, or the first problem.
  Result<std::string_view> finish() noexcept;

  /// Bytes written so far.
  std::size_t size() const noexcept { return static_cast<std::size_t>(p_ - begin_); }
  /// The first problem, or `Error::none`.
  Error error() const noexcept { return error_; }

 private:
  bool fits(std::size_t bytes) noexcept {
    if (error_ != Error::none) return false;
    if (static_cast<std::size_t>(end_ - p_) >= bytes) return true;
    error_ = Error::too_large;
    return false;
  }
  void put(std::string_view text) noexcept {
    std::memcpy(p_, text.data(), text.size());
    p_ += text.size();
  }

  char* begin_;
  char* p_;
  char* end_;
  Error error_ = Error::none;
};

/// The answer to those for whom there is no exchange: whole, with an empty body.
inline constexpr std::string_view kServiceUnavailable =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\nRetry-After: 5\r\n\r\n";

/// "HTTP/1.1 100 Continue\r\n\r\n"
inline constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace microdot::inline MICRODOT_ABI
