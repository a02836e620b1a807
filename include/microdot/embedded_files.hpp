#pragma once
/// Files that are a part of the program, in read-only memory: what the CMake function `microdot_embed` makes
/// of a folder. They are served as others are, straight from where they lie:
///
///     #include "assets.hpp"  // microdot_embed(program static NAME assets URL /static)
///
///     app.static_files("/static", assets, {.immutable = true});
///     app.get("/", [](Request&) { return send_file("index.html", {.root = assets}); });
///     constexpr std::string_view kStyle = assets.url("style.css");  // "/static/style.css?v=3f2a9c01"

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>

#include <microdot/port/file.hpp>

namespace microdot::inline MICRODOT_ABI {

/// A file of an `EmbeddedFolder`.
struct EmbeddedFile {
  std::string_view name;  ///< Within its folder: "images/1.png".
  std::string_view url;   ///< With its version: "/static/images/1.png?v=3f2a9c01"; "" for made variants.
  std::string_view etag;  ///< Strong, of the content, with its quotes.
  std::string_view content;
  bool gzip = false;  ///< The content is compressed, and there is no other.
};

/// A folder of files in the program's memory. A constant: it needs neither RAM nor a constructor that runs.
class EmbeddedFolder {
 public:
  /// `files` must be sorted by name, byte by byte, and valid as long as they are served.
  constexpr explicit EmbeddedFolder(std::span<const EmbeddedFile> files) noexcept : files_(files) {}

  constexpr std::span<const EmbeddedFile> files() const noexcept { return files_; }
  /// The file of exactly this name, null if there is none.
  constexpr const EmbeddedFile* find(std::string_view name) const noexcept {
    const auto at = first_from(name);
    return at != files_.end() && at->name == name ? &*at : nullptr;
  }
  /// The URL of a file that names its version, so that clients may keep it for good; static text. "" if there
  /// is no such file: `static_assert(!assets.url("style.css").empty())`.
  constexpr std::string_view url(std::string_view name) const noexcept {
    // Not by `find`: with UBSan, GCC 12 takes no comparison of a pointer with null for a constant.
    const auto at = first_from(name);
    return at != files_.end() && at->name == name ? at->url : std::string_view{};
  }
  /// As `Files::open`. Errors: `not_found`, `is_directory`.
  Result<File> open(std::string_view name) const noexcept;

 private:
  constexpr std::span<const EmbeddedFile>::iterator first_from(std::string_view name) const noexcept {
    return std::lower_bound(
        files_.begin(), files_.end(), name,
        [](const EmbeddedFile& file, std::string_view wanted) { return file.name < wanted; });
  }

  std::span<const EmbeddedFile> files_;
};

/// Where files are looked for: a directory of the system, or an embedded folder (a constant of static
/// storage).
class FileRoot {
 public:
  constexpr FileRoot() noexcept = default;
  /// The directory's path; "" is none.
  template <std::convertible_to<std::string_view> Text>
  constexpr FileRoot(const Text& path) noexcept : path_(path) {}
  constexpr FileRoot(const EmbeddedFolder& folder) noexcept : folder_(&folder) {}
  FileRoot(const EmbeddedFolder&& temporary) = delete;

  constexpr bool empty() const noexcept { return folder_ == nullptr && path_.empty(); }
  constexpr std::string_view path() const noexcept { return path_; }
  /// Null for directories.
  constexpr const EmbeddedFolder* folder() const noexcept { return folder_; }
  /// The same with a copy of its path.
  constexpr FileRoot with_path(std::string_view path) const noexcept {
    FileRoot root = *this;
    root.path_ = path;
    return root;
  }

 private:
  std::string_view path_;
  const EmbeddedFolder* folder_ = nullptr;
};

}  // namespace microdot::inline MICRODOT_ABI
