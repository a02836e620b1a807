#pragma once
// A long life: what a server has at its end is what it had after its first minute.

#include <cstdint>
#include <string>

#include <microdot/port/clock.hpp>

namespace sim {

struct LongLife {
  std::string failure;  ///< Empty if all was well.
  std::string text;     ///< The figures, for people.
};

/// Clients come and go for `time`, some of them badly, on a network that is not perfect.
LongLife live_long(std::uint64_t seed, microdot::Duration time);

}  // namespace sim
