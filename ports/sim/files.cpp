#include "files.hpp"

#include <algorithm>

namespace microdot::inline MICRODOT_ABI {
namespace {

constexpr std::size_t kMaxPath = 1024;

/// A name made of whole components: no ".", no "..", no empty ones.
struct Name {
  char text[kMaxPath];
  std::size_t size = 0;

  std::string_view view() const noexcept { return {text, size}; }

  /// Appends `path`; false if it climbs above the first `floor` bytes or is too long.
  bool append(std::string_view path, std::size_t floor) noexcept {
    if (size == 0 && !path.empty() && path[0] == '/') text[size++] = '/';
    while (!path.empty()) {
      const std::string_view part = path.substr(0, path.find('/'));
      path.remove_prefix(std::min(part.size() + 1, path.size()));
      if (part.empty() || part == ".") continue;
      if (part == "..") {
        if (size <= floor) return false;
        while (size > floor && text[size - 1] != '/') --size;
        if (size > floor && size > 1) --size;
        continue;
      }
      if (size + 1 + part.size() > sizeof text) return false;
      if (size != 0 && text[size - 1] != '/') text[size++] = '/';
      size += part.copy(text + size, part.size());
    }
    return true;
  }
};

}  // namespace

struct SimFiles::Entry {
  Entry* next = nullptr;
  char* name = nullptr;
  std::size_t name_size = 0;
  char* owned = nullptr;
  const char* content = nullptr;
  std::size_t size = 0;
  std::int64_t modified = 0;
  bool in_place = false;
  std::size_t opened = 0;
  bool replaced = false;  ///< Kept for those who have it open.

  std::string_view name_view() const noexcept { return {name, name_size}; }
};

SimFiles::~SimFiles() {
  while (entries_ != nullptr) {
    Entry* entry = std::exchange(entries_, entries_->next);
    std::free(entry->name);
    std::free(entry->owned);
    std::free(entry);
  }
}

SimFiles::Entry* SimFiles::find(std::string_view name) noexcept {
  Entry* entry = entries_;
  while (entry != nullptr && (entry->replaced || entry->name_view() != name)) entry = entry->next;
  return entry;
}

bool SimFiles::is_directory(std::string_view name) noexcept {
  for (Entry* entry = entries_; entry != nullptr; entry = entry->next) {
    const std::string_view other = entry->name_view();
    if (name.empty() || (other.size() > name.size() && other.substr(0, name.size()) == name &&
                         (other[name.size()] == '/' || name.back() == '/')))
      return true;
  }
  return false;
}

void SimFiles::add(std::string_view path, std::string_view content, std::int64_t modified,
                   bool in_place) noexcept {
  Name name;
  if (!name.append(path, 0)) std::abort();
  if (Entry* old = find(name.view())) old->replaced = true;
  auto& entry = *::new (sim_allocate(sizeof(Entry))) Entry;
  entry.name = static_cast<char*>(sim_allocate(name.size + 1));
  entry.name_size = name.view().copy(entry.name, name.size);
  entry.content = content.data();
  if (!in_place) {
    entry.owned = static_cast<char*>(sim_allocate(content.size() + 1));
    content.copy(entry.owned, content.size());
    entry.content = entry.owned;
  }
  entry.size = content.size();
  entry.modified = modified;
  entry.in_place = in_place;
  entry.next = std::exchange(entries_, &entry);
}

Result<File> SimFiles::open(std::string_view root, std::string_view path) noexcept {
  if (const Error error = faults_.on_open(path); error != Error::none) return error;
  if (path.find('\0') != path.npos || root.find('\0') != root.npos) return Error::outside_root;
  Name name;
  if (!name.append(root, 0)) return Error::not_found;
  if (!root.empty() && !path.empty() && path[0] == '/') return Error::outside_root;
  if (!name.append(path, root.empty() ? 0 : name.size)) return Error::outside_root;
  Entry* entry = path.empty() || path.back() == '/' ? nullptr : find(name.view());
  if (entry == nullptr) {
    if (!path.empty() && is_directory(name.view())) return Error::is_directory;
    return others_ != nullptr ? others_->open(root, path) : Error::not_found;
  }
  ++entry->opened;
  ++open_count;
  FileInfo info;
  info.size = entry->size;
  info.modified = entry->modified;
  return File(*this, reinterpret_cast<Handle>(entry), info);
}

Result<void> SimFiles::check_root(std::string_view root) noexcept {
  Name name;
  if (root.find('\0') == root.npos && name.append(root, 0) && is_directory(name.view())) return {};
  if (others_ != nullptr) return others_->check_root(root);
  return Error::not_found;
}

Result<std::size_t> SimFiles::read(Handle handle, std::uint64_t offset, std::span<char> buffer) noexcept {
  const auto& entry = *reinterpret_cast<Entry*>(handle);
  if (offset >= entry.size) return std::size_t{0};
  std::size_t size = std::min(buffer.size(), entry.size - static_cast<std::size_t>(offset));
  now_ += faults_.file_read_time(size);
  size = std::min(size, faults_.file_read_limit(size));
  if (size == 0) return Error::io;
  std::memcpy(buffer.data(), entry.content + offset, size);
  return size;
}

std::span<const char> SimFiles::data(Handle handle) noexcept {
  const auto& entry = *reinterpret_cast<Entry*>(handle);
  if (!entry.in_place) return {};
  return {entry.content, entry.size};
}

void SimFiles::close(Handle handle) noexcept {
  --reinterpret_cast<Entry*>(handle)->opened;
  --open_count;
}

}  // namespace microdot::inline MICRODOT_ABI
