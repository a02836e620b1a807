#define _FILE_OFFSET_BITS 64  // files beyond 2 GiB on 32-bit systems
#include "files.hpp"

#include <unistd.h>
#include <cerrno>

namespace microdot::inline MICRODOT_ABI {

Result<File> adopt_file(Files& files, int fd, struct stat& status) noexcept {
  Error error = Error::none;
  if (fstat(fd, &status) != 0) {
    error = Error::io;
  } else if (S_ISDIR(status.st_mode)) {
    error = Error::is_directory;
  } else if (!S_ISREG(status.st_mode)) {
    error = Error::unsupported;
  }
  if (error != Error::none) {
    ::close(fd);
    return error;
  }
  FileInfo info;
  info.size = static_cast<std::uint64_t>(status.st_size);
#if defined(__APPLE__)
  info.modified = status.st_mtimespec.tv_sec;
  info.modified_nanos = static_cast<std::uint32_t>(status.st_mtimespec.tv_nsec);
#else
  info.modified = status.st_mtim.tv_sec;
  info.modified_nanos = static_cast<std::uint32_t>(status.st_mtim.tv_nsec);
#endif
  return File(files, fd, info);
}

#if MICRODOT_HOSTED
Result<std::size_t> read_at(int fd, std::uint64_t offset, std::span<char> buffer) noexcept {
  ssize_t size;
  do {
    size = pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(offset));
  } while (size < 0 && errno == EINTR);
  if (size < 0) return Error::io;
  return static_cast<std::size_t>(size);
}
#endif

}  // namespace microdot::inline MICRODOT_ABI
