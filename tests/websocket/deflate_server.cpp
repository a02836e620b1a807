/// For deflate.mjs: echoes, compressed as clients offer it. deflate_server PORT

#include <cstdlib>

#include <microdot/ext/websocket.hpp>
#include <microdot/ext/websocket_deflate.hpp>
#include <microdot/microdot.hpp>

using namespace microdot;

namespace {

Task<> echo(Request&, WebSocket& ws) {
  while (auto message = co_await ws.receive()) co_await ws.send(*message);
}

constexpr WebSocketDeflate kAlone({.server_no_context_takeover = true, .client_no_context_takeover = true});

}  // namespace

int main(int argc, char** argv) {
  App app{Limits{.ws_message_bytes = 256 * 1024, .ws_window_bits = 15, .ws_compressed = 16}};
  app.get("/", with_websocket(echo, {.compression = &kWebSocketDeflate}));
  app.get("/alone", with_websocket(echo, {.compression = &kAlone}));
  return app.run(
      {.host = "127.0.0.1", .port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0)});
}
