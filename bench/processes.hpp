#pragma once
/// What processes have used, of which this program is not the parent.

#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "system.hpp"

namespace bench {

struct Usage {
  double cpu = 0;   // seconds, user and system
  double user = 0;  // of that, the user's: in the kernel's ticks
  Usage operator-(const Usage& other) const { return {cpu - other.cpu, user - other.user}; }
};

inline Usage usage(const std::vector<pid_t>& pids) {
  Usage all;
  for (const pid_t pid : pids) {
    clockid_t clock{};
    if (clock_getcpuclockid(pid, &clock) != 0) fail("the server has ended");
    all.cpu += seconds(clock);
    all.user += user_seconds(pid);
  }
  return all;
}

/// Bytes in memory, all processes together (what they share counts once for each). Exact, unlike statm, whose
/// counters lag behind by some hundred pages.
inline long resident(const std::vector<pid_t>& pids) {
  long kilobytes = 0;
  for (const pid_t pid : pids) {
    const std::string path = "/proc/" + std::to_string(pid) + "/smaps_rollup";
    std::FILE* file = std::fopen(path.c_str(), "r");
    if (file == nullptr) fail("the server has ended");
    long its = 0;
    if (std::fscanf(file, "%*[^\n] Rss: %ld", &its) != 1) fail(path);
    std::fclose(file);
    kilobytes += its;
  }
  return kilobytes * 1024;
}

}  // namespace bench
