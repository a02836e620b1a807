#include <microdot/embedded_files.hpp>

#include <cstring>

namespace microdot::inline MICRODOT_ABI {
namespace {

/// The handle of a file is the address of its entry.
class EmbeddedFiles final : public Files {
 public:
  Result<File> open(std::string_view, std::string_view) noexcept override { return Error::not_found; }
  Result<void> check_root(std::string_view) noexcept override { return Error::not_found; }
  Result<std::size_t> read(Handle handle, std::uint64_t offset, std::span<char> buffer) noexcept override {
    const std::string_view content = entry(handle).content;
    if (offset >= content.size()) return std::size_t{0};
    const auto at = static_cast<std::size_t>(offset);
    const std::size_t size = std::min(buffer.size(), content.size() - at);
    std::memcpy(buffer.data(), content.data() + at, size);
    return size;
  }
  std::span<const char> data(Handle handle) noexcept override {
    const std::string_view content = entry(handle).content;
    return {content.data(), content.size()};
  }
  std::string_view etag(Handle handle) noexcept override { return entry(handle).etag; }
  std::string_view encoding(Handle handle) noexcept override { return entry(handle).gzip ? "gzip" : ""; }
  void close(Handle) noexcept override {}

 private:
  static const EmbeddedFile& entry(Handle handle) noexcept {
    return *reinterpret_cast<const EmbeddedFile*>(handle);
  }
};

constinit EmbeddedFiles embedded_files;

}  // namespace

Result<File> EmbeddedFolder::open(std::string_view name) const noexcept {
  auto at = first_from(name);
  if (at != files_.end() && at->name == name) {
    FileInfo info;
    info.size = at->content.size();
    return File(embedded_files, reinterpret_cast<Files::Handle>(&*at), info);
  }
  // Between a directory's name and what lies in it may stand others: "a", "a.txt", "a/b".
  for (; at != files_.end() && at->name.starts_with(name); ++at) {
    if (at->name[name.size()] == '/') return Error::is_directory;
  }
  return Error::not_found;
}

}  // namespace microdot::inline MICRODOT_ABI
