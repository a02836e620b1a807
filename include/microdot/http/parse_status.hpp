#pragma once
#include <cstdint>

#include <microdot/base/config.hpp>

namespace microdot::inline MICRODOT_ABI {

/// What a call of an incremental parser found.
enum class ParseStatus : std::uint8_t {
  need_more,  ///< All good so far; call again with more bytes.
  complete,   ///< The end was found.
  error,      ///< Answer the parser's `error_status()` and close the connection.
};

}  // namespace microdot::inline MICRODOT_ABI
