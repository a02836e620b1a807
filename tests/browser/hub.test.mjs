// The device hub as its users see it: a page in a real browser, and others at a real broker. ./run starts it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { assertNothingWrong, open, startBrowser, startExample, until } from "./gallery.mjs";

const folder = mkdtempSync(join(tmpdir(), "microdot-hub-"));
const started = [];
let browser, port;

before(async () => {
  browser = await startBrowser();
  port = await freePort();
});
after(async () => {
  await browser?.close();
  for (const process of started) process.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

function start(program, ...options) {
  const process = spawn(program, options, { stdio: ["ignore", "pipe", "pipe"] });
  started.push(process);
  return process;
}

const answers = () => new Promise((resolve) => {
  const socket = net.connect(port, "127.0.0.1", () => {
    socket.destroy();
    resolve(true);
  });
  socket.on("error", () => resolve(false));
});

async function startBroker() {
  const config = join(folder, "mosquitto.conf");
  writeFileSync(config, `listener ${port} 127.0.0.1\nallow_anonymous true\n`);
  const broker = start("mosquitto", "-c", config);
  await until("the broker did not start", answers);
  return broker;
}

/// Somebody at the broker: what comes, by topic.
async function subscribe(filter, at = port) {
  const client = start("mosquitto_sub", "-p", String(at), "-q", "1", "-F", "%r %t %p", "-t", filter);
  const lines = [];
  let rest = "";
  client.stdout.on("data", (data) => {
    const parts = (rest + data).split("\n");
    rest = parts.pop();
    lines.push(...parts.map((line) => {
      const [retained, topic, ...payload] = line.split(" ");
      return { retained: retained === "1", topic, payload: payload.join(" "), at: Date.now() };
    }));
  });
  return { lines, of: (topic) => lines.filter((line) => line.topic === topic), end: () => client.kill() };
}

async function publish(topic, message) {
  const client = start("mosquitto_pub", "-p", String(port), "-q", "1", "-t", topic, "-m", message);
  const [code] = await once(client, "exit");
  assert.equal(code, 0);
}

const startHub = () => startExample(join(process.env.MICRODOT_EXAMPLES, "device_hub"), "--broker", `127.0.0.1:${port}`, "--id", "7");
const text = (page, selector) => page.textContent(selector);
const shows = (page, selector, wanted) => until(
  async () => `${selector} is "${await text(page, selector)}", not ${wanted}`,
  async () => (wanted instanceof RegExp ? wanted.test(await text(page, selector)) : await text(page, selector) === wanted), 15_000);
const last = (lines) => JSON.parse(lines.at(-1)?.payload ?? "{}");

test("page and broker see the same, and each can switch", { timeout: 60_000 }, async () => {
  const broker = await startBroker();
  const seen = await subscribe("hub/7/#");
  const hub = await startHub();
  const { page, wrong } = await open(await browser.newContext());
  await page.goto(hub.url, { waitUntil: "load" });
  await shows(page, "#page", "live");
  await shows(page, "#broker", "connected");
  await shows(page, "#temperature", /^-?\d+\.\d$/);
  await shows(page, "#actuator", "off");

  const states = () => seen.of("hub/7/state");
  await until(() => `states: ${JSON.stringify(seen.lines)}`, () => states().length >= 4);
  const [, second, third, fourth] = states();
  for (const [before, next] of [[second, third], [third, fourth]]) {
    assert.ok(next.at - before.at > 700 && next.at - before.at < 1500, `a state each second, not after ${next.at - before.at} ms`);
  }
  const state = last(states());
  assert.deepEqual(Object.keys(state), ["temperature", "humidity", "actuator", "samples"]);
  assert.deepEqual(seen.of("hub/7/online").map((line) => line.payload), ["true"]);

  await page.click("button[data-command=on]");
  await shows(page, "#actuator", "on");
  await until("the broker did not learn that it is on", () => last(states()).actuator === true);
  for (const [command, wanted] of [["off", "off"], ['{"actuator": true}', "on"], ["toggle", "off"]]) {
    await publish("hub/7/set", command);
    await shows(page, "#actuator", wanted);
  }
  await publish("hub/7/set", "nonsense");
  await publish("hub/7/set", '{"actuator":');
  await publish("hub/7/set", "x".repeat(100_000));
  await publish("hub/7/set", "on");
  await shows(page, "#actuator", "on");

  // Without the broker the page goes on, and says so.
  broker.kill("SIGTERM");
  await once(broker, "exit");
  await shows(page, "#broker", /^(?!connected).+/);
  await page.click("button[data-command=off]");
  await shows(page, "#actuator", "off");
  const shown = await text(page, "#page");
  assert.equal(shown, "live");
  await startBroker();
  await shows(page, "#broker", "connected");
  const again = await subscribe("hub/7/#");
  await until("no state after the broker came back", () => again.of("hub/7/state").some((line) => !line.retained));
  assert.equal(last(again.of("hub/7/state")).actuator, false);
  await publish("hub/7/set", "on");
  await shows(page, "#actuator", "on");
  assertNothingWrong(wrong);

  // It ends by saying goodbye: the last state is there, and who comes later knows that it has gone.
  hub.server.kill("SIGINT");
  const [code] = await hub.exited;
  assert.equal(code, 0);
  await until(() => `no goodbye: ${JSON.stringify(again.lines)}`, () => again.of("hub/7/online").at(-1)?.payload === "false");
  const later = await subscribe("hub/7/#");
  await until("nothing is kept", () => later.lines.length >= 2);
  assert.equal(last(later.of("hub/7/state")).actuator, true);
  assert.deepEqual(later.of("hub/7/online").map((line) => line.payload), ["false"]);
  for (const client of [seen, again, later]) client.end();
});

test("clients that do not go keep it neither alive nor from saying goodbye", { timeout: 30_000 }, async () => {
  if (!(await answers())) await startBroker();
  const hub = await startHub();
  const seen = await subscribe("hub/7/#");
  const { hostname, port: at } = new URL(hub.url);
  // An event stream and a WebSocket that stay open whatever they are told, and half a request.
  const stubborn = [
    "GET /events HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /commands HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
  ].map((request) => {
    const socket = net.connect({ host: hostname, port: Number(at), allowHalfOpen: true }, () => socket.write(request));
    socket.on("error", () => {});
    return socket;
  });
  await Promise.all(stubborn.slice(0, 2).map((socket) => once(socket, "data")));
  await publish("hub/7/set", "on");
  await until("it was not switched on", () => last(seen.of("hub/7/state")).actuator === true);

  const begin = Date.now();
  hub.server.kill("SIGINT");
  const [code] = await hub.exited;
  const took = Date.now() - begin;
  assert.equal(code, 0);
  assert.ok(took < 4500, `it took ${took} ms`);
  await publish("hub/7/after", "all");
  await until("nothing comes from the broker", () => seen.of("hub/7/after").length > 0);
  // It said the last state, then that it goes; its will would say so a second time.
  const [state, online] = seen.lines.slice(-3);
  assert.deepEqual([state.topic, online.topic, online.payload], ["hub/7/state", "hub/7/online", "false"], JSON.stringify(seen.lines));
  assert.equal(last([state]).actuator, true);
  const said = seen.of("hub/7/online").map((line) => line.payload);
  assert.deepEqual(said.slice(said.lastIndexOf("true")), ["true", "false"]);
  for (const socket of stubborn) socket.destroy();
  seen.end();
});

test("a hub that dies is missed: its will says so", { timeout: 30_000 }, async () => {
  if (!(await answers())) await startBroker();
  const hub = await startHub();
  const seen = await subscribe("hub/7/online");
  await until("it is not online", () => seen.lines.at(-1)?.payload === "true");
  hub.server.kill("SIGKILL");
  await until("nobody missed it", () => seen.lines.at(-1)?.payload === "false");
  seen.end();
});

test("Ctrl-C in a terminal, with a viewer, is one signal: the hub says goodbye, once, to the broker that it has started", { timeout: 60_000 }, async () => {
  const program = join(process.env.MICRODOT_EXAMPLES, "device_hub");
  const command = [fileURLToPath(new URL("../../examples/device_hub/start", import.meta.url)), program, "--port", "0"];
  for (let round = 0; round < 2; ++round) {
    // exec: script's shell, which need not be bash, would take the signal, too, and tell of it by its exit code.
    const terminal = spawn("script", ["-qec", `exec ${command.join(" ")}`, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
    started.push(terminal);
    const exited = once(terminal, "exit");
    let said = "";
    terminal.stdout.on("data", (data) => { said += data; });
    await until(() => `it said: ${said}`, () => /http:\S+/.test(said) && /mqtt: connected/.test(said));
    const seen = await subscribe("hub/1/#", Number(said.match(/a broker is at 127\.0\.0\.1:(\d+)/)[1]));
    const { hostname, port: at } = new URL(said.match(/http:\S+/)[0]);
    const viewer = net.connect({ host: hostname, port: Number(at), allowHalfOpen: true },
      () => viewer.write("GET /events HTTP/1.1\r\nHost: a\r\n\r\n"));
    viewer.on("error", () => {});
    await once(viewer, "data");
    await until("no state", () => seen.of("hub/1/state").length > 0);

    terminal.stdin.write("\x03");
    const [code] = await exited;
    assert.equal(code, 0, said);
    assert.match(said, /said goodbye to the broker/);
    await until(() => `no goodbye: ${JSON.stringify(seen.lines)}`, () => seen.of("hub/1/online").at(-1)?.payload === "false");
    await new Promise((resolve) => { setTimeout(resolve, 200); }); // a will would come now
    assert.deepEqual(seen.of("hub/1/online").map((line) => line.payload), ["true", "false"]);
    viewer.destroy();
    seen.end();
  }
});
