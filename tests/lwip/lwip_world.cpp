#include "lwip_world.hpp"

namespace microdot_test {

TapBoard& LwipWorld::board() {
  static TapBoard* const board = new TapBoard;  // as on a device: for ever
  return *board;
}

LwipPort& LwipWorld::lwip() {
  static LwipPort* const port = [] {
    auto* const made = new LwipPort(board());
    board().start();
    return made;
  }();
  return *port;
}

bool LwipWorld::start() {
  if (!enter_network_namespace() || !board().ready()) return false;
  lwip();
  return true;
}

}  // namespace microdot_test
