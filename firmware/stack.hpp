#pragma once
#include <cstddef>

namespace firmware {

/// The main stack, which interrupts use too. It is painted at the start, so it shows how much of it was ever
/// used.
std::size_t stack_size() noexcept;
/// Bytes of it that have been used at most.
std::size_t stack_high_water() noexcept;

}  // namespace firmware
