#include <microdot/base/config.hpp>

#if MICRODOT_HOSTED
#include <algorithm>
#include <cstring>
#include <string>

#include <microdot/async/thread.hpp>
#include <microdot/ext/file_sink.hpp>
#include <microdot/ext/multipart.hpp>
#include <microdot/http/url.hpp>
#include <microdot/port/file_writer.hpp>

namespace microdot::inline MICRODOT_ABI {

/// What the strand fills and the thread empties, in turn. The last of them to go takes it along.
struct FileSink::Job {
  static constexpr std::size_t kBufferBytes = 256 * 1024;

  Job(std::string_view its_path, std::string_view filename) : path(its_path) {
    char room[255];
    name = safe_filename(filename, room);
  }

  /// In the thread: writes the buffer.
  void write() noexcept {
    if (!writer_is_open) open();
    if (!error) return;
    error = writer.write({buffer.get(), used});
    total += std::exchange(used, 0);
    if (error && complete) error = writer.commit(name);
  }
  void open() noexcept {
    if (!path.ends_with('/') && !FileWriter::is_directory(path)) {
      name = path_filename(path);
      path.resize(path.size() - name.size());
    }
    Result<FileWriter> created = FileWriter::create(path);
    error = created.error();
    if (created) writer = std::move(*created);
    writer_is_open = true;
  }

  std::string path;
  std::string name;
  std::unique_ptr<char[]> buffer{new char[kBufferBytes]};  // not cleared
  std::size_t used = 0;
  std::uint64_t total = 0;
  FileWriter writer;
  Result<void> error;
  bool writer_is_open = false;
  bool complete = false;
};

FileSink::FileSink(std::string_view path, std::string_view filename)
    : job_(std::make_shared<Job>(path, filename)) {}

Task<Result<void>> FileSink::run() {
  // What the thread has of the job goes before it is told that it is done.
  auto write = [job = job_]() mutable noexcept { std::exchange(job, nullptr)->write(); };
  Task<> written = run_in_thread(std::move(write));
  co_await written;
  co_return job_->error;
}

Task<Result<void>> FileSink::operator()(std::string_view bytes) {
  while (!bytes.empty() && job_->error) {
    const std::size_t taken = bytes.copy(&job_->buffer[job_->used], Job::kBufferBytes - job_->used);
    bytes.remove_prefix(taken);
    job_->used += taken;
    if (job_->used != Job::kBufferBytes) break;
    const Result<void> written = co_await run();
    if (!written) break;
  }
  co_return job_->error;
}

Task<Result<std::uint64_t>> FileSink::commit() {
  job_->complete = true;
  const Result<void> written = co_await run();
  if (!written) co_return written.error();
  co_return job_->total;
}

Task<Result<std::uint64_t>> FileUpload::save(std::string_view path) {
  FileSink file(path, filename);
  const Result<std::uint64_t> copied = co_await copy(file);
  if (!copied) co_return copied.error();
  const Result<std::uint64_t> size = co_await file.commit();
  co_return size;
}

}  // namespace microdot::inline MICRODOT_ABI
#endif
