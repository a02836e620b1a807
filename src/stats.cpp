#include <microdot/stats.hpp>

namespace microdot::inline MICRODOT_ABI {

std::string_view to_string(Tier tier) noexcept {
  switch (tier) {
    case Tier::normal: return "normal";
    case Tier::queueing: return "queueing";
    case Tier::no_keep_alive: return "no keep-alive";
    case Tier::refusing: return "refusing";
    case Tier::not_accepting: return "not accepting";
  }
  return "";
}

}  // namespace microdot::inline MICRODOT_ABI
