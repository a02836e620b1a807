// The suite of every port, on lwIP.

#include "lwip_world.hpp"

namespace microdot_test {
namespace {
using Worlds = testing::Types<LwipWorld>;
}
}  // namespace microdot_test

#include "tests/port/conformance.hpp"
