#pragma once
#include <string_view>

inline constexpr std::string_view kPage = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Device hub</title>
<style>
  :root { color-scheme: light dark; --line: #3b82f6 }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 1.5rem auto; padding: 0 1rem }
  .cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: 1rem }
  .card { border: 1px solid #8884; border-radius: .75rem; padding: 1rem }
  .card h2 { font-size: .9rem; margin: 0; opacity: .7 } .value { font-size: 2.2rem; font-variant-numeric: tabular-nums }
  svg { width: 100%; height: 3rem } polyline { fill: none; stroke: var(--line); stroke-width: 1.5; vector-effect: non-scaling-stroke }
  button { font: inherit; padding: .5rem 1rem; margin: .4rem .2rem 0; border-radius: .5rem; border: 1px solid #8888 }
  button[aria-pressed=true] { background: var(--line); color: white }
  p { margin: .3rem 0; opacity: .8 } .bad { color: #dc2626; opacity: 1 } .lost .cards { opacity: .4 }
</style>
<h1>Device hub</h1>
<p id="page" role="status">connecting …</p>
<p>Broker: <span id="broker" role="status">–</span></p>
<div class="cards">
  <div class="card"><h2>Temperature</h2><div class="value"><span id="temperature">–</span> °C</div><svg preserveAspectRatio="none"><polyline/></svg></div>
  <div class="card"><h2>Humidity</h2><div class="value"><span id="humidity">–</span> %</div><svg preserveAspectRatio="none"><polyline/></svg></div>
  <div class="card"><h2>Actuator</h2><div class="value" id="actuator">–</div>
    <button data-command="on">On</button><button data-command="off">Off</button></div>
</div>
<script>
  const $ = selector => document.querySelector(selector);
  const history = {temperature: [], humidity: []};
  const plot = (name, value) => {
    const values = history[name];
    values.push(value);
    if (values.length > 100) values.shift();
    const low = Math.min(...values), high = Math.max(...values, low + 1e-3);
    const line = $('#' + name).closest('.card').querySelector('polyline');
    line.setAttribute('points', values.map((v, i) => `${i * 3},${46 - (v - low) / (high - low) * 44}`).join(' '));
    line.parentNode.setAttribute('viewBox', '0 0 300 48');
  };
  const page = (text, lost) => {
    $('#page').textContent = text;
    document.body.classList.toggle('lost', lost);
  };
  // Live values come as events; the browser connects again by itself.
  const events = new EventSource('/events');
  events.onopen = () => page('live', false);
  events.onerror = () => page('connection lost, trying again …', true);
  events.onmessage = event => {
    const state = JSON.parse(event.data);
    for (const name in history) {
      $('#' + name).textContent = state[name].toFixed(1);
      plot(name, state[name]);
    }
    $('#actuator').textContent = state.actuator ? 'on' : 'off';
    for (const button of document.querySelectorAll('button')) {
      button.setAttribute('aria-pressed', state.actuator === (button.dataset.command === 'on'));
    }
    $('#broker').textContent = state.broker;
    $('#broker').classList.toggle('bad', state.broker !== 'connected');
  };
  // Commands go over a WebSocket.
  let commands;
  const open = () => {
    commands = new WebSocket(location.origin.replace('http', 'ws') + '/commands');
    commands.onclose = () => setTimeout(open, 1000);
  };
  open();
  for (const button of document.querySelectorAll('button')) {
    button.onclick = () => commands.send(button.dataset.command);
  }
</script>
)";
