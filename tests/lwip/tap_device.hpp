#pragma once
// A network of this process's own, with an Ethernet whose other end is in its hands.

namespace microdot_test {

/// Puts this process into a network namespace of its own. False where it may not.
bool enter_network_namespace();

/// A tap device that is up; the kernel has `address` there, in a network of 256. A descriptor that does not
/// block; -1 where there can be none.
int open_tap(const char* address);

}  // namespace microdot_test
