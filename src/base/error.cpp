#include <microdot/base/error.hpp>

namespace microdot::inline MICRODOT_ABI {

std::string_view to_string(Error error) noexcept {
  switch (error) {
    case Error::none: return "no error";
    case Error::would_block: return "would block";
    case Error::closed: return "peer closed the connection";
    case Error::timeout: return "timed out";
    case Error::canceled: return "canceled";
    case Error::no_memory: return "out of memory";
    case Error::no_descriptors: return "no descriptors left";
    case Error::too_large: return "too large";
    case Error::not_found: return "not found";
    case Error::permission: return "permission denied";
    case Error::is_directory: return "is a directory";
    case Error::outside_root: return "outside the root directory";
    case Error::address_in_use: return "address already in use";
    case Error::address_unavailable: return "address not available";
    case Error::network_down: return "network down";
    case Error::invalid: return "invalid";
    case Error::unsupported: return "not supported";
    case Error::io: return "input/output error";
  }
  return "unknown error";
}

}  // namespace microdot::inline MICRODOT_ABI
