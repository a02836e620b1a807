#pragma once
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include <microdot/base/arena.hpp>
#include <microdot/base/format.hpp>
#include <microdot/base/result.hpp>
#include <microdot/handler.hpp>
#include <microdot/http/cookie.hpp>
#include <microdot/http/header_table.hpp>
#include <microdot/http/multi_dict.hpp>
#include <microdot/port/network.hpp>

namespace microdot::inline MICRODOT_ABI {

class App;
class RequestParser;

namespace detail {
class BodyReader;
template <typename T>
struct RequestJson;  // specialised by ext/json.hpp
}  // namespace detail

/// The body of a request as it comes. Bodies of up to `Limits::max_body_length` were read before the handler
/// ran and are given from memory; larger ones come from the client only as they are read here.
class RequestStream {
 public:
  /// Awaits body bytes; see `next` and `read`.
  class [[nodiscard]] Next {
   public:
    explicit Next(detail::BodyReader* reader) noexcept : reader_(reader) {}
    Next(const Next&) = delete;
    Next& operator=(const Next&) = delete;
    ~Next() {
      if (strand_ != nullptr) stop_waiting();
    }
    bool await_ready() const noexcept;
    void await_suspend(std::coroutine_handle<> handle) const noexcept;
    Result<std::string_view> await_resume() const noexcept;

   protected:
    detail::BodyReader* reader_;

   private:
    void stop_waiting() const noexcept;

    mutable Strand* strand_ = nullptr;  // that waits
  };
  class [[nodiscard]] Read : public Next {
   public:
    Read(detail::BodyReader* reader, std::span<char> buffer) noexcept : Next(reader), buffer_(buffer) {}
    Result<std::size_t> await_resume() const noexcept;

   private:
    std::span<char> buffer_;
  };

  /// `reader`: null for a request without a body.
  explicit RequestStream(detail::BodyReader* reader) noexcept : reader_(reader) {}

  /// `Result<std::string_view> part = co_await req.stream().next();` gives the next bytes without a copy,
  /// valid until the next call; an empty view is the end. Errors: `closed` (the client left), `timeout`,
  /// `too_large` (more than `max_content_length`), `invalid` (bad chunked coding).
  Next next() const noexcept { return Next(reader_); }
  /// The same, copied into `buffer`; gives the number of bytes, 0 at the end.
  Read read(std::span<char> buffer) const noexcept { return Read(reader_, buffer); }

 private:
  detail::BodyReader* reader_;
};

/// An HTTP request, as handlers see it. All views stay valid until its response is sent.
class Request {
 public:
  /// `body`: null for a live stream, which has none.
  Request(App& its_app, const RequestParser& parser, detail::BodyReader* body, Arena& arena,
          const Endpoint& client) noexcept;
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
  /// Runs what `on_end` and `g_emplace` left, in reverse order.
  ~Request();

  std::string_view method;        ///< "GET", "POST" …
  std::string_view url;           ///< The target as sent: path and query.
  std::string_view path;          ///< As sent, still percent-encoded, without query.
  std::string_view query_string;  ///< Without '?', still percent-encoded.
  std::string_view http_version;  ///< "1.1" or "1.0".
  std::string_view scheme;        ///< "http", or "https" behind TLS.
  std::string_view host;          ///< From the target or the Host field, with port.
  const HeaderTable& headers;     ///< `headers["Content-Type"]`: any case; "" if missing.
  MultiDict args;  ///< The query: `args["q"]`, `args.get<int>("page", 1)`, `args.getlist("x")`.
  Cookies cookies() const noexcept { return Cookies(headers["Cookie"]); }
  std::string_view content_type;
  std::uint64_t content_length;  ///< As declared; 0 if it was not (also for chunked bodies).
  Endpoint client_addr;
  App& app;
  std::string_view url_prefix;  ///< Where the router is mounted that handles this; "" for the app itself.
  std::string_view route;       ///< The pattern that matched, as declared; "" if none.

  /// The body, if it was small enough to be read before the handler ran (see `Limits::max_body_length`); else
  /// "".
  std::string_view body() const noexcept;
  /// False if the body is so large that only `stream()` gives it.
  bool body_kept() const noexcept;
  RequestStream stream() const noexcept { return RequestStream(body_); }
  /// The fields of an application/x-www-form-urlencoded body, and of a form that `with_form_data` has read
  /// (ext/multipart.hpp); null if the request has none.
  const MultiDict* form() noexcept;
  /// The parsed JSON body, by value: include <microdot/ext/json.hpp>. A null value if the request's type is
  /// not JSON (application/json, or anything with +json). A body that is not JSON, or is nested deeper than
  /// `kMaxJsonDepth`, is answered 400, one that was too large to be kept 413: with exceptions on, this
  /// throws; else it gives null, and the error replaces what the handler returns.
  template <typename Tag = void>
  auto json() {
    return detail::RequestJson<Tag>::parse(*this);
  }

  /// Text in the request's own memory, checked at compile time: `return req.format("{} °C", t);`. When there
  /// is no room the text is "" and the request is answered 503.
  template <typename... Args>
  std::string_view format(FormatString<Args...> text, const Args&... values) noexcept {
    const std::size_t size = format_to(arena_->rest(), text, values...);
    return keep_text(size);
  }
  /// A copy in the request's own memory; as `format` when there is no room.
  std::string_view copy(std::string_view text) noexcept;
  Arena& arena() const noexcept { return *arena_; }

  /// Makes the request's one object of type `T`, which hooks and handlers share; destroyed when the request
  /// ends, however it ends. Null when there is no room (then the request is answered 503).
  ///
  /// A WebSocket's or event stream's request goes on in other memory: there the object is moved (which must
  /// not throw), and views of the request that it holds, or pointers to it, are not valid any more. Keep
  /// copies, and ask for it by `g`.
  template <typename T, typename... Args>
  T* g_emplace(Args&&... arguments) {
    static_assert(alignof(T) <= Arena::kAlignment, "over-aligned objects are not supported");
    void* memory = take(sizeof(Global<T>));
    if (memory == nullptr) return nullptr;
    auto* entry = ::new (memory) Global<T>(InPlace{}, std::forward<Args>(arguments)...);
    push_global(*entry);
    push_end(*entry);
    return &entry->value;
  }
  /// The object made by `g_emplace<T>`, the latest if there are several; null if there is none.
  template <typename T>
  T* g() const noexcept {
    for (GlobalEntry* entry = globals_; entry != nullptr; entry = entry->next_global) {
      if (entry->key == type_key<T>()) return static_cast<T*>(entry->object);
    }
    return nullptr;
  }

  /// Calls `f()`, or `f(Request&)`, exactly once when the request has ended: answered, failed, or given up
  /// because the client left; of a live stream when that has ended. False when there is no room (then the
  /// request is answered 503, and `f` was not kept). What `f` throws is logged.
  ///
  /// With live streams `f` is moved, as objects of `g_emplace` are: let it take the request as its argument,
  /// and capture nothing of it.
  template <typename F>
  bool on_end(F f) {
    static_assert(alignof(F) <= Arena::kAlignment, "over-aligned closures are not supported");
    void* memory = take(sizeof(OnEnd<F>));
    if (memory == nullptr) return false;
    push_end(*::new (memory) OnEnd<F>(std::move(f)));
    return true;
  }

  /// Adds an after_request hook for this request only; it runs after the app's own. Called as `f(req, res)`;
  /// may be a coroutine, and may return a `Response` to replace the one it was given.
  template <typename F>
  void after_request(F f) {
    using Node = detail::HookFor<F, detail::CallKind::after>;
    void* memory = take(sizeof(Node));
    if (memory == nullptr) return;
    auto* node = ::new (memory) Node(std::move(f));
    void* end = take(sizeof(EndOfHook));
    if (end == nullptr) return node->destroy();
    push_end(*::new (end) EndOfHook(*node));
    detail::Callable** last = &after_request_;
    while (*last != nullptr) last = &(*last)->next;
    *last = node;
  }

  // For the library.

  /// What `form` gives from now on.
  void set_form(const MultiDict& fields) noexcept {
    form_ = fields;
    form_parsed_ = true;
  }
  detail::Callable* after_request_hooks() const noexcept { return after_request_; }
  /// `g_emplace`, `on_end` or `after_request` made something that lives as long as the request.
  bool has_objects() const noexcept { return ends_ != nullptr; }
  /// Something of the request could not be had: an error of this status replaces the handler's answer. The
  /// first one counts.
  void fail(int status) noexcept {
    if (failure_ == 0) failure_ = status;
  }
  /// Moves what `g_emplace` and `on_end` left to `to`, which goes on when this request has been answered.
  /// False if something finds no room there, or can't be moved.
  bool move_objects(Request& to) noexcept;
  /// `fail` was called, and that was not dealt with yet.
  bool has_failed() const noexcept { return failure_ != 0; }
  /// That status, 0 if there is none; it is dealt with once.
  int take_failure() noexcept { return std::exchange(failure_, 0); }

 private:
  struct EndEntry {
    virtual void run(Request& request) = 0;
    /// The same for `to`, and an end of this one; null if that can't be, `this` if it belongs here.
    virtual EndEntry* move_to(Request& to) = 0;
    EndEntry* next = nullptr;

   protected:
    ~EndEntry() = default;
  };
  struct GlobalEntry : EndEntry {
    const void* key = nullptr;
    void* object = nullptr;
    GlobalEntry* next_global = nullptr;

   protected:
    ~GlobalEntry() = default;
  };
  struct InPlace {};

  template <typename T>
  struct Global final : GlobalEntry {
    template <typename... Args>
    explicit Global(InPlace, Args&&... values) : value(make_value<T>(std::forward<Args>(values)...)) {
      this->key = type_key<T>();
      this->object = &value;
    }
    void run(Request&) override { this->~Global(); }
    EndEntry* move_to(Request& to) override {
      if constexpr (std::is_nothrow_move_constructible_v<T>) {
        void* memory = to.take(sizeof(Global));
        if (memory == nullptr) return nullptr;
        auto* moved = ::new (memory) Global(InPlace{}, std::move(value));
        to.push_global(*moved);
        this->~Global();
        return moved;
      } else {
        return nullptr;
      }
    }
    T value;
  };
  template <typename F>
  struct OnEnd final : EndEntry {
    explicit OnEnd(F&& closure) : call(std::move(closure)) {}
    void run(Request& request) override {
      const Destroy<OnEnd> destroy(*this);
      if constexpr (std::is_invocable_v<F&, Request&>) {
        call(request);
      } else {
        call();
      }
    }
    EndEntry* move_to(Request& to) override {
      if constexpr (std::is_nothrow_move_constructible_v<F>) {
        void* memory = to.take(sizeof(OnEnd));
        if (memory == nullptr) return nullptr;
        auto* moved = ::new (memory) OnEnd(std::move(call));
        this->~OnEnd();
        return moved;
      } else {
        return nullptr;
      }
    }
    F call;
  };
  struct EndOfHook final : EndEntry {
    explicit EndOfHook(detail::Callable& its_hook) noexcept : hook(&its_hook) {}
    void run(Request&) override { hook->destroy(); }
    EndEntry* move_to(Request&) override { return this; }
    detail::Callable* hook;
  };

  template <typename T>
  struct Destroy {
    explicit Destroy(T& its_object) noexcept : object(&its_object) {}
    Destroy(const Destroy&) = delete;
    Destroy& operator=(const Destroy&) = delete;
    ~Destroy() { object->~T(); }
    T* object;
  };

  // Aggregates too.
  template <typename T, typename... Args>
  static T make_value(Args&&... values) {
    if constexpr (std::is_constructible_v<T, Args...>) {
      return T(std::forward<Args>(values)...);
    } else {
      return T{std::forward<Args>(values)...};
    }
  }
  template <typename T>
  static const void* type_key() noexcept {
    static constexpr char kKey = 0;
    return &kKey;
  }
  void* take(std::size_t size) noexcept;
  void push_end(EndEntry& entry) noexcept { entry.next = std::exchange(ends_, &entry); }
  void push_global(GlobalEntry& entry) noexcept { entry.next_global = std::exchange(globals_, &entry); }
  std::string_view keep_text(std::size_t size) noexcept;
  MultiDict parse_pairs(std::string_view text, int status_if_full) noexcept;

  Arena* arena_;
  detail::BodyReader* body_;
  EndEntry* ends_ = nullptr;
  GlobalEntry* globals_ = nullptr;
  detail::Callable* after_request_ = nullptr;
  MultiDict form_;
  bool form_parsed_ = false;
  int failure_ = 0;
};

}  // namespace microdot::inline MICRODOT_ABI
