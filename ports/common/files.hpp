#pragma once
#include <sys/stat.h>

#include <climits>
#include <string_view>

#include <microdot/port/file.hpp>

namespace microdot::inline MICRODOT_ABI {

#if MICRODOT_HOSTED && defined(PATH_MAX)
inline constexpr std::size_t kPathBytes = PATH_MAX;
#else
inline constexpr std::size_t kPathBytes = 256;
#endif

/// A path as the system wants it.
class PathText {
 public:
  explicit PathText(std::string_view path) noexcept {
    if (path.size() < sizeof text_) text_[path.copy(text_, path.size())] = '\0';
  }
  static Error check(std::string_view path) noexcept {
    if (path.find('\0') != path.npos) return Error::outside_root;
    return path.size() < kPathBytes ? Error::none : Error::not_found;
  }
  const char* get() const noexcept { return text_; }

 private:
  char text_[kPathBytes];
};

/// A `File` of `files` for the descriptor, if that is a regular file; else it is closed. `status`: what the
/// system says of it.
Result<File> adopt_file(Files& files, int fd, struct stat& status) noexcept;
inline Result<File> adopt_file(Files& files, int fd) noexcept {
  struct stat status;
  return adopt_file(files, fd, status);
}

/// See `Files::read`.
Result<std::size_t> read_at(int fd, std::uint64_t offset, std::span<char> buffer) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
