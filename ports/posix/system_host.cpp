// macOS, the BSDs, Linux: everything with processes.

#include <unistd.h>
#include <algorithm>
#include <cstdlib>

#if defined(__APPLE__)
#include <sys/random.h>
#endif

#include "ports/common/memory.hpp"
#include "ports/common/stderr_log.hpp"
#include "system.hpp"

namespace microdot::inline MICRODOT_ABI {

void fill_system_random(std::span<unsigned char> bytes) noexcept {
  constexpr std::size_t kMost = 256;  // getentropy's own bound
  while (!bytes.empty()) {
    const std::size_t size = std::min(bytes.size(), kMost);
    if (getentropy(bytes.data(), size) != 0)
      std::abort();  // better no server than one with keys to be guessed
    bytes = bytes.subspan(size);
  }
}

void write_system_log(LogLevel level, std::string_view line) noexcept { StderrLog().write(level, line); }

void discard_system_memory(std::span<std::byte> bytes) noexcept { discard_pages(bytes); }

// There is no way that all of them have. A listener whose address goes is found by what accept says.
void watch_system_network(PosixPoller&, bool) noexcept {}
Error check_system_address(const Endpoint&) noexcept { return Error::unsupported; }

}  // namespace microdot::inline MICRODOT_ABI
