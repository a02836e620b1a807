#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include <microdot/port/file.hpp>

#include "file_cache.hpp"

namespace microdot::inline MICRODOT_ABI {

/// Files by openat2(2); on kernels without it, by a walk that never follows a link it has not read itself.
class LinuxFiles final : public Files {
 public:
  constexpr LinuxFiles() noexcept = default;

  Result<File> open(std::string_view root, std::string_view path) noexcept override;
  Result<void> check_root(std::string_view root) noexcept override;
  Result<std::size_t> read(Handle handle, std::uint64_t offset, std::span<char> buffer) noexcept override;
  std::span<const char> data(Handle handle) noexcept override;
  void close(Handle handle) noexcept override;

  /// Whether the file's handle is a descriptor of this thread's `LinuxFiles`.
  static bool owns(const FileReader& file) noexcept;
  /// At the beginning of the thread.
  void begin() noexcept { cache_.begin(); }
  /// The poller hands out a batch of events: until `end_batch` who asks for a file that was opened since has
  /// its descriptor too, if the system says that it is the same file, unchanged. That is one system call
  /// instead of three, where many ask for the same at once. No descriptor is kept longer, or there would be
  /// some of deleted files; what small files hold is (see `FileCache`).
  void begin_batch() noexcept { in_batch_ = true; }
  void end_batch() noexcept {
    in_batch_ = false;
    if (shared_count_ != 0) close_unused();
  }
  /// Closes what is kept for the rest of the batch and not in use; what is in use is shared no more. False:
  /// there was none to be closed.
  bool close_unused() noexcept;
  /// Gives back all that is kept, at the end of the thread.
  void close_kept() noexcept;

 private:
  /// A file that was opened in a batch.
  struct Shared {
    int fd = -1;
    std::uint32_t users = 0;
    bool this_batch = false;
    FileName name;
    FileInfo info;
    FileIdentity identity;
  };
  static constexpr std::size_t kShared = 4;

  /// Keeps the last root's descriptor for a second, which saves two system calls of five for each static
  /// file.
  struct Root {
    int fd = -1;
    std::int64_t opened = 0;  ///< Seconds.
    std::uint64_t inode = 0;
    std::size_t size = 0;
    char name[240] = {};
  };

  Result<File> open_once(std::string_view root, std::string_view path) noexcept;
  /// `now`: seconds of a clock that is never set.
  int open_root(std::string_view root, std::int64_t now, bool fresh) noexcept;
  /// The kept descriptor is of another directory than `root` names now.
  bool root_was_replaced(std::string_view root) const noexcept;
  int open_beneath(int root, const char* path) noexcept;
  void close_root() noexcept;
  Shared* find_shared(std::string_view root, std::string_view path) noexcept;
  /// The file is there for others in this batch, if there is room.
  void share(const File& file, std::string_view root, std::string_view path,
             const struct stat& status) noexcept;

  Root root_;
  FileCache cache_;
  std::array<Shared, kShared> shared_;
  std::size_t shared_count_ = 0;
  bool in_batch_ = false;
  bool openat2_missing_ = false;
};

}  // namespace microdot::inline MICRODOT_ABI
