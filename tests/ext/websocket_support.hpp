#pragma once
/// What the tests of WebSockets share.

#include <microdot/ext/websocket.hpp>

#include "live_test.hpp"

namespace microdot::testing_support {

inline Task<> echo(Request&, WebSocket& ws) {
  while (auto message = co_await ws.receive()) co_await ws.send(*message);
}

class WebSocketTest : public LiveTest {};

}  // namespace microdot::testing_support
