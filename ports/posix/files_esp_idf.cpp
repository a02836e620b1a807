#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>
#include <cerrno>

#include "files.hpp"
#include "ports/common/errors.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

/// `root` and `path` as one name, without "." and "..": there are no links, so names alone decide what is
/// inside.
class PlainName {
 public:
  Error join(std::string_view root, std::string_view path) noexcept {
    if (!append(root)) return Error::not_found;
    if (root.empty()) return append(path) ? Error::none : Error::not_found;
    if (path.starts_with('/')) return Error::outside_root;
    if (path.empty() || path.ends_with('/')) return Error::not_found;
    while (!path.empty()) {
      const std::string_view name = path.substr(0, path.find('/'));
      path.remove_prefix(name.size() < path.size() ? name.size() + 1 : name.size());
      if (name == "..") {
        if (size_ == root.size()) return Error::outside_root;
        size_ = std::string_view(text_, size_).rfind('/');
      } else if (!name.empty() && name != "." && !(append("/") && append(name))) {
        return Error::not_found;
      }
    }
    return Error::none;
  }
  const char* get() noexcept {
    text_[size_] = '\0';
    return text_;
  }

 private:
  bool append(std::string_view text) noexcept {
    if (size_ + text.size() >= sizeof text_) return false;
    size_ += text.copy(text_ + size_, text.size());
    return true;
  }

  std::size_t size_ = 0;
  char text_[kPathBytes];
};

}  // namespace

Result<File> PosixFiles::open(std::string_view root, std::string_view path) noexcept {
  if (const Error error = PathText::check(path); error != Error::none) return error;
  if (const Error error = PathText::check(root); error != Error::none) return error;
  PlainName name;
  if (const Error error = name.join(root, path); error != Error::none) return error;
  const int fd = ::open(name.get(), O_RDONLY);
  if (fd < 0) return open_error(errno);
  return adopt_file(*this, fd);
}

Result<void> PosixFiles::check_root(std::string_view root) noexcept {
  if (const Error error = PathText::check(root); error != Error::none) return error;
  const PathText text(root);
  DIR* const directory = opendir(text.get());
  if (directory == nullptr) return Error::not_found;
  closedir(directory);
  return {};
}

// Not every file system of ESP-IDF has pread.
Result<std::size_t> PosixFiles::read(Handle handle, std::uint64_t offset, std::span<char> buffer) noexcept {
  const int fd = static_cast<int>(handle);
  if (lseek(fd, static_cast<off_t>(offset), SEEK_SET) < 0) return Error::io;
  const ssize_t size = ::read(fd, buffer.data(), buffer.size());
  if (size < 0) return Error::io;
  return static_cast<std::size_t>(size);
}

void PosixFiles::close(Handle handle) noexcept { ::close(static_cast<int>(handle)); }

}  // namespace microdot::inline MICRODOT_ABI
