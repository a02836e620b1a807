#pragma once
/// Files of a host's disk, written beside the loop.

#include <cstdint>
#include <memory>
#include <string_view>

#include <microdot/async/task.hpp>
#include <microdot/base/result.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Writes what comes in pieces to a file: a sink for `FormPart::copy`, or for `req.stream()`.
///
///     FileSink file("uploads", part->filename);
///     Result<std::uint64_t> size = co_await part->copy(file);
///     if (size) …co_await file.commit();
///
/// Disks may be slow, so all that asks them is done in a thread of its own (`run_in_thread`), 256 KiB at a
/// time: the loop serves others meanwhile. That much memory for each file that is being written, and the
/// thread, come from the system's heap, not from `Limits`: bound the uploads (`.max_active` of the route).
/// Hosts only.
///
/// The file gets its name in `commit`, in place of one that may be called so. One that is not committed is
/// gone when the sink goes, at once or as soon as the thread has done what it does.
class FileSink {
 public:
  /// `path` is the program's own: a file, or a directory (it exists, or the path ends with '/'), in which the
  /// file will be called `safe_filename(filename)`, of up to 255 bytes. Both are copied. Touches no disk yet.
  explicit FileSink(std::string_view path, std::string_view filename = {});

  /// Takes the next bytes. Errors: see `FileWriter`. After an error all further calls give it, too.
  Task<Result<void>> operator()(std::string_view bytes);
  /// All has come: writes the rest, and names the file. Gives its size. Once.
  Task<Result<std::uint64_t>> commit();

 private:
  struct Job;

  Task<Result<void>> run();

  std::shared_ptr<Job> job_;
};

}  // namespace microdot::inline MICRODOT_ABI
