// The suite of every port, on those that need nothing but this system.

#include "worlds.hpp"

namespace microdot_test {
namespace {
using Worlds = testing::Types<LinuxWorld, SimWorld, ReferringSimWorld>;
}
}  // namespace microdot_test

#include "conformance.hpp"
