#include "pressure.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>

namespace microdot::inline MICRODOT_ABI {
namespace {

constexpr Duration kDescriptorsInterval = std::chrono::milliseconds(50);
constexpr Duration kMemoryInterval = std::chrono::seconds(1);

/// The start of a small text file; "" if there is none.
class SmallFile {
 public:
  SmallFile(const char* folder, const char* name) noexcept {
    char path[256];
    const std::size_t folder_size = std::strlen(folder);
    const std::size_t name_size = std::strlen(name);
    if (folder_size + name_size >= sizeof path) return;
    std::memcpy(path, folder, folder_size);
    std::memcpy(path + folder_size, name, name_size + 1);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    const ssize_t size = read(fd, bytes_, sizeof bytes_);
    size_ = size > 0 ? static_cast<std::size_t>(size) : 0;
    close(fd);
  }

  /// The number behind `key` and spaces at the start of a line; false if there is none.
  bool number(std::string_view key, std::uint64_t& value) const noexcept {
    const std::string_view text(bytes_, size_);
    for (std::size_t at = text.find(key); at != std::string_view::npos; at = text.find(key, at + 1)) {
      if (at != 0 && text[at - 1] != '\n') continue;
      at = text.find_first_not_of(' ', at + key.size());
      if (at == std::string_view::npos || text[at] < '0' || text[at] > '9') return false;
      for (value = 0; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
        value = value * 10 + static_cast<std::uint64_t>(text[at] - '0');
      }
      return true;
    }
    return false;
  }

 private:
  char bytes_[4096];
  std::size_t size_ = 0;
};

}  // namespace

Pressure LinuxPressure::of_descriptors(std::int64_t next, std::int64_t limit) noexcept {
  const std::int64_t left = next < 0 ? 0 : limit - next;
  if (left < std::min<std::int64_t>(16, limit / 16) || next < 0) return Pressure::high;
  return left < std::min<std::int64_t>(64, limit / 4) ? Pressure::some : Pressure::none;
}

Pressure LinuxPressure::of_memory(std::uint64_t available, std::uint64_t total) noexcept {
  if (available < total / 100 * 3) return Pressure::high;
  return available < total / 100 * 6 ? Pressure::some : Pressure::none;
}

Pressure LinuxPressure::at(TimePoint now) noexcept {
  if (now >= descriptors_again_) {
    descriptors_again_ = now + kDescriptorsInterval;
    descriptors_ = descriptors();
  }
  if (now >= memory_again_) {
    memory_again_ = now + kMemoryInterval;
    memory_ = std::max(system_memory(), group_memory());
  }
  return std::max(descriptors_, memory_);
}

// A new descriptor has the lowest number that is free: near the limit only when nearly all are taken.
Pressure LinuxPressure::descriptors() const noexcept {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT32_MAX) return Pressure::none;
  const int next = open("/", O_PATH | O_CLOEXEC);
  if (next >= 0) close(next);
  if (next < 0 && errno != EMFILE && errno != ENFILE) return Pressure::none;  // not for lack of descriptors
  return of_descriptors(next, static_cast<std::int64_t>(limit.rlim_cur));
}

Pressure LinuxPressure::system_memory() const noexcept {
  const SmallFile info(meminfo_, "");
  std::uint64_t total = 0;
  std::uint64_t available = 0;
  if (!info.number("MemTotal:", total) || !info.number("MemAvailable:", available)) return Pressure::none;
  return of_memory(available, total);
}

Pressure LinuxPressure::group_memory() const noexcept {
  std::uint64_t most = 0;
  std::uint64_t current = 0;
  std::uint64_t cache = 0;  // of files, that the system takes back when it needs it
  if (!SmallFile(cgroup_, "/memory.max").number("", most) || most == 0) return Pressure::none;  // "max"
  if (!SmallFile(cgroup_, "/memory.current").number("", current)) return Pressure::none;
  SmallFile(cgroup_, "/memory.stat").number("inactive_file", cache);
  const std::uint64_t used = current > cache ? current - cache : 0;
  return of_memory(most > used ? most - used : 0, most);
}

}  // namespace microdot::inline MICRODOT_ABI
