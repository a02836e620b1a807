#include "router.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <microdot/http/url.hpp>
#include <microdot/limits.hpp>

#include "send_file.hpp"

namespace microdot::inline MICRODOT_ABI {

namespace detail {

struct Registry::Chunk {
  Chunk* next;
};

Registry::Registry() noexcept {
  grow_ = [](Registry& registry, std::size_t size) noexcept {
    constexpr std::size_t kHead = align_up(sizeof(Chunk));
    const std::size_t bytes = kHead + (size > 4096 ? size : 4096);
    auto* chunk = static_cast<Chunk*>(std::malloc(bytes));
    if (chunk == nullptr) return false;
    chunk->next = std::exchange(registry.chunks_, chunk);
    registry.block_ = {reinterpret_cast<std::byte*>(chunk) + kHead, bytes - kHead};
    registry.used_ = 0;
    return true;
  };
  release_ = [](Chunk* chunk) noexcept { std::free(chunk); };
}

Registry::~Registry() {
  while (chunks_ != nullptr) release_(std::exchange(chunks_, chunks_->next));
}

void* Registry::allocate(std::size_t size) noexcept {
  size = align_up(size);
  if (block_.size() - used_ < size && (grow_ == nullptr || !grow_(*this, size))) {
    overflowed_ = true;
    return nullptr;
  }
  void* memory = block_.data() + used_;
  used_ += size;
  return memory;
}

const char* Registry::overflow() const noexcept {
  if (!overflowed_) return nullptr;
  return grow_ != nullptr ? "no memory for the routes and hooks"
                          : "Limits::routes or Limits::handler_bytes is too small for the routes and hooks";
}

}  // namespace detail

using detail::RouteEntry;

namespace {

// Sets what the search goes by.
void set_shape(RouteEntry& entry) noexcept {
  using Shape = RouteEntry::Shape;
  const std::string_view pattern = entry.pattern;
  const std::size_t text = pattern.find_first_of("<%");
  entry.shape = text == std::string_view::npos ? Shape::literal : Shape::other;
  // A wrong pattern may begin with anything: then the App does not start.
  if (text == 0 || text > UINT16_MAX) return;
  PatternSegment segment;
  std::string_view rest = pattern.substr(text - 1);
  if (detail::take_segment(rest, segment) != PatternError::none || !segment.component || !rest.empty())
    return;
  entry.shape = segment.type == "path" ? Shape::rest : Shape::segment;
  entry.text_size = static_cast<std::uint16_t>(text);
}

}  // namespace

Router::~Router() {
  for (RouteEntry* entry = routes_; entry != nullptr;) {
    RouteEntry* next = entry->next;
    entry->~RouteEntry();
    entry = next;
  }
  while (owned_ != nullptr) std::exchange(owned_, owned_->next_owned)->destroy();
}

std::string_view Router::keep(std::string_view text) noexcept {
  auto* copy = static_cast<char*>(registry_.allocate(text.size()));
  if (copy == nullptr) return {};
  if (!text.empty()) std::memcpy(copy, text.data(), text.size());
  return {copy, text.size()};
}

MethodSet Router::parse_methods(std::string_view pattern,
                                std::initializer_list<const char*> methods) noexcept {
  MethodSet set;
  for (const char* name : methods) {
    const Method method = parse_method(name);
    if (method == Method::other && error_.reason == nullptr) error_ = {pattern, "unknown request method"};
    set.add(method);
  }
  return set;
}

void Router::append(RouteEntry& entry) noexcept {
  if (route_count_ == UINT16_MAX && error_.reason == nullptr)
    error_ = {entry.pattern, "a router has at most 65,535 routes"};
  entry.place = route_count_++;
  *last_route_ = &entry;
  last_route_ = &entry.next;
  RouteEntry** alike = entry.shape == RouteEntry::Shape::literal
                           ? &literals_[detail::literal_bucket(entry.pattern)]
                           : &others_;
  while (*alike != nullptr) alike = &(*alike)->next_alike;
  *alike = &entry;
}

void Router::add_route(std::string_view pattern, bool copy_pattern, const char* error, MethodSet methods,
                       detail::Callable& handler, Accepts accepts, const RouteOptions& options) noexcept {
  if (copy_pattern) pattern = keep(pattern);
  if (error != nullptr && error_.reason == nullptr) error_ = {pattern, error};
  void* memory = registry_.allocate(sizeof(RouteEntry));
  if (memory == nullptr) return;
  auto* entry = ::new (memory) RouteEntry(handler);
  entry->pattern = pattern;
  entry->methods = methods;
  entry->accepts = accepts;
  entry->max_active = options.max_active;
  set_shape(*entry);
  append(*entry);
}

void Router::static_files(RoutePrefix prefix, FileRoot root, const StaticFilesOptions& options) {
  if (prefix.error() != nullptr && error_.reason == nullptr) error_ = {prefix.text(), prefix.error()};
  void* entry_memory = registry_.allocate(sizeof(RouteEntry));
  void* directory_memory = registry_.allocate(sizeof(detail::StaticDirectory));
  if (entry_memory == nullptr || directory_memory == nullptr) return;
  auto* directory = ::new (directory_memory)
      detail::StaticDirectory{root.with_path(keep(root.path())), options, detail::serve_directory};
  auto* entry = ::new (entry_memory) RouteEntry(*directory);
  entry->pattern = prefix.is_runtime() ? keep(prefix.text()) : prefix.text();
  entry->methods = Method::get;
  append(*entry);
}

void Router::mount(Router& router, RoutePrefix prefix, const MountOptions& options) {
  if (prefix.error() != nullptr && error_.reason == nullptr) error_ = {prefix.text(), prefix.error()};
  if (&router == this) {
    if (error_.reason == nullptr) error_ = {prefix.text(), "a router can't be mounted in itself"};
    return;
  }
  void* memory = registry_.allocate(sizeof(RouteEntry));
  if (memory == nullptr) return;
  auto* entry = ::new (memory) RouteEntry(router);
  entry->pattern = prefix.is_runtime() ? keep(prefix.text()) : prefix.text();
  append(*entry);
  if (options.local) return;
  before_.splice(router.before_);
  after_.splice(router.after_);
  after_error_.splice(router.after_error_);
#if MICRODOT_EXCEPTIONS
  while (detail::Callable* handler = router.exceptions_.take_first()) {
    add_exception_handler(static_cast<detail::ExceptionHandler&>(*handler));
  }
#endif
  // In front of this router's own, in their order: the latest for a status counts.
  detail::ErrorEntry** last = &router.errors_;
  while (*last != nullptr) last = &(*last)->next;
  *last = errors_;
  errors_ = std::exchange(router.errors_, nullptr);
}

void Router::add_error(int status, detail::Callable& handler) noexcept {
  void* memory = registry_.allocate(sizeof(detail::ErrorEntry));
  if (memory == nullptr) return;
  errors_ = ::new (memory) detail::ErrorEntry{errors_, status, &handler};  // the latest for a status counts
}

#if MICRODOT_EXCEPTIONS
void Router::add_exception_handler(detail::ExceptionHandler& handler) noexcept {
  // Before the first one that would catch what this one is for: derived classes come before their bases.
  detail::Callable** at = exceptions_.first_link();
  while (*at != nullptr && !static_cast<detail::ExceptionHandler*>(*at)->catches_pointer(handler)) {
    at = &(*at)->next;
  }
  exceptions_.insert(at, handler);
}
#endif

RegistrationError Router::prepare(Files& files, std::size_t depth) noexcept {
  if (error_.reason != nullptr) return error_;
  if (const char* reason = registry_.overflow()) return {"", reason};
  for (RouteEntry* entry = routes_; entry != nullptr; entry = entry->next) {
    entry->requests = 0;
    if (entry->kind == RouteEntry::Kind::handler) {
      if (const char* reason = entry->regex.compile(entry->pattern)) return {entry->pattern, reason};
    }
    if (entry->kind == RouteEntry::Kind::directory && entry->directory->root.folder() == nullptr) {
      const std::string_view path = entry->directory->root.path();
      const Result<void> root = files.check_root(path);
      if (!root) return {path, to_string(root.error()).data()};
    }
    if (entry->kind == RouteEntry::Kind::mounted) {
      if (depth + 1 >= detail::kMaxMountDepth) {
        return {entry->pattern, "routers are mounted too deeply in each other, or in a circle"};
      }
      const RegistrationError error = entry->mounted->prepare(files, depth + 1);
      if (error.reason != nullptr) return error;
    }
  }
  return {};
}

void Router::visit_routes(const RouteVisitor& visitor, std::span<std::string_view> prefixes,
                          std::size_t depth) const {
  std::array<std::string_view, detail::kMaxMountDepth> its_prefixes;
  if (depth == 0) prefixes = its_prefixes;
  for (const RouteEntry* entry = routes_; entry != nullptr; entry = entry->next) {
    if (entry->kind != RouteEntry::Kind::mounted) {
      visitor.visit(visitor.context, {.prefixes = prefixes.first(depth),
                                      .pattern = entry->pattern,
                                      .methods = entry->methods,
                                      .directory = entry->kind == RouteEntry::Kind::directory,
                                      .requests = detail::load_shared(entry->requests)});
    } else if (depth + 1 < prefixes.size()) {
      prefixes[depth] = entry->pattern;
      entry->mounted->visit_routes(visitor, prefixes, depth + 1);
    }
  }
}

namespace detail {

namespace {

/// Takes the percent-encoding out of path arguments. What had to be copied is given back unless the route is
/// taken.
class DecodedArgs {
 public:
  DecodedArgs(PathArgs& args, Arena& arena) noexcept : args_(args) {
    for (std::size_t i = 0; i < args.count && error_ == Error::none; ++i) {
      if (args.values[i].find('%') != std::string_view::npos) error_ = decode(i, arena);
    }
  }
  DecodedArgs(const DecodedArgs&) = delete;
  DecodedArgs& operator=(const DecodedArgs&) = delete;
  ~DecodedArgs() {
    for (std::size_t i = args_.count; copied_ != 0 && i-- > 0;) {
      if ((copied_ & 1U << i) != 0) Arena::free(const_cast<char*>(args_.values[i].data()));
    }
  }

  Error error() const noexcept { return error_; }
  void keep() noexcept { copied_ = 0; }

 private:
  Error decode(std::size_t i, Arena& arena) noexcept {
    std::string_view& value = args_.values[i];
    auto* memory = static_cast<char*>(arena.allocate(value.size()));
    if (memory == nullptr) return Error::no_memory;
    copied_ |= 1U << i;
    const Result<std::string_view> decoded = percent_decode(value, {memory, value.size()});
    value = {memory, decoded ? decoded->size() : 0};
    return decoded.error();
  }

  PathArgs& args_;
  unsigned copied_ = 0;  // a bit for each value that lies in the arena
  Error error_ = Error::none;
};

}  // namespace

void RouteFinder::find(const Router& app, RouteMatch& match) noexcept {
  if (!search(app, path_, match, 0)) {
    // The path is known, but not with this method: whoever knows it handles the error.
    std::copy_n(method_mismatch_.routers.begin(), method_mismatch_.depth, match.routers.begin());
    match.depth = method_mismatch_.depth;
    if (match.depth == 0) match.routers[match.depth++] = &app;
  }
}

namespace {

// The same as `match_path`, where the path has no percent-encoding.
inline bool match_plain(const RouteEntry& entry, std::string_view path, PathArgs& args) noexcept {
  using Shape = RouteEntry::Shape;
  if (entry.shape == Shape::other) return match_path(entry.pattern, path, args);
  const std::size_t size = entry.text_size;
  if (path.size() <= size || !same_bytes(path.data(), entry.pattern.data(), size)) return false;
  path.remove_prefix(size);
  if (entry.shape == Shape::segment && path.find('/') != std::string_view::npos) return false;
  args.add(path);
  return true;
}

}  // namespace

// The entry has the path: whether it has the method too.
inline bool RouteFinder::take(RouteEntry& entry, std::string_view path, RouteMatch& match) noexcept {
  match.allowed.add(entry.methods);
  // Without a handler of its own, HEAD is GET (RFC 9110 9.3.2).
  if (!entry.methods.contains(method_) && !(method_ == Method::head && entry.methods.contains(Method::get))) {
    if (method_mismatch_.depth == 0) {
      std::copy_n(match.routers.begin(), match.depth, method_mismatch_.routers.begin());
      method_mismatch_.depth = match.depth;
    }
    return false;
  }
  match.entry = &entry;
  match.prefix = path_.substr(0, path_.size() - path.size());
  return true;
}

bool RouteFinder::search(const Router& router, std::string_view path, RouteMatch& match,
                         std::uint8_t depth) noexcept {
  match.routers[depth] = &router;
  match.depth = static_cast<std::uint8_t>(depth + 1);
  // A literal is its path, byte by byte; unless the path is percent-encoded, then all are taken apart in
  // turn.
  const auto same = [path](RouteEntry* entry) noexcept {
    while (entry != nullptr && !(path.size() == entry->pattern.size() &&
                                 same_bytes(path.data(), entry->pattern.data(), path.size())))
      entry = entry->next_alike;
    return entry;
  };
  RouteEntry* literal = same(router.literals_[literal_bucket(path)]);
  const bool encoded = literal == nullptr && path.find('%') != std::string_view::npos;
  RouteEntry* other = encoded ? router.routes_ : router.others_;
  while (literal != nullptr || other != nullptr) {
    if (literal != nullptr && (other == nullptr || literal->place < other->place)) {
      match.args.count = 0;
      if (take(*literal, path, match)) return true;
      literal = same(literal->next_alike);
      continue;
    }
    RouteEntry* const entry = std::exchange(other, encoded ? other->next : other->next_alike);
    std::string_view rest;
    if (entry->kind == RouteEntry::Kind::mounted) {
      if (depth + 1U < kMaxMountDepth && match_prefix(entry->pattern, path, rest) &&
          search(*entry->mounted, rest, match, static_cast<std::uint8_t>(depth + 1))) {
        return true;
      }
      match.depth = static_cast<std::uint8_t>(depth + 1);
      continue;
    }
    PathArgs& args = match.args;
    args.count = 0;
    // A directory has what lies below its prefix, and the prefix itself.
    const bool below = entry->kind == RouteEntry::Kind::directory && match_prefix(entry->pattern, path, rest);
    if (!below && !(encoded ? match_path(entry->pattern, path, args) : match_plain(*entry, path, args)))
      continue;
    DecodedArgs decoded(args, *arena_);
    if (decoded.error() == Error::no_memory) {
      match.out_of_memory = true;
      return true;
    }
    if (args.count != 0 && (decoded.error() != Error::none || !entry->accepts(entry->pattern, args) ||
                            !entry->regex.matches(args))) {
      continue;
    }
    if (!take(*entry, path, match)) continue;
    decoded.keep();
    match.rest = rest;
    return true;
  }
  return false;
}

}  // namespace detail

}  // namespace microdot::inline MICRODOT_ABI
