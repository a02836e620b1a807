#pragma once
#include <cstddef>
#include <span>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI {

/// See `Port::discard`: gives back the whole pages of `bytes`.
void discard_pages(std::span<std::byte> bytes) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
