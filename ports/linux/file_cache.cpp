#define _FILE_OFFSET_BITS 64  // files beyond 2 GiB on 32-bit systems
#include "file_cache.hpp"

#include <sys/mman.h>
#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>
#include <utility>

#include "ports/common/files.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

// What is older is read again.
constexpr std::int64_t kKeptSeconds = 1;
// What was changed later may change again without another time of change; some file systems count in seconds.
constexpr std::int64_t kSettledSeconds = 2;

// Names end in what tells them apart, more often than they begin with it.
std::uint32_t hash_of(std::string_view root, std::string_view path) noexcept {
  std::uint64_t end = 0;
  const std::size_t size = std::min(path.size(), sizeof end);
  if (size != 0) std::memcpy(&end, path.data() + path.size() - size, size);
  const std::uint64_t mixed = (end ^ std::uint64_t{path.size()} << 56 ^ root.size()) * 0x9E3779B97F4A7C15U;
  return static_cast<std::uint32_t>(mixed >> 32);
}

}  // namespace

FileIdentity::FileIdentity(const struct stat& status) noexcept
    : device(status.st_dev),
      inode(status.st_ino),
      size(static_cast<std::uint64_t>(status.st_size)),
      changed(std::int64_t{status.st_ctim.tv_sec} * 1'000'000'000 + status.st_ctim.tv_nsec),
      mode(status.st_mode),
      owner(status.st_uid),
      group(status.st_gid) {}

void FileName::set(std::string_view root, std::string_view path) noexcept {
  root_size_ = static_cast<std::uint8_t>(root.copy(text_, root.size()));
  path_size_ = static_cast<std::uint8_t>(path.copy(text_ + root.size(), path.size()));
}

bool FileName::is(std::string_view root, std::string_view path) const noexcept {
  return path == std::string_view(text_ + root_size_, path_size_) &&
         root == std::string_view(text_, root_size_);
}

FileCache::Entry* FileCache::find_entry(std::string_view root, std::string_view path,
                                        std::uint32_t hash) noexcept {
  for (std::size_t i = 0; i < places_; ++i) {
    Entry& entry = memory_->entries[i];
    if (entry.hash == hash && entry.named && entry.name.is(root, path)) return &entry;
  }
  return nullptr;
}

const FileIdentity* FileCache::find(std::string_view root, std::string_view path, std::int64_t now) noexcept {
  if (places_ == 0) return nullptr;
  found_ = find_entry(root, path, hash_of(root, path));
  if (found_ == nullptr || found_->read == 0 || now - found_->read > kKeptSeconds) return nullptr;
  return &found_->identity;
}

File FileCache::open(Files& files) noexcept {
  assert(found_ != nullptr);
  ++found_->users;
  return File(files, handle_of(*found_), found_->info);
}

void FileCache::forget() noexcept { found_->named = false; }

FileCache::Entry* FileCache::take_place(std::int64_t now) noexcept {
  if (places_ < kFiles) return ::new (&memory_->entries[places_++]) Entry;
  for (std::size_t i = 0; i < kFiles; ++i) {
    Entry& entry = memory_->entries[hand_];
    hand_ = (hand_ + 1) % kFiles;
    // One that is still asked for is read again as soon as it is too old, so it is never old for long.
    const bool asked_for = entry.read != 0 && now - entry.read <= kKeptSeconds + 1;
    if (entry.users == 0 && !(entry.named && asked_for)) return &entry;
  }
  return nullptr;
}

std::optional<File> FileCache::keep(Files& files, int fd, const FileInfo& info, const struct stat& status,
                                    std::string_view root, std::string_view path, const Now& now) noexcept {
  if (memory_ == nullptr || info.size == 0 || info.size > kFileBytes || !FileName::fits(root, path))
    return {};
  if (now.wall - status.st_ctim.tv_sec < kSettledSeconds) return {};
  const std::uint32_t hash = hash_of(root, path);
  const FileIdentity identity(status);
  Entry* entry = find_entry(root, path, hash);
  const bool known = entry != nullptr && entry->identity == identity;
  if (entry != nullptr && entry->users != 0) {
    entry->named = false;  // they keep what they have
    entry = nullptr;
  }
  if (entry == nullptr) {
    entry = take_place(now.steady);
    if (entry == nullptr) return {};
    entry->name.set(root, path);
    entry->named = true;
    entry->hash = hash;
  }
  entry->identity = identity;
  entry->info = info;
  entry->read = 0;
  if (!known) return {};
  const auto size = static_cast<std::size_t>(info.size);
  const Result<std::size_t> read = read_at(fd, 0, {bytes_of(*entry), size});
  entry->read = read && *read == size ? now.steady : 0;
  if (entry->read == 0) return {};
  found_ = entry;
  return open(files);
}

std::span<const char> FileCache::data(Files::Handle handle) const noexcept {
  const std::size_t i = index_of(handle);
  return {memory_->bytes[i], static_cast<std::size_t>(memory_->entries[i].info.size)};
}

void FileCache::close(Files::Handle handle) noexcept { --memory_->entries[index_of(handle)].users; }

void FileCache::begin() noexcept {
  if (memory_ != nullptr) return;
  void* memory = mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  madvise(memory, sizeof(Memory), MADV_NOHUGEPAGE);
  memory_ = static_cast<Memory*>(memory);
}

void FileCache::end() noexcept {
  for (std::size_t i = 0; i < places_; ++i)
    if (memory_->entries[i].users != 0) return;
  if (memory_ != nullptr) munmap(std::exchange(memory_, nullptr), sizeof(Memory));
  places_ = 0;
}

}  // namespace microdot::inline MICRODOT_ABI
