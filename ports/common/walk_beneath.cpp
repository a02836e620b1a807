#include "walk_beneath.hpp"

#include <unistd.h>
#include <cerrno>
#include <climits>
#include <cstring>

#include "errors.hpp"
#include "files.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

constexpr int kMaxLinks = 40;  // the kernel's own bound

/// Of an `openat` with O_NOFOLLOW that met a symbolic link; with O_DIRECTORY, of a file, too.
bool may_be_link(int number) noexcept {
#ifdef EFTYPE
  if (number == EFTYPE) return true;  // NetBSD
#endif
  return number == ELOOP || number == ENOTDIR || number == EMLINK;  // EMLINK: FreeBSD
}

/// Opens a path component by component. None is ever opened through a symbolic link: links are read and their
/// targets walked in turn, so that nothing leaves the root even while it changes.
class Walk {
 public:
  Walk(int root, int flags) noexcept : root_(root), flags_(flags) {}
  Walk(const Walk&) = delete;
  ~Walk() { set_directory(root_); }

  int open(const char* path) noexcept {
    if (*path == '\0') return fail(ENOENT);
    if (!prepend(path, std::strlen(path), false)) return -1;
    for (;;) {
      if (rest_[0] == '/') return fail(EXDEV);
      char name[NAME_MAX + 1];
      bool last;
      if (!take(name, last)) return -1;
      if (std::strcmp(name, "..") == 0) {
        if (!leave()) return -1;
        if (last) return reopen(".");
      } else if (name[0] == '\0' || std::strcmp(name, ".") == 0) {
        if (last) return reopen(".");
      } else {
        const int fd = openat(directory_, name, last ? flags_ | O_NOFOLLOW : kStep);
        if (fd >= 0 && last) return fd;
        if (fd >= 0) {
          if (!enter(fd, name)) return -1;
        } else if (may_be_link(errno)) {
          if (!follow(name, last)) return -1;
        } else {
          return -1;
        }
      }
    }
  }

 private:
  static constexpr int kStep = kDirectoryFlags | O_NOFOLLOW;

  static int fail(int number) noexcept {
    errno = number;
    return -1;
  }
  int reopen(const char* name) noexcept { return openat(directory_, name, flags_ | O_NOFOLLOW); }

  void set_directory(int fd) noexcept {
    const int saved = errno;
    if (directory_ != root_) close(directory_);
    directory_ = fd;
    errno = saved;
  }

  bool prepend(const char* text, std::size_t size, bool slash) noexcept {
    const std::size_t old = std::strlen(rest_);
    const std::size_t front = size + (slash ? 1 : 0);
    if (front + old >= sizeof rest_) return fail(ENAMETOOLONG) == 0;
    std::memmove(rest_ + front, rest_, old + 1);
    if (slash) rest_[size] = '/';
    std::memcpy(rest_, text, size);
    return true;
  }

  /// Takes the first component off the rest. A slash at the end leaves an empty last component: a directory.
  bool take(char (&name)[NAME_MAX + 1], bool& last) noexcept {
    const std::size_t size = std::strcspn(rest_, "/");
    if (size > NAME_MAX) return fail(ENAMETOOLONG) == 0;
    std::memcpy(name, rest_, size);
    name[size] = '\0';
    last = rest_[size] == '\0';
    std::size_t next = size;
    while (rest_[next] == '/') ++next;
    std::memmove(rest_, rest_ + next, std::strlen(rest_ + next) + 1);
    return true;
  }

  bool enter(int fd, const char* name) noexcept {
    const std::size_t size = std::strlen(name);
    if (inside_size_ + size + 1 >= sizeof inside_) {
      close(fd);
      return fail(ENAMETOOLONG) == 0;
    }
    set_directory(fd);
    std::memcpy(inside_ + inside_size_, name, size);
    inside_[inside_size_ + size] = '/';
    inside_size_ += size + 1;
    return true;
  }

  /// "..": walks down again from the root, along the directories that were entered.
  bool leave() noexcept {
    if (inside_size_ == 0) return fail(EXDEV) == 0;
    --inside_size_;
    while (inside_size_ != 0 && inside_[inside_size_ - 1] != '/') --inside_size_;
    set_directory(root_);
    for (std::size_t at = 0; at < inside_size_;) {
      const std::string_view left(inside_ + at, inside_size_ - at);
      const std::size_t size = left.find('/');
      char name[NAME_MAX + 1];
      name[left.copy(name, size)] = '\0';
      const int fd = openat(directory_, name, kStep);
      if (fd < 0) return false;
      set_directory(fd);
      at += size + 1;
    }
    return true;
  }

  bool follow(const char* name, bool last) noexcept {
    const int number = errno;
    char target[PATH_MAX];
    const ssize_t size = readlinkat(directory_, name, target, sizeof target);
    if (size < 0) return fail(errno == EINVAL ? number : errno) == 0;  // EINVAL: no link after all
    if (++links_ > kMaxLinks) return fail(ELOOP) == 0;
    if (size == 0) return fail(ENOENT) == 0;
    if (target[0] == '/') return fail(EXDEV) == 0;
    if (static_cast<std::size_t>(size) == sizeof target) return fail(ENAMETOOLONG) == 0;
    return prepend(target, static_cast<std::size_t>(size), !last);
  }

  int root_;
  int flags_;
  int directory_ = root_;
  int links_ = 0;
  std::size_t inside_size_ = 0;
  char inside_[PATH_MAX] = {};  ///< The directories entered, each with a slash.
  char rest_[2 * PATH_MAX] = {};
};

}  // namespace

int open_plain(int directory, const char* path, int flags) noexcept {
  int fd;
  do {
    fd = openat(directory, path, flags);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

int walk_beneath(int root, const char* path, int flags) noexcept { return Walk(root, flags).open(path); }

Result<void> check_directory(std::string_view root) noexcept {
  if (const Error error = PathText::check(root); error != Error::none) return error;
  const PathText text(root);
  const int fd = open_plain(AT_FDCWD, text.get(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno == ENOTDIR ? Error::not_found : open_error(errno);
  close(fd);
  return {};
}

}  // namespace microdot::inline MICRODOT_ABI
