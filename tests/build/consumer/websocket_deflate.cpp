// A WebSocket that compresses: over the installed library and zlib.
#include <microdot/ext/websocket.hpp>
#include <microdot/ext/websocket_deflate.hpp>
#include <microdot/microdot.hpp>
#include <microdot/testing/test_client.hpp>

using namespace microdot;

int main() {
  App app{Limits{.ws_compressed = 1}};
  app.get("/", with_websocket([](Request&, WebSocket& ws) -> Task<> { co_await ws.send(std::string(1000, 'x')); },
                              {.compression = &kWebSocketDeflate}));
  TestClient client(app);
  auto ws = client.websocket("/", {{"Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"}});
  const auto message = ws.receive();
  return ws.extensions() == "permessage-deflate; client_max_window_bits=12" && message && message->rsv == kRsv1 &&
                 message->data.size() < 100
             ? 0
             : 1;
}
