#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <microdot/base/config.hpp>
#include <microdot/http/header_table.hpp>
#include <microdot/http/method.hpp>
#include <microdot/http/parse_status.hpp>

namespace microdot::inline MICRODOT_ABI {

/// The four forms of a request target (RFC 9112 3.2).
enum class TargetForm : std::uint8_t { origin, absolute, authority, asterisk };

/// What a request head may cost.
struct RequestParserLimits {
  std::uint16_t max_readline =
      8192;  ///< Bytes of one line without its CRLF: above, 414 (request line) or 431.
  std::uint16_t head_bytes = 65535;  ///< Bytes of the whole head: above, 414 (in the request line) or 431.
};

/// Parses the head of an HTTP/1 request in place (RFC 9112 2–6, strict wherever requests could be smuggled).
///
///     RequestParser parser(fields);                     // std::span<HeaderField>
///     ParseStatus status = parser.parse({buffer, bytes_so_far});
///     // need_more: read behind these bytes, then parse the longer buffer
///
/// The outcome does not depend on how the bytes were split. Nothing is copied: every view points into the
/// buffer of the last `parse` (or `set_base`). Bytes are looked at about once in total, however often `parse`
/// is called.
///
/// Choices where the RFCs leave one:
/// - HTTP/1.2 and later minor versions are served as 1.1 (RFC 9110 2.5); other major versions get 505.
/// - Two Content-Length fields are refused even when they agree; so is Content-Length beside
/// Transfer-Encoding, and
///   Transfer-Encoding in HTTP/1.0. Codings before a final chunked get 501; any other final coding gets 400.
/// - In the target, bytes that browsers leave as they are (`| ^ { } [ ]` and backquote, in the query also a
///   backslash) are accepted; controls, non-ASCII bytes, `" # < >`, bad percent-encoding and `%00` are 400.
/// - Up to four empty lines before the request line are skipped. Bare LF is never a line end.
/// - Expect other than 100-continue gets 417.
class RequestParser {
 public:
  using Limits = RequestParserLimits;

  RequestParser() noexcept = default;
  /// Keeps up to `fields.size()` header fields in `fields`; more get 431.
  explicit RequestParser(std::span<HeaderField> fields, Limits limits = {}) noexcept
      : headers_(fields), limits_(limits) {}

  /// Starts over, for the next request.
  void reset() noexcept;

  /// Parses what has come of the head. `buffer` begins where it began in the last call, with the same bytes
  /// first (it may have moved). After `complete` or `error`, further calls give the same again.
  ParseStatus parse(std::string_view buffer) noexcept;

  /// Says that the head's bytes are elsewhere now (they were copied); all views follow.
  void set_base(const char* base) noexcept {
    base_ = base;
    headers_.set_base(base);
  }

  /// Moves the fields to other storage, and says where the head's bytes are now. False if it is too small.
  bool move_to(std::span<HeaderField> fields, const char* base) noexcept {
    base_ = base;
    return headers_.move_to(fields, base);
  }

  /// After `error`: the status to answer, and what was wrong in a few words for the log (static storage).
  int error_status() const noexcept { return error_status_; }
  std::string_view error_reason() const noexcept;

  /// After `complete` (the rest of this class): bytes of the head, with empty lines before and the last CRLF.
  std::size_t head_bytes() const noexcept { return line_; }

  Method method() const noexcept { return method_; }
  /// The method as sent, also for `Method::other`.
  std::string_view method_text() const noexcept { return view(method_text_); }
  /// The whole target as sent.
  std::string_view target() const noexcept { return view(target_); }
  TargetForm target_form() const noexcept { return form_; }
  /// The path as sent (still percent-encoded), without query. "/" where an absolute target has none; "*" for
  /// the asterisk form; "" for the authority form.
  std::string_view path() const noexcept;
  /// The query without '?', as sent; "" if there is none.
  std::string_view query() const noexcept { return view(query_); }
  /// 0 or 1, of "HTTP/1.x"; higher ones are given as 1.
  int version_minor() const noexcept { return minor_; }
  /// Host and port that the request is for, as sent: of an absolute target, else of the Host field; "" in
  /// HTTP/1.0 without one. Valid by RFC 3986 3.2.2.
  std::string_view host() const noexcept { return view(host_); }
  const HeaderTable& headers() const noexcept { return headers_; }

  /// The Content-Length, if there is one. Never together with `chunked()`.
  std::optional<std::uint64_t> content_length() const noexcept {
    return has(kContentLength) ? std::optional<std::uint64_t>(content_length_) : std::nullopt;
  }
  /// The body is chunked.
  bool chunked() const noexcept { return has(kChunked); }
  /// A body follows that is not empty or whose size is not known.
  bool has_body() const noexcept { return chunked() || (has(kContentLength) && content_length_ != 0); }
  /// The client wants the connection to persist (RFC 9112 9.3).
  bool keep_alive() const noexcept { return has(kKeepAlive); }
  /// The client waits for "100 Continue" before it sends the body. False in HTTP/1.0 and without a body.
  bool expect_100() const noexcept { return has(kExpect) && minor_ != 0 && has_body(); }
  /// Connection names the option "upgrade".
  bool connection_upgrade() const noexcept { return has(kUpgrade); }

 private:
  enum Flag : std::uint16_t {
    kContentLength = 1,
    kChunked = 2,  // and it was the last coding so far
    kKeepAlive = 4,
    kExpect = 8,
    kUpgrade = 16,
    kClose = 32,
    kHost = 64,
    kTransferEncoding = 128,
    kUnknownCoding = 256,
  };
  enum class Stage : std::uint8_t { request_line, fields, complete, error };
  struct Slice {
    std::uint16_t offset = 0;
    std::uint16_t size = 0;
  };

  bool has(Flag flag) const noexcept { return (flags_ & flag) != 0; }
  void set(Flag flag) noexcept { flags_ = static_cast<std::uint16_t>(flags_ | flag); }
  std::string_view view(Slice slice) const noexcept { return {base_ + slice.offset, slice.size}; }
  Slice slice(const char* from, const char* to) const noexcept {
    return {static_cast<std::uint16_t>(from - base_), static_cast<std::uint16_t>(to - from)};
  }

  [[gnu::cold, gnu::noinline]] ParseStatus fail(int status, std::uint8_t reason) noexcept;
  ParseStatus bad_line(const char* end, std::uint8_t reason) noexcept;
  ParseStatus incomplete(const char* end) noexcept;
  ParseStatus too_long() noexcept;
  bool line_fits(const char* lf) const noexcept;
  ParseStatus parse_request_line(const char* end) noexcept;
  ParseStatus parse_slow_version(const char* p, const char* end, const char*& next) noexcept;
  ParseStatus parse_target() noexcept;
  ParseStatus parse_absolute_target() noexcept;
  void parse_usual_host(const char* end) noexcept;
  ParseStatus parse_fields(const char* end) noexcept;
  ParseStatus known_field(const char* name, std::size_t name_size, std::string_view value) noexcept;
  ParseStatus content_length_field(std::string_view value) noexcept;
  ParseStatus transfer_encoding_field(std::string_view value) noexcept;
  ParseStatus host_field(std::string_view value) noexcept;
  void connection_field(std::string_view value) noexcept;
  ParseStatus finish() noexcept;

  HeaderTable headers_;
  const char* base_ = "";
  std::uint64_t content_length_ = 0;
  std::uint32_t line_ = 0;  // where the line begins that is parsed now
  std::uint32_t scan_ = 0;  // no line end before this
  Limits limits_;
  Slice method_text_, target_, path_, query_, host_;
  std::uint16_t error_status_ = 0;
  std::uint16_t flags_ = 0;
  Stage stage_ = Stage::request_line;
  Method method_ = Method::other;
  TargetForm form_ = TargetForm::origin;
  std::uint8_t minor_ = 1;
  std::uint8_t empty_lines_ = 0;
  std::uint8_t reason_ = 0;
};

/// Whether `text` is a valid `uri-host [ ":" port ]` (RFC 3986 3.2.2, RFC 9110 7.2): a name, an IPv4 address
/// or a bracketed IPv6 address; a port up to 65535, which may be empty. An empty name is valid.
bool is_valid_host(std::string_view text) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
