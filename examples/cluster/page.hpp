#pragma once
#include <string_view>

constexpr std::string_view kPage = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>A chat of many nodes</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
  ul { list-style: none; padding: 0; min-height: 8rem } form { display: flex; gap: .5rem } #text { flex: 1 }
  .gone { opacity: .5 }
</style>
<h1>Lobby</h1>
<p id="where" class="gone">connecting …</p>
<ul id="log" aria-live="polite"></ul>
<form><input id="name" placeholder="Name" aria-label="Name" size="8" required>
<input id="text" placeholder="Message" aria-label="Message" autocomplete="off" maxlength="120" required> <button>Send</button></form>
<p>Without JavaScript's WebSocket: <code>curl -N <span class="here"></span>/events</code> and
<code>curl -d 'me: hello' <span class="here"></span>/lines</code></p>
<script>
  const where = document.querySelector('#where');
  for (const here of document.querySelectorAll('.here')) here.textContent = location.origin;
  const show = line => document.querySelector('#log').append(Object.assign(document.createElement('li'), {textContent: line}));
  let ws;
  const join = () => {
    ws = new WebSocket(location.origin.replace('http', 'ws') + '/chat');
    ws.onmessage = event => {  // the first says which node this is
      where.textContent = event.data;
      where.classList.remove('gone');
      ws.onmessage = event => show(event.data);
    };
    ws.onclose = () => {
      where.textContent = 'connecting …';
      where.classList.add('gone');
      setTimeout(join, 1000);
    };
  };
  join();
  document.querySelector('form').onsubmit = event => {
    event.preventDefault();
    if (ws.readyState !== WebSocket.OPEN) return;  // the text stays
    const [who, text] = event.target.querySelectorAll('input');
    ws.send(who.value + ': ' + text.value);
    text.value = '';
  };
</script>
)";
