#include <microdot/base/error.hpp>

#include "packed_texts.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

// In the order of the enumeration.
constexpr std::string_view kErrors[] = {
    "no error",
    "would block",
    "peer closed the connection",
    "timed out",
    "canceled",
    "out of memory",
    "no descriptors left",
    "too large",
    "not found",
    "permission denied",
    "is a directory",
    "outside the root directory",
    "address already in use",
    "address not available",
    "network down",
    "invalid",
    "not supported",
    "input/output error",
};
constexpr auto kErrorTexts = detail::pack_texts<kErrors>();
static_assert(kErrorTexts.size() == static_cast<std::size_t>(Error::io) + 1);

}  // namespace

std::string_view to_string(Error error) noexcept {
  const auto place = static_cast<std::size_t>(error);
  return place < kErrorTexts.size() ? kErrorTexts[place] : "unknown error";
}

}  // namespace microdot::inline MICRODOT_ABI
