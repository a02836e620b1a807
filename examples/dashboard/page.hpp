#pragma once
#include <string_view>

inline constexpr std::string_view kPage = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Dashboard</title>
<style>
  :root { color-scheme: light dark; --line: #3b82f6 }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 1.5rem auto; padding: 0 1rem }
  .cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: 1rem }
  .card { border: 1px solid #8884; border-radius: .75rem; padding: 1rem }
  .card h2 { font-size: .9rem; margin: 0; opacity: .7 } .value { font-size: 2.2rem; font-variant-numeric: tabular-nums }
  svg { width: 100%; height: 3rem } polyline { fill: none; stroke: var(--line); stroke-width: 1.5; vector-effect: non-scaling-stroke }
  button { font: inherit; padding: .5rem 1rem; margin: .2rem; border-radius: .5rem; border: 1px solid #8888 }
  button[aria-pressed=true] { background: var(--line); color: white }
  #state { opacity: .7 } .lost .cards { opacity: .4 }
</style>
<h1>Dashboard</h1>
<p id="state" role="status">connecting …</p>
<div class="cards">
  <div class="card"><h2>Temperature</h2><div class="value"><span id="temperature">–</span> °C</div><svg preserveAspectRatio="none"><polyline/></svg></div>
  <div class="card"><h2>Humidity</h2><div class="value"><span id="humidity">–</span> %</div><svg preserveAspectRatio="none"><polyline/></svg></div>
  <div class="card"><h2>Pins</h2><div id="pins"></div></div>
</div>
<script>
  const $ = selector => document.querySelector(selector);
  const state = (text, lost) => { $('#state').textContent = text; document.body.classList.toggle('lost', lost); };
  const history = {temperature: [], humidity: []};
  const plot = (name, value) => {
    const values = history[name];
    values.push(value);
    if (values.length > 60) values.shift();
    const low = Math.min(...values), high = Math.max(...values, low + 1e-3);
    const line = $('#' + name).closest('.card').querySelector('polyline');
    line.setAttribute('points', values.map((v, i) => `${i * 5},${46 - (v - low) / (high - low) * 44}`).join(' '));
    line.parentNode.setAttribute('viewBox', '0 0 300 48');
  };
  // Readings come as events; the browser connects again by itself.
  const events = new EventSource('/events');
  events.onopen = () => state('live', false);
  events.onerror = () => state('connection lost, trying again …', true);
  events.onmessage = event => {
    const reading = JSON.parse(event.data);
    for (const name in history) {
      $('#' + name).textContent = reading[name].toFixed(1);
      plot(name, reading[name]);
    }
  };
  // Pins are switched, and seen switching by everybody, over a WebSocket.
  let ws;
  const open = () => {
    ws = new WebSocket(location.origin.replace('http', 'ws') + '/pins');
    ws.onmessage = event => {
      $('#pins').replaceChildren(...[...event.data].map((bit, pin) => {
        const button = Object.assign(document.createElement('button'), {textContent: 'Pin ' + pin});
        button.setAttribute('aria-pressed', bit === '1');
        button.onclick = () => ws.send((bit === '1' ? '-' : '+') + pin);
        return button;
      }));
    };
    ws.onclose = () => setTimeout(open, 1000);
  };
  open();
</script>
)";
