#include "memory.hpp"

#include <sys/mman.h>
#include <unistd.h>
#include <cstdint>

namespace microdot::inline MICRODOT_ABI {

// Private memory that was never in a file reads as zeros afterwards, a program's own data (.data) as it was
// at the start. Where the system can't, as with locked pages, it says so and everything stays.
void discard_pages(std::span<std::byte> bytes) noexcept {
  static const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
  const std::uintptr_t before = (page - address % page) % page;  // of the page that begins earlier
  if (bytes.size() < before + page) return;
  const std::uintptr_t size = (bytes.size() - before) / page * page;
  static_cast<void>(madvise(bytes.data() + before, size, MADV_DONTNEED));
}

}  // namespace microdot::inline MICRODOT_ABI
