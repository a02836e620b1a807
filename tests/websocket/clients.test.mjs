// The server and the WebSocket client that most Node programs use (npm's ws).
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { WebSocket } from "ws";
import { startServer, until } from "../attack/server.mjs";

let server;
before(async () => (server = await startServer(process.env.WEBSOCKET_SERVER, [])));
after(async () => {
  server.kill("SIGTERM");
  assert.deepEqual(await server.exited, { code: 0, signal: null }, server.output());
  assert.match(server.output(), /ended with 0 connections, 0 exchanges, 0 streams/);
});

async function open(path, protocols = [], options = {}) {
  const ws = new WebSocket(`ws://127.0.0.1:${server.port}${path}`, protocols, options);
  ws.received = [];
  ws.on("message", (data, isBinary) => ws.received.push({ data, isBinary }));
  ws.closed = once(ws, "close").then(([code, reason]) => ({ code, reason: reason.toString() }));
  await once(ws, "open");
  return ws;
}
async function nextMessage(ws) {
  if (!ws.received.length) await once(ws, "message");
  return ws.received.shift();
}
const allEnded = () => until(async () => (await server.stats()).streams === 0);

test("texts and binaries of many sizes come back as they are", async () => {
  const ws = await open("/echo");
  for (const size of [0, 1, 125, 126, 65535, 65536, 262144]) {
    const bytes = Buffer.alloc(size, "äöü");
    ws.send(bytes);
    assert.deepEqual(await nextMessage(ws), { data: bytes, isBinary: true });
    const text = "x".repeat(size);
    ws.send(text);
    assert.deepEqual(await nextMessage(ws), { data: Buffer.from(text), isBinary: false });
  }
  ws.close(4000, "enough");
  assert.deepEqual(await ws.closed, { code: 4000, reason: "" });
});

test("fragments become one message", async () => {
  const ws = await open("/echo");
  for (let i = 0; i < 50; ++i) ws.send(`part ${i} `, { fin: i === 49, binary: false });
  const { data } = await nextMessage(ws);
  assert.equal(data.toString(), Array.from({ length: 50 }, (_, i) => `part ${i} `).join(""));
  ws.close();
  assert.equal((await ws.closed).code, 1000);
});

test("an offer to compress is declined", async () => {
  const ws = await open("/echo", [], { perMessageDeflate: { threshold: 0 } });
  assert.equal(ws.extensions, "");
  ws.send("plain");
  assert.equal((await nextMessage(ws)).data.toString(), "plain");
  ws.close();
  await ws.closed;
});

test("a subprotocol is agreed upon", async () => {
  const ws = await open("/chat", ["v1.chat", "v2.chat"]);
  assert.equal(ws.protocol, "v2.chat");
  assert.equal((await nextMessage(ws)).data.toString(), "v2.chat");
  ws.close();
  await ws.closed;
});

test("pings go both ways", async () => {
  const ws = await open("/impatient");
  const pinged = once(ws, "ping");
  ws.ping("are you there?");
  assert.equal((await once(ws, "pong"))[0].toString(), "are you there?");
  await pinged;  // after silence
  ws.close();
  await ws.closed;
});

test("codes and reasons go both ways", async () => {
  const closed = await open("/close/4321?reason=that%27s%20it");
  assert.deepEqual(await closed.closed, { code: 4321, reason: "that's it" });
  const watched = await open("/watched");
  watched.close(3210, "bye");
  await watched.closed;
  assert.ok(await until(async () => (await server.get("/last-close")).body.toString() === "3210 bye"));
  const gone = await open("/watched");
  gone.terminate();
  assert.ok(await until(async () => (await server.get("/last-close")).body.toString() === "1006 "));
  assert.deepEqual(await (await open("/fails")).closed, { code: 1011, reason: "" });
  const large = await open("/echo");
  large.send(Buffer.alloc(262145));
  assert.equal((await large.closed).code, 1009);
});

test("a page of another origin is refused", async () => {
  const refusal = (options) => new Promise((resolve, reject) => {
    const ws = new WebSocket(`ws://127.0.0.1:${server.port}/echo`, options);
    ws.on("unexpected-response", (request, response) => {
      resolve(response.statusCode);
      response.resume();
    });
    ws.on("open", () => reject(new Error("opened")));
    ws.on("error", reject);
  });
  assert.equal(await refusal({ origin: "http://evil.example" }), 403);
  assert.equal(await refusal({ protocolVersion: 8 }), 426);
});

test("200 at once, which leave without a word", async () => {
  await allEnded();
  const all = await Promise.all(Array.from({ length: 200 }, () => open("/echo")));
  assert.equal((await server.stats()).streams, 200);
  for (const [i, ws] of all.entries()) ws.send(`number ${i}`);
  for (const [i, ws] of all.entries()) assert.equal((await nextMessage(ws)).data.toString(), `number ${i}`);
  for (const ws of all) ws.terminate();
  assert.ok(await allEnded());
});

test("a server that is told to end says so: 1001", async () => {
  const other = await startServer(process.env.WEBSOCKET_SERVER, []);
  const ws = new WebSocket(`ws://127.0.0.1:${other.port}/echo`);
  const closed = once(ws, "close");
  await once(ws, "open");
  other.kill("SIGTERM");
  assert.equal((await closed)[0], 1001);
  assert.deepEqual(await other.exited, { code: 0, signal: null });
});
