#pragma once
#include <cstddef>

namespace sim {

/// Bytes that the process has from `malloc` now, to the byte; what an allocator keeps for later is not
/// counted.
std::size_t heap_bytes() noexcept;

}  // namespace sim
