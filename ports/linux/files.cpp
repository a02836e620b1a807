#define _FILE_OFFSET_BITS 64  // files beyond 2 GiB on 32-bit systems
#include "files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
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

std::int64_t coarse_seconds() noexcept {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  return time.tv_sec;
}

std::int64_t change_time(const struct stat& status) noexcept {
  return std::int64_t{status.st_ctim.tv_sec} * 1'000'000'000 + status.st_ctim.tv_nsec;
}

}  // namespace

bool LinuxFiles::owns(const FileReader& file) noexcept { return file.files() == &system_port().files(); }

int LinuxFiles::open_root(std::string_view root, bool fresh) noexcept {
  const std::int64_t now = coarse_seconds();
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
  const int kept = root_.fd;
  if (!root.empty()) {
    if (const Error error = PathText::check(root); error != Error::none) return error;
    directory = open_root(root, false);
    if (directory < 0) return open_error(errno);
  }
  if (Shared* shared = find_shared(root, path)) {
    struct stat status;
    if (fstatat(directory, text.get(), &status, 0) == 0 && shared->is(status)) {
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
    if (fd < 0 && errno == ENOENT && directory == kept && root_was_replaced(root)) {
      directory = open_root(root, true);
      if (directory < 0) return open_error(errno);
      fd = open_beneath(directory, text.get());
    }
  }
  if (fd < 0) return open_error(errno);
  struct stat status;
  Result<File> file = adopt_file(*this, fd, status);
  if (in_batch_ && file) share(*file, root, path, status);
  return file;
}

// ---- Files of one batch ----

bool LinuxFiles::Shared::is(const struct stat& status) const noexcept {
  return status.st_ino == inode && status.st_dev == device && change_time(status) == changed &&
         status.st_mode == mode && status.st_uid == owner && status.st_gid == group &&
         static_cast<std::uint64_t>(status.st_size) == info.size;
}

LinuxFiles::Shared* LinuxFiles::find_shared(std::string_view root, std::string_view path) noexcept {
  for (std::size_t i = 0; i < shared_count_; ++i) {
    Shared& shared = shared_[i];
    if (shared.this_batch && shared.path_size == path.size() && shared.root_size == root.size() &&
        std::memcmp(shared.name + root.size(), path.data(), path.size()) == 0 &&
        std::memcmp(shared.name, root.data(), root.size()) == 0)
      return &shared;
  }
  return nullptr;
}

void LinuxFiles::share(const File& file, std::string_view root, std::string_view path,
                       const struct stat& status) noexcept {
  if (shared_count_ == kShared || root.size() + path.size() > sizeof Shared::name) return;
  Shared& shared = shared_[shared_count_++];
  shared.fd = static_cast<int>(file.handle());
  shared.users = 1;
  shared.this_batch = true;
  shared.root_size = root.copy(shared.name, root.size());
  shared.path_size = path.copy(shared.name + root.size(), path.size());
  shared.info = file.info();
  shared.device = status.st_dev;
  shared.inode = status.st_ino;
  shared.changed = change_time(status);
  shared.mode = status.st_mode;
  shared.owner = status.st_uid;
  shared.group = status.st_gid;
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

void LinuxFiles::close(Handle handle) noexcept {
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
}

Result<void> LinuxFiles::check_root(std::string_view root) noexcept { return check_directory(root); }

Result<std::size_t> LinuxFiles::read(Handle handle, std::uint64_t offset, std::span<char> buffer) noexcept {
  return read_at(static_cast<int>(handle), offset, buffer);
}

}  // namespace microdot::inline MICRODOT_ABI
