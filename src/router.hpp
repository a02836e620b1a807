#pragma once
/// The entries of a router, and how a request finds its route.

#include <array>
#include <cstdint>
#include <string_view>

#include <microdot/base/shared.hpp>
#include <microdot/limits.hpp>
#include <microdot/router.hpp>

namespace microdot::inline MICRODOT_ABI::detail {

/// A directory that `static_files` serves: `serve` is `serve_directory`, which programs without one have no
/// part of.
struct StaticDirectory {
  FileRoot root;
  StaticFilesOptions options;
  Response (*serve)(const StaticDirectory& directory, std::string_view rest, Request& request) noexcept;
};

/// One of: a handler, a mounted router, a directory.
struct RouteEntry {
  enum class Kind : std::uint8_t { handler, mounted, directory };
  /// What the pattern consists of: most are found without looking at its text again.
  enum class Shape : std::uint8_t {
    literal,  // text alone
    segment,  // text, and a component that takes the one segment behind it
    rest,     // text, and a component that takes all behind it
    other,    // anything else: components in the middle, percent-encoding
  };

  explicit RouteEntry(Callable& its_handler) noexcept : kind(Kind::handler), handler(&its_handler) {}
  explicit RouteEntry(Router& router) noexcept : kind(Kind::mounted), mounted(&router) {}
  explicit RouteEntry(StaticDirectory& its_directory) noexcept
      : kind(Kind::directory), directory(&its_directory) {}

  RouteEntry* next = nullptr;
  RouteEntry* next_alike = nullptr;  // of the same bucket of literals, or among the others
  std::string_view pattern;          // a mount's or directory's prefix
  MethodSet methods;
  std::uint16_t max_active = 0;  // see RouteOptions
  std::uint16_t active = 0;
  Shape shape = Shape::other;
  Kind kind;
  std::uint16_t text_size = 0;  // the text of `segment` and `rest`
  std::uint16_t place = 0;      // in the order in which they were added
  std::uint32_t requests = 0;   // see RouteStats
  union {                       // as `kind` says
    Callable* handler;
    Router* mounted;
    StaticDirectory* directory;
  };
  bool (*accepts)(std::string_view pattern, const PathArgs& args) noexcept = nullptr;
  RouteRegex regex;

  /// One more request, of one of several workers or of the only one.
  void count_request(bool several_workers) noexcept {
    several_workers ? count_up_together(requests) : count_up(requests);
  }
};

static_assert(sizeof(RouteEntry) <= kRouteBytes);

/// Where a router has its literal routes with this text, among others: the end tells most of them apart.
inline std::size_t literal_bucket(std::string_view path) noexcept {
  std::size_t hash = path.size();
  if (hash > 1) {
    hash += static_cast<unsigned char>(path[path.size() - 1]) +
            10U * static_cast<unsigned char>(path[path.size() - 2]);
  }
  return hash % kLiteralBuckets;
}

struct ErrorEntry {
  ErrorEntry* next;
  int status;
  Callable* handler;
};

/// How deep routers may be mounted in each other, the app included.
inline constexpr std::size_t kMaxMountDepth = 6;

/// What was found for a request.
struct RouteMatch {
  RouteEntry* entry = nullptr;  // null: 404 or 405
  MethodSet allowed;            // methods that the path has
  PathArgs args;                // decoded
  std::string_view prefix;      // of the path, before the route's own pattern
  std::string_view rest;        // of the path, below a directory's prefix; "" for the prefix itself
  std::array<const Router*, kMaxMountDepth> routers;  // `depth` of them, from the app to the route's own
  std::uint8_t depth = 0;
  bool out_of_memory = false;  // decoded arguments found no room
};

/// Looks through a router and what is mounted in it.
class RouteFinder {
 public:
  RouteFinder(Method method, std::string_view path, Arena& arena) noexcept
      : method_(method), path_(path), arena_(&arena) {}
  /// `match` is as it was made.
  void find(const Router& app, RouteMatch& match) noexcept;

 private:
  bool search(const Router& router, std::string_view path, RouteMatch& match, std::uint8_t depth) noexcept;
  bool take(RouteEntry& entry, std::string_view path, RouteMatch& match) noexcept;

  struct Chain {
    std::array<const Router*, kMaxMountDepth> routers;
    std::uint8_t depth = 0;
  };

  Method method_;
  std::string_view path_;
  Arena* arena_;
  Chain method_mismatch_;  // the first router that has the path, but not with this method
};

}  // namespace microdot::inline MICRODOT_ABI::detail
