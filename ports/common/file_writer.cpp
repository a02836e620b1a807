#define _FILE_OFFSET_BITS 64  // files beyond 2 GiB on 32-bit systems
#include <microdot/port/file_writer.hpp>

#include <fcntl.h>
#include <stdio.h>  // renameat
#include <sys/stat.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>

#include <microdot/base/format.hpp>

#include "errors.hpp"
#include "files.hpp"
#include "walk_beneath.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

/// What a file is called until it is complete: by the process and a number, for no other process has its
/// number now, and what is left of one that had is out of the way of O_EXCL.
class PartName {
 public:
  explicit PartName(unsigned number) noexcept {
    text_[format_to({text_, sizeof text_ - 1}, ".microdot-{}-{}.part", getpid(), number)] = '\0';
  }
  const char* get() const noexcept { return text_; }

 private:
  char text_[64];
};

}  // namespace

FileWriter::~FileWriter() {
  if (file_ >= 0) {
    ::close(file_);
    ::unlinkat(directory_, PartName(number_).get(), 0);
  }
  if (directory_ >= 0) ::close(directory_);
}

bool FileWriter::is_directory(std::string_view path) noexcept {
  if (PathText::check(path) != Error::none) return false;
  struct stat status;
  return ::stat(PathText(path).get(), &status) == 0 && S_ISDIR(status.st_mode);
}

Result<FileWriter> FileWriter::create(std::string_view directory) noexcept {
  if (directory.empty()) directory = ".";
  if (const Error error = PathText::check(directory); error != Error::none) return error;
  FileWriter writer;
  writer.directory_ = open_plain(AT_FDCWD, PathText(directory).get(), kDirectoryFlags);
  if (writer.directory_ < 0) return open_error(errno);
  static std::atomic<unsigned> last_number;
  do {
    writer.number_ = ++last_number;
    writer.file_ = ::openat(writer.directory_, PartName(writer.number_).get(),
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_LARGEFILE, 0666);
  } while (writer.file_ < 0 && (errno == EEXIST || errno == EINTR));
  if (writer.file_ < 0) return open_error(errno);
  return writer;
}

Result<void> FileWriter::write(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t size = ::write(file_, bytes.data(), bytes.size());
    if (size < 0 && errno != EINTR) return Error::io;
    if (size > 0) bytes.remove_prefix(static_cast<std::size_t>(size));
  }
  return {};
}

Result<void> FileWriter::commit(std::string_view name) noexcept {
  if (name.empty() || name == "." || name == ".." || name.find('/') != name.npos ||
      PathText::check(name) != Error::none)
    return Error::invalid;
  // Some systems say only now that there was no room. Then what has the name keeps it.
  if (::fsync(file_) != 0) return Error::io;
  if (::renameat(directory_, PartName(number_).get(), directory_, PathText(name).get()) != 0)
    return open_error(errno);
  ::close(std::exchange(file_, -1));
  return {};
}

}  // namespace microdot::inline MICRODOT_ABI
