#pragma once
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <microdot/port/file.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Which file it is, and which version of it, as far as the system tells.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t changed = 0;  ///< The inode's time of change, nanoseconds; many systems count it in ticks.
  mode_t mode = 0;           ///< So what a change of permissions changes is compared itself.
  uid_t owner = 0;
  gid_t group = 0;

  FileIdentity() noexcept = default;
  explicit FileIdentity(const struct stat& status) noexcept;
  bool operator==(const FileIdentity&) const noexcept = default;
};

/// The name that a file is asked for by, in memory of its own.
class FileName {
 public:
  static bool fits(std::string_view root, std::string_view path) noexcept {
    return root.size() + path.size() <= kBytes;
  }
  /// It must fit.
  void set(std::string_view root, std::string_view path) noexcept;
  bool is(std::string_view root, std::string_view path) const noexcept;

 private:
  static constexpr std::size_t kBytes = 160;

  std::uint8_t root_size_ = 0;
  std::uint8_t path_size_ = 0;
  char text_[kBytes] = {};
};

/// Small files in memory, for those who ask for them again: `kFiles` of up to `kFileBytes`. The addresses are
/// taken at the beginning, the memory behind them when a file is kept.
///
/// What is here is given out only after the system has said that the path still names this file, unchanged
/// (one call instead of three, and the bytes need not be read). Some changes it does not tell: those by
/// mmap(2), two within one tick of its clock, and on a network those that it has not heard of. So nothing is
/// kept of a file that has just been changed, and nothing for more than a second or two.
///
/// A file is kept when it is asked for the second time, and has its place as long as it is asked for every
/// second or two: one pass over many files drives out nothing.
class FileCache {
 public:
  static constexpr std::size_t kFiles = 64;
  static constexpr std::size_t kFileBytes = 32 * 1024;

  constexpr FileCache() noexcept = default;

  /// Without it, or without memory, nothing is kept.
  void begin() noexcept;
  /// At the end of the thread: gives the memory back, unless a file is still open.
  void end() noexcept;

  /// What the file was when it was kept; null if it is not here. If it is that still: `open`, else `forget`.
  /// `now`: seconds of a clock that is never set.
  const FileIdentity* find(std::string_view root, std::string_view path, std::int64_t now) noexcept;
  /// The file that was found last, for another user.
  File open(Files& files) noexcept;
  /// The file that was found last has changed.
  void forget() noexcept;
  struct Now {
    std::int64_t steady;  ///< As for `find`.
    std::int64_t wall;    ///< Seconds since 1970-01-01T00:00:00Z.
  };
  /// Reads a file that was just opened, `status` is what the system said of it. Nothing: it is not to be
  /// kept, or not yet. The descriptor stays the caller's.
  std::optional<File> keep(Files& files, int fd, const FileInfo& info, const struct stat& status,
                           std::string_view root, std::string_view path, const Now& now) noexcept;

  /// Whether it is a handle of a file that is here.
  static bool has(Files::Handle handle) noexcept { return handle < Files::kNone; }
  std::span<const char> data(Files::Handle handle) const noexcept;
  void close(Files::Handle handle) noexcept;

 private:
  struct Entry {
    FileName name;
    bool named = false;  ///< Is found under its name; what has changed is not, but may still be in use.
    std::uint32_t hash = 0;
    std::uint32_t users = 0;
    std::int64_t read = 0;  ///< When, in seconds; 0: it was asked for once, its content is not here.
    FileIdentity identity;
    FileInfo info;
  };
  struct Memory {
    Entry entries[kFiles];
    char bytes[kFiles][kFileBytes];
  };

  Entry* find_entry(std::string_view root, std::string_view path, std::uint32_t hash) noexcept;
  Entry* take_place(std::int64_t now) noexcept;
  Files::Handle handle_of(const Entry& entry) const noexcept {
    return Files::kNone - 1 - (&entry - memory_->entries);
  }
  static std::size_t index_of(Files::Handle handle) noexcept {
    return static_cast<std::size_t>(Files::kNone - 1 - handle);
  }
  char* bytes_of(const Entry& entry) noexcept { return memory_->bytes[&entry - memory_->entries]; }

  Memory* memory_ = nullptr;
  Entry* found_ = nullptr;
  std::size_t places_ = 0;  ///< Entries that have been used at all.
  std::size_t hand_ = 0;    ///< Where the next place is looked for.
};

}  // namespace microdot::inline MICRODOT_ABI
