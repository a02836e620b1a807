#include "pressure.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>

#include <microdot/base/text.hpp>

namespace microdot::inline MICRODOT_ABI {
namespace {

constexpr Duration kDescriptorsInterval = std::chrono::milliseconds(50);
constexpr Duration kMemoryInterval = std::chrono::seconds(1);

constexpr std::size_t kMostPath = 1024;  // of a control group: names of containers are long, and nest

/// The start of a small text file; "" if there is none.
class SmallFile {
 public:
  explicit SmallFile(std::string_view folder, std::string_view name = {}) noexcept {
    FixedText<kMostPath> path;
    path.append(folder).append(name).append('\0');
    if (path.view().back() != '\0') return;  // too long
    const int fd = open(path.view().data(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    const ssize_t size = read(fd, bytes_, sizeof bytes_);
    size_ = size > 0 ? static_cast<std::size_t>(size) : 0;
    close(fd);
  }

  std::string_view text() const noexcept { return {bytes_, size_}; }

  /// The number behind `key` and spaces at the start of a line; false if there is none.
  bool number(std::string_view key, std::uint64_t& value) const noexcept {
    const std::string_view text = this->text();
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

/// What the files are called that tell about a control group's memory.
struct GroupFiles {
  std::string_view mount;
  std::string_view most;
  std::string_view current;
  std::string_view cache[3];  // what the system takes back when it needs it: keys in memory.stat
};
constexpr GroupFiles kGroupFiles2{
    "", "/memory.max", "/memory.current", {"inactive_file", "active_file", "slab_reclaimable"}};
constexpr GroupFiles kGroupFiles1{"/memory",
                                  "/memory.limit_in_bytes",
                                  "/memory.usage_in_bytes",
                                  {"total_inactive_file", "total_active_file"}};

Pressure group_memory(const GroupFiles& files, std::string_view folder) noexcept {
  std::uint64_t most = 0;
  std::uint64_t current = 0;
  if (!SmallFile(folder, files.most).number("", most) || most == 0) return Pressure::none;  // "max"
  if (!SmallFile(folder, files.current).number("", current)) return Pressure::none;
  const SmallFile stat(folder, "/memory.stat");
  std::uint64_t used = current;
  for (const std::string_view key : files.cache) {
    std::uint64_t cache = 0;
    if (!key.empty() && stat.number(key, cache)) used -= std::min(used, cache);
  }
  return LinuxPressure::of_memory(most > used ? most - used : 0, most);
}

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
    memory_ = std::max(system_memory(), groups_memory());
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
  const SmallFile info(meminfo_);
  std::uint64_t total = 0;
  std::uint64_t available = 0;
  if (!info.number("MemTotal:", total) || !info.number("MemAvailable:", available)) return Pressure::none;
  return of_memory(available, total);
}

Pressure LinuxPressure::groups_memory() const noexcept {
  const SmallFile membership(membership_);
  // A limit of a group holds for those within it.
  const auto highest = [&](const GroupFiles& files, std::string_view path) {
    FixedText<kMostPath> folder;
    folder.append(groups_).append(files.mount);
    const std::size_t root = folder.view().size();
    folder.append(path);
    Pressure worst = Pressure::none;
    for (std::string_view at = folder.view();; at = at.substr(0, at.rfind('/'))) {
      while (at.size() > root && at.ends_with('/')) at.remove_suffix(1);
      worst = std::max(worst, group_memory(files, at));
      if (at.size() <= root) return worst;
    }
  };
  Pressure worst = Pressure::none;
  for (std::string_view rest = membership.text(); !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    // "0::/path" is of version 2, "4:memory:/path" of version 1: cgroups(7).
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    std::string_view path = line.substr(second + 1);
    if (path.starts_with("/..")) path = {};  // outside of what is mounted here
    if (controllers.empty()) worst = std::max(worst, highest(kGroupFiles2, path));
    if (controllers == "memory") worst = std::max(worst, highest(kGroupFiles1, path));
  }
  return worst;
}

}  // namespace microdot::inline MICRODOT_ABI
