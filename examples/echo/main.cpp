// A WebSocket that sends back what it receives, and a page to try it: http://127.0.0.1:5000/
// echo [--host ADDRESS] [--port NUMBER]
#include <microdot/ext/websocket.hpp>
#include <microdot/microdot.hpp>

#include "../arguments.hpp"

using namespace microdot;

namespace {

constexpr std::string_view kPage = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Echo</title>
<style>body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }</style>
<h1>Echo</h1>
<form><input id="text" placeholder="Say something" aria-label="Message" autofocus> <button>Send</button></form>
<ol id="log" aria-live="polite"></ol>
<script>
  const log = line => document.querySelector('#log').append(Object.assign(document.createElement('li'), {textContent: line}));
  const ws = new WebSocket(location.origin.replace('http', 'ws') + '/echo');
  ws.onopen = () => log('open');
  ws.onmessage = event => log('received: ' + event.data);
  ws.onclose = event => log('closed with ' + event.code);
  document.querySelector('form').onsubmit = event => {
    event.preventDefault();
    ws.send(text.value);
    text.value = '';
  };
</script>
)";

#if MICRODOT_HOSTED
App app;
#else
StaticApp<Limits::device()> app;
#endif

Task<> echo(Request&, WebSocket& ws) {
  while (auto message = co_await ws.receive()) co_await ws.send(*message);
}

}  // namespace

int main(int argc, char** argv) {
  ServerOptions options{.host = "127.0.0.1", .port = 5000};
  if (!parse_arguments(argc, argv, options)) return 2;

  app.get("/", [](Request&) { return Response(kPage, 200, {{"Content-Type", "text/html; charset=utf-8"}}); });
  app.get("/echo", with_websocket(echo));
  return app.run(options);
}
