#pragma once
#include <cstddef>
#include <string_view>
#include <utility>

#include <microdot/base/result.hpp>

namespace microdot::inline MICRODOT_ABI {

/// A new file in a directory, without a name until it is complete: who looks there sees all of it or nothing.
/// Calls wait for the disk; they may come from any thread, one at a time. Systems with files and processes
/// only
/// (`MICRODOT_HOSTED`).
class FileWriter {
 public:
  FileWriter() noexcept = default;
  FileWriter(FileWriter&& other) noexcept { *this = std::move(other); }
  FileWriter& operator=(FileWriter&& other) noexcept {
    std::swap(directory_, other.directory_);
    std::swap(file_, other.file_);
    std::swap(number_, other.number_);
    return *this;
  }
  /// A file that was not committed is gone.
  ~FileWriter();

  static bool is_directory(std::string_view path) noexcept;
  /// Begins a file in `directory` ("" is the current one). Errors: `not_found`, `permission`,
  /// `no_descriptors`, `no_memory`, `io`.
  static Result<FileWriter> create(std::string_view directory) noexcept;

  /// Appends. Errors: `io` (no room is one, too).
  [[nodiscard]] Result<void> write(std::string_view bytes) noexcept;
  /// Ends the file, as `name`, in place of the file that may be called so: a plain name in the directory.
  /// Errors: `invalid` (it has a '/', is ".", ".." or empty), `is_directory`, `not_found`, `permission`,
  /// `io`.
  [[nodiscard]] Result<void> commit(std::string_view name) noexcept;

 private:
  int directory_ = -1;
  int file_ = -1;
  unsigned number_ = 0;  // of the name that it has meanwhile
};

}  // namespace microdot::inline MICRODOT_ABI
