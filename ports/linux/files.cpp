#define _FILE_OFFSET_BITS 64  // files beyond 2 GiB on 32-bit systems
#include "files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <ctime>

#if __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#endif

#include <microdot/port/port.hpp>

#include "ports/common/errors.hpp"
#include "ports/common/files.hpp"
#include "ports/common/walk_beneath.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

std::int64_t seconds(clockid_t clock) noexcept {
  timespec time{};
  clock_gettime(clock, &time);
  return time.tv_sec;
}

}  // namespace

bool LinuxFiles::owns(const FileReader& file) noexcept {
  return file.files() == &system_port().files() && !FileCache::has(file.handle());
}

int LinuxFiles::open_root(std::string_view root, std::int64_t now, bool fresh) noexcept {
  if (root_.fd >= 0 && !fresh && now == root_.opened && root == std::string_view(root_.name, root_.size))
    return root_.fd;
  close_root();
  const PathText text(root);
  root_.fd = open_plain(AT_FDCWD, text.get(), kDirectoryFlags);
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

Result<File> LinuxFiles::open(std::string_view root, std::string_view path) noexcept {
  Result<File> file = open_once(root, path);
  if (file.error() == Error::no_descriptors && close_unused()) file = open_once(root, path);
  return file;
}

Result<File> LinuxFiles::open_once(std::string_view root, std::string_view path) noexcept {
  if (const Error error = PathText::check(path); error != Error::none) return error;
  const PathText text(path);
  int directory = AT_FDCWD;
  const int kept_root = root_.fd;
  const std::int64_t now = seconds(CLOCK_MONOTONIC_COARSE);
  if (!root.empty()) {
    if (const Error error = PathText::check(root); error != Error::none) return error;
    directory = open_root(root, now, false);
    if (directory < 0) return open_error(errno);
  }
  struct stat status;
  if (const FileIdentity* kept = cache_.find(root, path, now)) {
    if (fstatat(directory, text.get(), &status, 0) == 0 && FileIdentity(status) == *kept)
      return cache_.open(*this);
    cache_.forget();
  }
  if (Shared* shared = find_shared(root, path)) {
    if (fstatat(directory, text.get(), &status, 0) == 0 && FileIdentity(status) == shared->identity) {
      ++shared->users;
      return File(*this, shared->fd, shared->info);
    }
    shared->this_batch = false;
  }
  int fd;
  if (root.empty()) {
    fd = open_plain(directory, text.get(), kFileFlags);
  } else {
    fd = open_beneath(directory, text.get());
    if (fd < 0 && errno == ENOENT && directory == kept_root && root_was_replaced(root)) {
      directory = open_root(root, now, true);
      if (directory < 0) return open_error(errno);
      fd = open_beneath(directory, text.get());
    }
  }
  if (fd < 0) return open_error(errno);
  Result<File> file = adopt_file(*this, fd, status);
  if (!file) return file;
  if (std::optional<File> kept =
          cache_.keep(*this, fd, file->info(), status, root, path, {now, seconds(CLOCK_REALTIME_COARSE)}))
    return std::move(*kept);  // closes the descriptor
  if (in_batch_) share(*file, root, path, status);
  return file;
}

// ---- Files of one batch ----

LinuxFiles::Shared* LinuxFiles::find_shared(std::string_view root, std::string_view path) noexcept {
  for (std::size_t i = 0; i < shared_count_; ++i) {
    Shared& shared = shared_[i];
    if (shared.this_batch && shared.name.is(root, path)) return &shared;
  }
  return nullptr;
}

void LinuxFiles::share(const File& file, std::string_view root, std::string_view path,
                       const struct stat& status) noexcept {
  if (shared_count_ == kShared || !FileName::fits(root, path)) return;
  Shared& shared = shared_[shared_count_++];
  shared.name.set(root, path);
  shared.fd = static_cast<int>(file.handle());
  shared.users = 1;
  shared.this_batch = true;
  shared.info = file.info();
  shared.identity = FileIdentity(status);
}

bool LinuxFiles::close_unused() noexcept {
  bool closed = false;
  std::size_t count = 0;
  for (std::size_t i = 0; i < shared_count_; ++i) {
    if (shared_[i].users == 0) {
      ::close(shared_[i].fd);
      closed = true;
      continue;
    }
    if (shared_[i].users == 1) continue;  // its user closes it: long downloads take no place
    if (count != i) shared_[count] = shared_[i];
    shared_[count++].this_batch = false;
  }
  shared_count_ = count;
  return closed;
}

std::span<const char> LinuxFiles::data(Handle handle) noexcept {
  return FileCache::has(handle) ? cache_.data(handle) : std::span<const char>{};
}

void LinuxFiles::close(Handle handle) noexcept {
  if (FileCache::has(handle)) return cache_.close(handle);
  const auto fd = static_cast<int>(handle);
  for (std::size_t i = 0; i < shared_count_; ++i) {
    Shared& shared = shared_[i];
    if (shared.fd != fd) continue;
    if (--shared.users == 0 && !shared.this_batch) {
      ::close(fd);
      shared = shared_[--shared_count_];
    }
    return;
  }
  ::close(fd);
}

void LinuxFiles::close_kept() noexcept {
  close_root();
  close_unused();
  cache_.end();
}

Result<void> LinuxFiles::check_root(std::string_view root) noexcept { return check_directory(root); }

Result<std::size_t> LinuxFiles::read(Handle handle, std::uint64_t offset, std::span<char> buffer) noexcept {
  if (!FileCache::has(handle)) return read_at(static_cast<int>(handle), offset, buffer);
  const std::span<const char> all = cache_.data(handle);
  if (offset >= all.size()) return std::size_t{0};
  return std::string_view(all.data(), all.size()).copy(buffer.data(), buffer.size(), offset);
}

}  // namespace microdot::inline MICRODOT_ABI
