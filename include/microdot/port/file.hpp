#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include <microdot/base/result.hpp>

namespace microdot::inline MICRODOT_ABI {

/// What is known of an open file.
struct FileInfo {
  std::uint64_t size = 0;
  std::int64_t modified = 0;         ///< Seconds since 1970-01-01T00:00:00Z, 0 if unknown.
  std::uint32_t modified_nanos = 0;  ///< The part below a second.
};

class File;

/// The system's files, read only.
class Files {
 public:
  using Handle = std::intptr_t;
  static constexpr Handle kNone = -1;

  /// Opens the regular file `path` (relative, '/'-separated, already percent-decoded) inside the directory
  /// `root`. Nothing outside `root` can be reached: not by "..", not by absolute paths, not by symbolic
  /// links. Symbolic links and ".." that stay inside are followed. Never waits (a FIFO is refused at once).
  /// An empty `root` means: `path` is the program's own, taken as it is.
  /// A port may take `root` to be the same directory for up to a second after a call, and keep small files in
  /// memory as long as the system says that they are unchanged (where it does not tell: two seconds).
  /// Errors: `not_found`, `permission`, `is_directory`, `outside_root` (also NUL bytes), `unsupported` (not a
  /// regular file), `no_descriptors`, `no_memory`, `io`.
  virtual Result<File> open(std::string_view root, std::string_view path) noexcept = 0;
  /// Whether `root` is a directory that can be read. Errors as in `open`.
  virtual Result<void> check_root(std::string_view root) noexcept = 0;
  /// Reads at `offset`; returns the number of bytes, 0 at the end. Errors: `io`.
  virtual Result<std::size_t> read(Handle handle, std::uint64_t offset, std::span<char> buffer) noexcept = 0;
  /// The whole file where it lies in memory (flash, or a port's own), valid while it is open; empty
  /// otherwise.
  virtual std::span<const char> data(Handle handle) noexcept {
    (void)handle;
    return {};
  }
  /// A strong entity tag of the content with its quotes (RFC 9110 8.8.3), where the system knows one. Else
  /// "".
  virtual std::string_view etag(Handle handle) noexcept {
    (void)handle;
    return {};
  }
  /// The content coding that the bytes are in ("gzip"), where the name does not say so. Else "".
  virtual std::string_view encoding(Handle handle) noexcept {
    (void)handle;
    return {};
  }
  virtual void close(Handle handle) noexcept = 0;

 protected:
  ~Files() = default;
};

/// Reads an open file; closes it when destroyed, which is for the thread that opened it.
class FileReader {
 public:
  FileReader() noexcept = default;
  FileReader(Files& files, Files::Handle handle) noexcept : files_(&files), handle_(handle) {}
  MICRODOT_CALLED FileReader(FileReader&& other) noexcept
      : files_(std::exchange(other.files_, nullptr)), handle_(std::exchange(other.handle_, Files::kNone)) {}
  FileReader& operator=(FileReader&& other) noexcept {
    if (this != &other) {
      close();
      files_ = std::exchange(other.files_, nullptr);
      handle_ = std::exchange(other.handle_, Files::kNone);
    }
    return *this;
  }
  ~FileReader() { close(); }

  explicit operator bool() const noexcept { return files_ != nullptr; }
  /// Where the file was opened, null if it is not open: a port's handle means nothing to another port.
  const Files* files() const noexcept { return files_; }
  /// The port's own handle (on Linux a descriptor, or below `kNone` if `data` has the file).
  Files::Handle handle() const noexcept { return handle_; }
  /// See `Files::read`.
  Result<std::size_t> read(std::uint64_t offset, std::span<char> buffer) const noexcept {
    return files_->read(handle_, offset, buffer);
  }
  /// See `Files::data`.
  std::span<const char> data() const noexcept { return files_->data(handle_); }
  /// See `Files::etag`; valid while the file is open.
  std::string_view etag() const noexcept { return files_->etag(handle_); }
  /// See `Files::encoding`; the same.
  std::string_view encoding() const noexcept { return files_->encoding(handle_); }
  void close() noexcept {
    if (files_ != nullptr) std::exchange(files_, nullptr)->close(std::exchange(handle_, Files::kNone));
  }

 private:
  Files* files_ = nullptr;
  Files::Handle handle_ = Files::kNone;
};

/// An open file, and what is known of it. Whoever only reads it keeps the `FileReader`.
class File final : public FileReader {
 public:
  File() noexcept = default;
  File(Files& files, Files::Handle handle, const FileInfo& info) noexcept
      : FileReader(files, handle), info_(info) {}

  const FileInfo& info() const noexcept { return info_; }

 private:
  FileInfo info_;
};

}  // namespace microdot::inline MICRODOT_ABI
