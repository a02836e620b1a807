#pragma once
#include <concepts>
#include <coroutine>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <microdot/async/generator.hpp>
#include <microdot/base/result.hpp>
#include <microdot/embedded_files.hpp>
#include <microdot/http/cookie.hpp>
#include <microdot/port/file.hpp>
#include <microdot/response_headers.hpp>

namespace microdot::inline MICRODOT_ABI {

/// One piece of a body that is made while it is sent.
struct BodyPiece {
  std::string_view bytes;         ///< Sent first.
  std::uint64_t file_offset = 0;  ///< Then this part of the response's file.
  std::uint64_t file_size = 0;
};

/// A body made of several pieces, e.g. multipart/byteranges. Lives in the request's arena.
class BodySource {
 public:
  /// The next piece; false at the end. `piece.bytes` stays valid until the next call.
  virtual bool next(BodyPiece& piece) noexcept = 0;

 protected:
  ~BodySource() = default;
};

/// How a file is to be sent. All members have defaults; use designated initialisers.
struct SendFileOptions {
  /// "br", "gzip" …: the file is already encoded so. `true` means gzip.
  struct Encoding {
    std::string_view name;
    constexpr Encoding() noexcept = default;
    constexpr Encoding(bool gzip) noexcept : name(gzip ? "gzip" : "") {}
    constexpr Encoding(const char* encoding) noexcept : name(encoding) {}
  };

  FileRoot root = {};  ///< Directory that the path can't leave, or an embedded folder. Empty: the path is the
                       ///< program's own.
  std::int64_t max_age = -1;           ///< Seconds for `Cache-Control: max-age`; negative: none.
  std::string_view content_type = {};  ///< Empty: by the file's extension.
  Encoding compressed = {};
  bool immutable = false;     ///< Adds `immutable` to Cache-Control: the URL changes with the content.
  bool precompressed = true;  ///< Sends `path.br` or `path.gz` instead where they exist and are accepted.
  int status_code = 200;
};

namespace detail {
class Exchange;
class StreamStart;
struct FileRequest;  // what send_file was asked for, until it is opened for the request at hand

void append_piece(Exchange& exchange) noexcept;

struct OwnedBodyOps {
  void (*move)(void* to, void* from) noexcept;
  void (*destroy)(void*) noexcept;
  std::string_view (*view)(const void*) noexcept;
};
}  // namespace detail

/// What a handler answers.
///
///     Response("Hello")                                  // 200, text/plain
///     Response("no", 404, {{"X-Reason", "gone"}})
///     Response(std::string(…))                           // moved in and owned
///     Response(numbers())                                // a Generator<std::string_view>: streamed
///
/// **A `std::string_view` or `const char*` is not copied**: it must be static data, or bytes of the request
/// (`req.body()`, path arguments, `req.format(…)`), never a view of a local. A `std::string` is always owned.
class Response {
 public:
  enum class BodyKind : std::uint8_t { view, owned, generator, file, source, file_request, stream };

  Response() noexcept : Response(std::string_view{}) {}
  Response(std::string_view body, int status = 200, std::initializer_list<Header> headers = {}) noexcept
      : Response(Prepared{}, status, headers) {
    view_ = body;
  }
  Response(const char* body, int status = 200, std::initializer_list<Header> headers = {}) noexcept
      : Response(std::string_view(body), status, headers) {}
  /// Owned text; a copy if it is given an lvalue.
  template <typename String>
  requires std::same_as<std::remove_cvref_t<String>, std::string> Response(
      String&& body, int status = 200, std::initializer_list<Header> headers = {})
      : Response(Prepared{}, status, headers) {
    using Owned = std::remove_cvref_t<String>;
    static_assert(sizeof(Owned) <= sizeof(OwnedBody::text) && alignof(Owned) <= alignof(void*));
    owned_.ops = &kOwnedOps<Owned>;  // first: it makes owned_ the union's member
    ::new (static_cast<void*>(owned_.text)) Owned(std::forward<String>(body));
    kind_ = BodyKind::owned;
  }
  /// Streamed as it comes.
  Response(Generator<std::string_view> body, int status = 200,
           std::initializer_list<Header> headers = {}) noexcept
      : Response(Prepared{}, status, headers) {
    generator_ = {body.release(), detail::append_piece};
    kind_ = BodyKind::generator;
    if (!generator_.handle) headers_.fail(Error::no_memory);
  }
  template <std::size_t kSize>
  Response(char (&)[kSize], int = 200, std::initializer_list<Header> = {}) : Response() {
    static_assert(kSize == 0,
                  "a local array would be gone before it is sent: use req.format(...) or std::string");
  }
  template <typename Null>
  requires std::same_as<Null, std::nullptr_t> Response(Null, int = 200, std::initializer_list<Header> = {})
      : Response() {
    static_assert(!std::same_as<Null, std::nullptr_t>, "nullptr is no body: answer with the status 204");
  }

  Response(Response&& other) noexcept
      : status_code(other.status_code),
        kind_(BodyKind::view),
        aborted_(other.aborted_),
        headers_(std::move(other.headers_)),
        view_() {
    take_body(other);
  }
  Response& operator=(Response&& other) noexcept {
    if (this == &other) return *this;
    if (kind_ != BodyKind::view) destroy_body();
    status_code = other.status_code;
    aborted_ = other.aborted_;
    headers_ = std::move(other.headers_);
    take_body(other);
    return *this;
  }
  ~Response() {
    if (kind_ != BodyKind::view) destroy_body();
  }

  int status_code;

  /// Sets a field, replacing others of its name. See `ResponseHeaders` for what is refused.
  Response& header(std::string_view name, std::string_view value) noexcept {
    headers_.set(name, value);
    return *this;
  }
  Response& header(const char* name, std::string_view value) noexcept {
    return header(std::string_view(name), value);
  }
  Response& header(const char* name, const char* value) noexcept {
    return header(std::string_view(name), std::string_view(value));
  }
  Response& header(const char* name, std::integral auto value) noexcept {
    return header(std::string_view(name), value);
  }
  Response& header(std::string_view name, std::integral auto value) noexcept {
    set_number(name, static_cast<std::int64_t>(value));
    return *this;
  }
  /// Adds a field beside others of its name.
  Response& add_header(std::string_view name, std::string_view value) noexcept {
    headers_.add(name, value);
    return *this;
  }
  const ResponseHeaders& headers() const noexcept { return headers_; }
  ResponseHeaders& headers() noexcept { return headers_; }

  /// Adds a `Set-Cookie` field (RFC 6265). A name, value or attribute that would break it makes the response
  /// a 500.
  Response& set_cookie(std::string_view name, std::string_view value,
                       const CookieOptions& options = {}) noexcept;
  /// Tells the client to drop a cookie; path and domain must be those it was set with.
  Response& delete_cookie(std::string_view name, CookieOptions options = {}) noexcept;

  BodyKind body_kind() const noexcept { return kind_; }
  /// The body where it is text; "" for streams and files.
  std::string_view body() const noexcept {
    if (kind_ == BodyKind::view) return view_;
    return kind_ == BodyKind::owned ? owned_.ops->view(owned_.text) : std::string_view{};
  }
  /// Replaces the body; see the constructor for lifetimes.
  void set_body(std::string_view body) noexcept;

  /// Made by `abort`: the error handler for its status runs.
  bool aborted() const noexcept { return aborted_; }
  void mark_aborted() noexcept { aborted_ = true; }
  /// Why it can't be sent: `no_memory` (503) or `invalid` (500).
  Error error() const noexcept { return headers_.error(); }
  /// Text without a field of its own, which can be sent.
  bool is_plain() const noexcept {
    return kind_ <= BodyKind::owned && headers_.empty() && headers_.error() == Error::none;
  }

  // For the library: bodies that are not text.

  std::coroutine_handle<detail::GeneratorPromise<std::string_view>> generator() const noexcept {
    return generator_.handle;
  }
  /// Takes what the generator has given into the answer.
  void append_piece(detail::Exchange& exchange) const noexcept { generator_.append_piece(exchange); }
  /// Part of an open file, or the pieces of `source` (then `size` is the whole body's).
  void set_file(FileReader&& file, std::uint64_t offset, std::uint64_t size,
                BodySource* source = nullptr) noexcept;
  FileReader& file() noexcept { return file_.file; }
  std::uint64_t file_offset() const noexcept { return file_.offset; }
  std::uint64_t file_size() const noexcept { return file_.size; }
  BodySource* source() const noexcept { return file_.source; }
  explicit Response(detail::FileRequest* request) noexcept;
  detail::FileRequest* file_request() const noexcept { return file_request_; }
  /// The beginning of a live stream, which is owned (null: it found no room): see <microdot/stream.hpp>.
  explicit Response(detail::StreamStart* stream, int status) noexcept;
  detail::StreamStart* stream() const noexcept { return stream_; }

 private:
  struct Prepared {};
  struct GeneratorBody {
    std::coroutine_handle<detail::GeneratorPromise<std::string_view>> handle;
    void (*append_piece)(detail::Exchange& exchange) noexcept;  // a part of programs that have generators
  };
  struct FileBody {
    FileReader file;
    std::uint64_t offset;
    std::uint64_t size;
    BodySource* source;
  };
  struct OwnedBody {
    alignas(void*) std::byte text[4 * sizeof(void*) > 24 ? 4 * sizeof(void*) : 24];
    const detail::OwnedBodyOps* ops;
  };

  Response(Prepared, int status, std::initializer_list<Header> headers) noexcept
      : status_code(status), kind_(BodyKind::view), view_() {
    for (const Header& field : headers) headers_.add(field.name, field.value);
  }

  template <typename T>
  static constexpr detail::OwnedBodyOps kOwnedOps = {
      .move =
          [](void* to, void* from) noexcept {
            ::new (to) T(std::move(*static_cast<T*>(from)));
            static_cast<T*>(from)->~T();
          },
      .destroy = [](void* body) noexcept { static_cast<T*>(body)->~T(); },
      .view = [](const void* body) noexcept { return std::string_view(*static_cast<const T*>(body)); },
  };

  void set_number(std::string_view name, std::int64_t value) noexcept;
  void take_body(Response& other) noexcept {
    if (other.kind_ == BodyKind::view) {
      // Nothing is owned, and there is nothing to be called. In two words, as it was just written.
      view_ = std::string_view(other.view_.data(), other.view_.size());
    } else {
      move_body(other);
    }
  }
  void move_body(Response& other) noexcept;
  void destroy_body() noexcept;

  BodyKind kind_;
  bool aborted_ = false;
  ResponseHeaders headers_;
  union {
    std::string_view view_;
    OwnedBody owned_;
    GeneratorBody generator_;
    FileBody file_;
    detail::FileRequest* file_request_;
    detail::StreamStart* stream_;
  };
};

/// Sends the client elsewhere. `url` may be relative (RFC 9110 10.2.2).
Response redirect(std::string_view url, int status = 302) noexcept;

/// Answers with a file, with ETag, Last-Modified, conditional and range requests (RFC 9110 13 and 14). `path`
/// and the option texts are copied. A missing file is a 404; so is one outside of the root.
///
///     return send_file(path, {.root = "static", .max_age = 86400});
Response send_file(std::string_view path, const SendFileOptions& options = {}) noexcept;

/// Ends the request with an error, through the error handler for `status` if there is one.
///
///     return abort(404);                          // in a handler
///     co_await abort(403, "members only");        // at any depth of coroutines
///     throw abort(400);                           // in plain functions, where exceptions are on
///
/// `reason` is the body where no error handler makes one; it is copied by `co_await`, else it must be static
/// or of the request.
class Abort {
 public:
  explicit Abort(int status, std::string_view reason = {}) noexcept : status_(status), reason_(reason) {}
  /// The text is copied into the request's memory; without room for it the reason is the status's own.
  template <typename String>
  requires std::same_as<String, std::string> Abort(int status, const String& reason)
  noexcept : status_(status), reason_(keep(reason)) {}
  int status_code() const noexcept { return status_; }
  std::string_view reason() const noexcept { return reason_; }
  operator Response() const noexcept;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const noexcept;
  void await_resume() const noexcept {}

 private:
  static std::string_view keep(std::string_view reason) noexcept;

  int status_;
  std::string_view reason_;
};

[[nodiscard]] inline Abort abort(int status, std::string_view reason = {}) noexcept {
  return Abort(status, reason);
}
template <typename String>
requires std::same_as<String, std::string>
[[nodiscard]] Abort abort(int status, const String& reason) noexcept { return Abort(status, reason); }

}  // namespace microdot::inline MICRODOT_ABI
