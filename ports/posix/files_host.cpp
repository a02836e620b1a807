#include <unistd.h>
#include <cerrno>

#include "files.hpp"
#include "ports/common/errors.hpp"
#include "ports/common/walk_beneath.hpp"

namespace microdot::inline MICRODOT_ABI {

Result<File> PosixFiles::open(std::string_view root, std::string_view path) noexcept {
  if (const Error error = PathText::check(path); error != Error::none) return error;
  const PathText text(path);
  int fd;
  if (root.empty()) {
    fd = open_plain(AT_FDCWD, text.get(), kFileFlags);
  } else {
    if (const Error error = PathText::check(root); error != Error::none) return error;
    const PathText root_text(root);
    const int directory = open_plain(AT_FDCWD, root_text.get(), kDirectoryFlags);
    if (directory < 0) return open_error(errno);
    fd = walk_beneath(directory, text.get(), kFileFlags);
    const int number = errno;
    ::close(directory);
    errno = number;
  }
  if (fd < 0) return open_error(errno);
  return adopt_file(*this, fd);
}

Result<void> PosixFiles::check_root(std::string_view root) noexcept { return check_directory(root); }

Result<std::size_t> PosixFiles::read(Handle handle, std::uint64_t offset, std::span<char> buffer) noexcept {
  return read_at(static_cast<int>(handle), offset, buffer);
}

void PosixFiles::close(Handle handle) noexcept { ::close(static_cast<int>(handle)); }

}  // namespace microdot::inline MICRODOT_ABI
