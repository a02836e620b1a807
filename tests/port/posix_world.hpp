#pragma once
// The port for systems with BSD sockets and poll(2), whatever the port of this build is.

#include "ports/posix/port.hpp"
#include "worlds.hpp"

namespace microdot_test {

struct PosixWorld : SystemWorld {
  static constexpr const char* kName = "poll";

  static PosixPort& posix() {
    static PosixPort* const port = [] {
      auto* const made = new PosixPort;
      made->open();
      return made;
    }();
    return *port;
  }
  Port& port() { return posix(); }
};

}  // namespace microdot_test
