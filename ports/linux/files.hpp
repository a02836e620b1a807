#pragma once
#include <cstddef>
#include <cstdint>

#include <microdot/port/file.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Files by openat2(2); on kernels without it, by a walk that never follows a link it has not read itself.
class LinuxFiles final : public Files {
 public:
  constexpr LinuxFiles() noexcept = default;

  Result<File> open(std::string_view root, std::string_view path) noexcept override;
  Result<void> check_root(std::string_view root) noexcept override;
  Result<std::size_t> read(Handle handle, std::uint64_t offset, std::span<char> buffer) noexcept override;
  void close(Handle handle) noexcept override;

  /// Whether the file's handle is a descriptor that a `LinuxFiles` of any thread opened.
  static bool owns(const FileReader& file) noexcept;
  /// Closes the root's descriptor that is kept, at the end of the thread.
  void close_root() noexcept;

 private:
  /// Keeps the last root's descriptor for a second, which saves two system calls of five for each static
  /// file.
  struct Root {
    int fd = -1;
    std::int64_t opened = 0;  ///< Seconds.
    std::uint64_t inode = 0;
    std::size_t size = 0;
    char name[240] = {};
  };

  int open_root(std::string_view root, bool fresh) noexcept;
  /// The kept descriptor is of another directory than `root` names now.
  bool root_was_replaced(std::string_view root) const noexcept;
  int open_beneath(int root, const char* path) noexcept;

  Root root_;
  bool openat2_missing_ = false;
};

}  // namespace microdot::inline MICRODOT_ABI
