#include "port.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

// The port itself is never destroyed, so that objects of static storage may still use it when the thread has
// ended; only its descriptors are closed.
constinit MICRODOT_THREAD_LOCAL PosixPort port;

#if MICRODOT_HOSTED
struct Descriptors {
  Descriptors() noexcept { port.open(); }
  ~Descriptors() { port.close(); }
};
#endif

}  // namespace

Port& system_port() noexcept {
#if MICRODOT_HOSTED
  static thread_local Descriptors descriptors;
#else
  port.open();
#endif
  return port;
}

}  // namespace microdot::inline MICRODOT_ABI
