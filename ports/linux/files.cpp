#define _FILE_OFFSET_BITS 64  // files beyond 2 GiB on 32-bit systems
#include "files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <climits>
#include <ctime>

#if __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#endif

#include <microdot/port/port.hpp>

namespace microdot::inline MICRODOT_ABI {
namespace {

// O_NONBLOCK: opening a FIFO must not wait for a writer.
constexpr int kFileFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_LARGEFILE;

Error open_error(int number) noexcept {
  switch (number) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case EINVAL:
    case EILSEQ: return Error::not_found;
    case EACCES:
    case EPERM: return Error::permission;
    case EXDEV: return Error::outside_root;
    case EISDIR: return Error::is_directory;
    case ENXIO:
    case ENODEV: return Error::unsupported;  // a socket or a device without driver
    case EMFILE:
    case ENFILE: return Error::no_descriptors;
    case ENOMEM:
    case ENOBUFS: return Error::no_memory;
    default: return Error::io;
  }
}

/// A path as the system wants it.
class PathText {
 public:
  explicit PathText(std::string_view path) noexcept {
    if (path.size() < sizeof text_) text_[path.copy(text_, path.size())] = '\0';
  }
  static Error check(std::string_view path) noexcept {
    if (path.find('\0') != path.npos) return Error::outside_root;
    return path.size() < PATH_MAX ? Error::none : Error::not_found;
  }
  const char* get() const noexcept { return text_; }

 private:
  char text_[PATH_MAX];
};

int open_plain(int directory, const char* path, int flags) noexcept {
  int fd;
  do {
    fd = openat(directory, path, flags);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

std::int64_t coarse_seconds() noexcept {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  return time.tv_sec;
}

}  // namespace

bool LinuxFiles::owns(const File& file) noexcept { return file.files() == &system_port().files(); }

int LinuxFiles::open_root(std::string_view root, bool fresh) noexcept {
  const std::int64_t now = coarse_seconds();
  if (root_.fd >= 0 && !fresh && now == root_.opened && root == std::string_view(root_.name, root_.size))
    return root_.fd;
  close_root();
  const PathText text(root);
  root_.fd = open_plain(AT_FDCWD, text.get(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct stat status;
  const bool known = root_.fd >= 0 && fstat(root_.fd, &status) == 0;
  root_.inode = known ? status.st_ino : 0;
  const bool kept = known && root.size() <= sizeof root_.name;
  root_.size = kept ? root.copy(root_.name, root.size()) : 0;
  root_.opened = kept ? now : -1;
  return root_.fd;
}

bool LinuxFiles::root_was_replaced(std::string_view root) const noexcept {
  const PathText text(root);
  struct stat status;
  const bool same = stat(text.get(), &status) == 0 && status.st_ino == root_.inode;
  errno = ENOENT;  // what the caller was told
  return !same;
}

void LinuxFiles::close_root() noexcept {
  if (root_.fd >= 0) ::close(root_.fd);
  root_.fd = -1;
}

int LinuxFiles::open_beneath(int root, const char* path) noexcept {
#if defined(SYS_openat2) && defined(RESOLVE_BENEATH)
  if (!openat2_missing_) {
    open_how how{};
    how.flags = kFileFlags;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    for (int tries = 0;;) {
      const long fd = syscall(SYS_openat2, root, path, &how, sizeof how);
      if (fd >= 0) return static_cast<int>(fd);
      if (errno == EINTR) continue;
      if (errno == EAGAIN && ++tries < 100) continue;  // a rename elsewhere while ".." was resolved
      if (errno == ENOSYS) openat2_missing_ = true;
      if (errno == ENOSYS || errno == EPERM) break;  // EPERM: what some containers answer to unknown calls
      return -1;
    }
  }
#endif
  return walk_beneath(root, path, kFileFlags);
}

Result<File> LinuxFiles::adopt(int fd) noexcept {
  struct stat status;
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
  info.modified = status.st_mtim.tv_sec;
  info.modified_nanos = static_cast<std::uint32_t>(status.st_mtim.tv_nsec);
  return File(*this, fd, info);
}

Result<File> LinuxFiles::open(std::string_view root, std::string_view path) noexcept {
  if (const Error error = PathText::check(path); error != Error::none) return error;
  const PathText text(path);
  int fd;
  if (root.empty()) {
    fd = open_plain(AT_FDCWD, text.get(), kFileFlags);
  } else {
    if (const Error error = PathText::check(root); error != Error::none) return error;
    const int kept = root_.fd;
    int directory = open_root(root, false);
    if (directory < 0) return open_error(errno);
    fd = open_beneath(directory, text.get());
    if (fd < 0 && errno == ENOENT && directory == kept && root_was_replaced(root)) {
      directory = open_root(root, true);
      if (directory < 0) return open_error(errno);
      fd = open_beneath(directory, text.get());
    }
  }
  if (fd < 0) return open_error(errno);
  return adopt(fd);
}

Result<void> LinuxFiles::check_root(std::string_view root) noexcept {
  if (const Error error = PathText::check(root); error != Error::none) return error;
  const PathText text(root);
  const int fd = open_plain(AT_FDCWD, text.get(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno == ENOTDIR ? Error::not_found : open_error(errno);
  ::close(fd);
  return {};
}

Result<std::size_t> LinuxFiles::read(Handle handle, std::uint64_t offset, std::span<char> buffer) noexcept {
  ssize_t size;
  do {
    size = pread(static_cast<int>(handle), buffer.data(), buffer.size(), static_cast<off_t>(offset));
  } while (size < 0 && errno == EINTR);
  if (size < 0) return Error::io;
  return static_cast<std::size_t>(size);
}

void LinuxFiles::close(Handle handle) noexcept { ::close(static_cast<int>(handle)); }

}  // namespace microdot::inline MICRODOT_ABI
