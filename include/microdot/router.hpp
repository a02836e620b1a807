#pragma once
#include <array>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include <microdot/handler.hpp>
#include <microdot/http/method.hpp>
#include <microdot/request.hpp>
#include <microdot/route.hpp>
#include <microdot/stats.hpp>

namespace microdot::inline MICRODOT_ABI {

/// How a sub-application is mounted.
struct MountOptions {
  /// Its hooks and error handlers apply to its own routes only. Otherwise they apply to the whole
  /// application.
  bool local = false;
};

/// How a directory is served: `send_file`'s options, and the name that stands for a directory.
struct StaticFilesOptions {
  std::int64_t max_age = -1;  ///< Seconds for `Cache-Control: max-age`; negative: none.
  bool immutable = false;     ///< The URLs are versioned: clients need never ask again.
  bool precompressed = true;  ///< `file.br` and `file.gz` are sent where they exist and are accepted.
  std::string_view index = "index.html";  ///< Served for a directory's URL, which ends in '/'.
};

namespace detail {

/// Where routes, hooks and their closures lie: a fixed block (devices), or chunks from the heap (hosts).
class Registry {
 public:
  /// Fixed memory; what does not fit is not registered, and the App refuses to start.
  explicit Registry(std::span<std::byte> block) noexcept : block_(block) {}
  /// Memory from the heap.
  Registry() noexcept;
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;
  ~Registry();

  /// Null when there is no room.
  void* allocate(std::size_t size) noexcept;
  /// What was too small for something that was registered; null if nothing was.
  const char* overflow() const noexcept;

 private:
  struct Chunk;
  using Grow = bool (*)(Registry& registry, std::size_t size) noexcept;
  using Release = void (*)(Chunk* chunk) noexcept;

  std::span<std::byte> block_;
  std::size_t used_ = 0;
  Chunk* chunks_ = nullptr;
  Grow grow_ = nullptr;
  Release release_ = nullptr;
  bool overflowed_ = false;
};

/// Callables in the order in which they were added. They belong to the router they were registered with,
/// which need not be the one whose list they are in.
class CallableList {
 public:
  CallableList() noexcept = default;
  CallableList(const CallableList&) = delete;
  CallableList& operator=(const CallableList&) = delete;
  void add(Callable& callable) noexcept {
    *last_ = &callable;
    last_ = &callable.next;
  }
  /// Inserts behind a link of this list.
  void insert(Callable** at, Callable& callable) noexcept {
    callable.next = std::exchange(*at, &callable);
    if (callable.next == nullptr) last_ = &callable.next;
  }
  void splice(CallableList& other) noexcept {
    if (other.first_ == nullptr) return;
    *last_ = std::exchange(other.first_, nullptr);
    last_ = std::exchange(other.last_, &other.first_);
  }
  /// Null when there is none.
  Callable* take_first() noexcept {
    Callable* const callable = first_;
    if (callable != nullptr) first_ = callable->next;
    if (first_ == nullptr) last_ = &first_;
    return callable;
  }
  Callable* first() const noexcept { return first_; }
  Callable** first_link() noexcept { return &first_; }

 private:
  Callable* first_ = nullptr;
  Callable** last_ = &first_;
};

struct RouteEntry;
struct ErrorEntry;
class Dispatch;
class RouteFinder;

/// Lists of routes without arguments, by a hash of their text. On devices, which have few, a pointer counts.
inline constexpr std::size_t kLiteralBuckets = MICRODOT_HOSTED ? 64 : 8;

}  // namespace detail

/// What one route may use.
struct RouteOptions {
  /// Requests that it handles at the same time, until their answers are sent; one more is answered 503 with
  /// `Retry-After`. 0: as many as there are exchanges.
  std::uint16_t max_active = 0;
};

/// Why a route can't be served, for the message at start.
struct RegistrationError {
  std::string_view subject;  ///< The pattern, prefix or directory.
  const char* reason = nullptr;
};

/// Routes, hooks and error handlers. An `App` is one; others are mounted in it:
///
///     Router users;
///     users.get("/<int:id>", [](Request&, int id) { … });
///     app.mount(users, "/users");
///
/// A mounted router must live as long as the app is served. Patterns are looked at in the order in which they
/// were added.
class Router {
 public:
  Router() noexcept = default;
  /// All that is registered must fit in `block`; nothing comes from the heap.
  explicit Router(std::span<std::byte> block) noexcept : registry_(block) {}
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;
  ~Router();

  /// Adds a handler for a pattern and some methods. `handler` is called as `f(req, path arguments…)`; it may
  /// be a coroutine; see `Response` for what it may return. The pattern is checked at compile time against
  /// its signature. `options` may limit it: `app.get("/camera", handler, {.max_active = 1})`.
  template <typename F>
  void route(std::type_identity_t<RoutePattern<std::decay_t<F>>> pattern, MethodSet methods, F&& handler,
             const RouteOptions& options = {}) {
    add_handler(pattern, methods, std::forward<F>(handler), options);
  }
  /// Method names as text: `app.route("/both", {"GET", "POST"}, handler)`.
  template <typename F>
  void route(std::type_identity_t<RoutePattern<std::decay_t<F>>> pattern,
             std::initializer_list<const char*> methods, F&& handler, const RouteOptions& options = {}) {
    add_handler(pattern, parse_methods(pattern.text(), methods), std::forward<F>(handler), options);
  }
  /// For GET.
  template <typename F>
  requires(!std::convertible_to<F, MethodSet>) void route(
      std::type_identity_t<RoutePattern<std::decay_t<F>>> pattern, F&& handler,
      const RouteOptions& options = {}) {
    add_handler(pattern, Method::get, std::forward<F>(handler), options);
  }
  /// For GET, and HEAD with it.
  template <typename F>
  void get(std::type_identity_t<RoutePattern<std::decay_t<F>>> pattern, F&& handler,
           const RouteOptions& options = {}) {
    add_handler(pattern, Method::get, std::forward<F>(handler), options);
  }
  template <typename F>
  void post(std::type_identity_t<RoutePattern<std::decay_t<F>>> pattern, F&& handler,
            const RouteOptions& options = {}) {
    add_handler(pattern, Method::post, std::forward<F>(handler), options);
  }
  template <typename F>
  void put(std::type_identity_t<RoutePattern<std::decay_t<F>>> pattern, F&& handler,
           const RouteOptions& options = {}) {
    add_handler(pattern, Method::put, std::forward<F>(handler), options);
  }
  template <typename F>
  void patch(std::type_identity_t<RoutePattern<std::decay_t<F>>> pattern, F&& handler,
             const RouteOptions& options = {}) {
    add_handler(pattern, Method::patch, std::forward<F>(handler), options);
  }
  template <typename F>
  void delete_(std::type_identity_t<RoutePattern<std::decay_t<F>>> pattern, F&& handler,
               const RouteOptions& options = {}) {
    add_handler(pattern, Method::delete_, std::forward<F>(handler), options);
  }
  /// Replaces the automatic answer to OPTIONS.
  template <typename F>
  void options(std::type_identity_t<RoutePattern<std::decay_t<F>>> pattern, F&& handler,
               const RouteOptions& route_options = {}) {
    add_handler(pattern, Method::options, std::forward<F>(handler), route_options);
  }

  /// Serves the files below directory `root` at `prefix`: `app.static_files("/static", "static", {.max_age =
  /// 86400})`, or those of an `EmbeddedFolder`. The texts must stay valid (literals). Nothing outside of
  /// `root` can be reached. A missing root is an error at start.
  void static_files(RoutePrefix prefix, FileRoot root, const StaticFilesOptions& options = {});

  /// Before each matched request, in order: `f(req)`; a hook that gives a response
  /// (`std::optional<Response>`) ends the request with it.
  template <typename F>
  void before_request(F&& hook) {
    add_hook<detail::CallKind::before>(before_, std::forward<F>(hook));
  }
  /// After each matched request whose handler or before hook answered: `f(req, res)` may change `res`, or
  /// return a `Response` to replace it.
  template <typename F>
  void after_request(F&& hook) {
    add_hook<detail::CallKind::after>(after_, std::forward<F>(hook));
  }
  /// The same after error answers: 404, 405, 413, `abort`, exceptions.
  template <typename F>
  void after_error_request(F&& hook) {
    add_hook<detail::CallKind::after>(after_error_, std::forward<F>(hook));
  }
  /// Makes the answer for an error status: `f(req)`, which may return what handlers may. As theirs, text
  /// alone is sent with 200: name the status, `return Response("no such page", 404)`. A handler that returns
  /// nothing leaves the usual answer. The latest for a status counts.
  template <typename F>
  void errorhandler(int status, F&& handler) {
    using Node = detail::HookFor<std::decay_t<F>, detail::CallKind::error>;
    if (Node* node = make<Node>(std::forward<F>(handler))) add_error(status, *node);
  }
#if MICRODOT_EXCEPTIONS
  /// Makes the answer for exceptions of class `E` and classes derived from it, unless there is a handler for
  /// a class nearer to the exception's: `f(req, const E&)`.
  template <typename E, typename F>
  void errorhandler(F&& handler) {
    using Node = detail::ExceptionHandlerFor<E, std::decay_t<F>>;
    if (Node* node = make<Node>(std::forward<F>(handler))) add_exception_handler(*node);
  }
#else
  /// Without exceptions nothing is thrown, so `handler` is never called.
  template <typename E, typename F>
  void errorhandler(F&&) {}
#endif

  /// Serves `router`'s routes below `prefix` ("" for none). See `MountOptions`; it must live as
  /// long as this one is served.
  void mount(Router& router, RoutePrefix prefix = "", const MountOptions& options = {});
  void mount(Router&& router, RoutePrefix prefix = "", const MountOptions& options = {}) = delete;

  /// Calls `f(const RouteStats&)` for each route in the order in which they are looked at, those of mounted
  /// routers in their place.
  template <typename F>
  void for_each_route(F&& f) const {
    using Function = std::remove_reference_t<F>;
    visit_routes({.context = std::addressof(f), .visit = [](const void* context, const RouteStats& route) {
                    (*static_cast<Function*>(const_cast<void*>(context)))(route);
                  }});
  }

  // For the library.

  /// Prepares the routes for matching. Gives the first thing that is wrong with them, if any.
  RegistrationError prepare(Files& files, std::size_t depth = 0) noexcept;

 protected:
  /// Keeps a closure as a `Node` until the router goes; null when the registry is full.
  template <typename Node, typename F>
  Node* make(F&& f) {
    static_assert(alignof(Node) <= alignof(std::max_align_t), "over-aligned closures are not supported");
    void* memory = registry_.allocate(sizeof(Node));
    if (memory == nullptr) return nullptr;
    auto* node = ::new (memory) Node(std::forward<F>(f));
    node->next_owned = std::exchange(owned_, node);
    return node;
  }

 private:
  friend class detail::RouteFinder;
  friend class detail::Dispatch;

  template <typename F>
  void add_handler(const RoutePattern<std::decay_t<F>>& pattern, MethodSet methods, F&& handler,
                   const RouteOptions& options) {
    using Node = detail::RouteHandlerFor<std::decay_t<F>>;
    Node* node = make<Node>(std::forward<F>(handler));
    if (node == nullptr) return;
    add_route(pattern.text(), pattern.is_runtime(), pattern.error(), methods, *node,
              HandlerTraits<std::decay_t<F>>::kArgs == 0 ? nullptr : &accepts<std::decay_t<F>>, options);
  }
  template <detail::CallKind kKind, typename F>
  void add_hook(detail::CallableList& list, F&& hook) {
    using Node = detail::HookFor<std::decay_t<F>, kKind>;
    if (Node* node = make<Node>(std::forward<F>(hook))) list.add(*node);
  }

  using Accepts = bool (*)(std::string_view pattern, const PathArgs& args) noexcept;
  MethodSet parse_methods(std::string_view pattern, std::initializer_list<const char*> methods) noexcept;
  void add_route(std::string_view pattern, bool copy_pattern, const char* error, MethodSet methods,
                 detail::Callable& handler, Accepts accepts, const RouteOptions& options) noexcept;
  struct RouteVisitor {
    const void* context;
    void (*visit)(const void* context, const RouteStats& route);
  };
  void visit_routes(const RouteVisitor& visitor, std::span<std::string_view> prefixes = {},
                    std::size_t depth = 0) const;
  void append(detail::RouteEntry& entry) noexcept;
  void add_error(int status, detail::Callable& handler) noexcept;
  std::string_view keep(std::string_view text) noexcept;
#if MICRODOT_EXCEPTIONS
  void add_exception_handler(detail::ExceptionHandler& handler) noexcept;
#endif

  detail::Registry registry_;
  detail::Stored* owned_ = nullptr;
  detail::RouteEntry* routes_ = nullptr;
  detail::RouteEntry** last_route_ = &routes_;
  // The same routes again, so that a request need not look at them all: literal ones by their text, and the
  // others.
  std::array<detail::RouteEntry*, detail::kLiteralBuckets> literals_{};
  detail::RouteEntry* others_ = nullptr;
  std::uint16_t route_count_ = 0;
  detail::ErrorEntry* errors_ = nullptr;
  detail::CallableList before_;
  detail::CallableList after_;
  detail::CallableList after_error_;
  detail::CallableList exceptions_;  // most derived first
  RegistrationError error_;
};

}  // namespace microdot::inline MICRODOT_ABI
