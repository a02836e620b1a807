// The suite of every port, on those that need nothing but this system.

#include "posix_world.hpp"

namespace microdot_test {
namespace {
using Worlds = testing::Types<SystemWorld, PosixWorld, SimWorld, ReferringSimWorld>;
}
}  // namespace microdot_test

#include "conformance.hpp"
