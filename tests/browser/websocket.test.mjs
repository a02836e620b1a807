// WebSocket and EventSource in a real browser: what pages see of messages, ends and interruptions.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { start, startServer } from "../attack/server.mjs";
import { assertNothingWrong, open, startBrowser, until } from "./gallery.mjs";

const program = process.env.WEBSOCKET_SERVER;
let server, browser;

before(async () => {
  server = await startServer(program, []);
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  server?.kill("SIGKILL");
});

async function visit(url = `http://127.0.0.1:${server.port}/`, from = browser) {
  const context = await from.newContext();
  const visited = await open(context);
  await visited.page.goto(url, { waitUntil: "load" });
  return { ...visited, context };
}

/// Connects, sends, and tells all that has happened when it is closed; by the page itself after `count` messages.
const talk = (page, path, messages, { count = messages.length, close = [1000], protocols = [] } = {}) =>
  page.evaluate(async ({ path, messages, count, close, protocols }) => {
    const ws = new WebSocket(`ws://${location.host}${path}`, protocols);
    ws.binaryType = "arraybuffer";
    const seen = { received: [], errors: 0 };
    ws.onopen = () => {
      for (const m of messages) ws.send(typeof m === "string" ? m : new Uint8Array(m));
      if (!messages.length && count === 0) ws.close(...close);
    };
    ws.onmessage = ({ data }) => {
      seen.received.push(typeof data === "string" ? data : [...new Uint8Array(data)]);
      if (seen.received.length === count) ws.close(...close);
    };
    ws.onerror = () => ++seen.errors;
    return new Promise((resolve) => {
      ws.onclose = ({ code, reason, wasClean }) =>
        resolve({ ...seen, code, reason, wasClean, protocol: ws.protocol, extensions: ws.extensions });
    });
  }, { path, messages, count, close, protocols });

test("texts and bytes come back", { timeout: 30_000 }, async () => {
  const { page, wrong, context } = await visit();
  const messages = ["", "hello", "κόσμε 🌍", [], [0, 1, 254, 255], "x".repeat(100_000), Array(70_000).fill(7)];
  const seen = await talk(page, "/echo", messages);
  assert.deepEqual(seen, { received: messages, errors: 0, code: 1000, reason: "", wasClean: true, protocol: "", extensions: "" });
  assertNothingWrong(wrong);
  await context.close();
});

test("codes and reasons arrive, whoever closes", { timeout: 30_000 }, async () => {
  const { page, wrong, context } = await visit();
  const pick = ({ code, reason, wasClean }) => [code, reason, wasClean];
  assert.deepEqual(pick(await talk(page, "/watched", [], { count: 0, close: [4005, "leaving"] })), [4005, "", true]);
  await until("the code arrives", async () => (await server.get("/last-close")).body.toString() === "4005 leaving");
  assert.deepEqual(pick(await talk(page, "/close", ["4006 go away"], { count: 2 })), [4006, "go away", true]);
  assert.deepEqual(pick(await talk(page, "/close", ["1005 "], { count: 2 })), [1005, "", true]);  // a frame without a code
  const last = await talk(page, "/returns", [], { count: 2 });
  assert.deepEqual([last.received, ...pick(last)], [["bye"], 1000, "", true]);
  assert.deepEqual(pick(await talk(page, "/fails", [], { count: 2 })), [1011, "", true]);
  assert.deepEqual(pick(await talk(page, "/echo", ["x".repeat(262_145)])), [1009, "message too large", true]);
  const chat = await talk(page, "/chat", [], { count: 1, protocols: ["v1.chat", "v0.chat"] });
  assert.deepEqual([chat.protocol, chat.received], ["v1.chat", ["v1.chat"]]);
  assertNothingWrong(wrong);
  await context.close();
});

test("a page that goes away ends its sockets", { timeout: 30_000 }, async () => {
  const { page, wrong, context } = await visit();
  await page.evaluate(() => Promise.all(Array.from({ length: 5 }, () => new Promise((resolve) => {
    const ws = new WebSocket(`ws://${location.host}/echo`);
    (globalThis.sockets ??= []).push(ws);
    ws.onopen = resolve;
  }))));
  assert.equal((await server.stats()).streams, 5);
  await page.reload();
  await until("streams are left", async () => (await server.stats()).streams === 0);
  assertNothingWrong(wrong);
  await context.close();
});

/// Keeps the numbers of all events in the page's `events`, and how often it was opened.
const listen = (page) => page.evaluate(() => {
  globalThis.events = [];
  globalThis.opened = 0;
  const source = new EventSource("/events");
  source.onopen = () => ++opened;
  source.onmessage = ({ data, lastEventId }) => events.push(data === lastEventId ? Number(data) : data);
});
const countOf = (page) => page.evaluate(() => events.length);
const hasMore = async (page, count = 5) => {
  const before = await countOf(page);
  await until("no more events", async () => (await countOf(page)) >= before + count, 20_000);
};
const assertNoneIsMissing = async (page) => {
  const events = await page.evaluate(() => events);
  assert.deepEqual(events, events.map((_, i) => i + 1));
};

test("events go on where they stopped when the server comes back", { timeout: 60_000 }, async (t) => {
  let other = await startServer(program, []);
  t.after(() => other.kill("SIGKILL"));
  const { page, wrong, context } = await visit(`http://127.0.0.1:${other.port}/`);
  await listen(page);
  await hasMore(page);
  assertNothingWrong(wrong);
  for (const signal of ["SIGTERM", "SIGKILL"]) {
    other.kill(signal);
    await other.exited;
    await sleep(500);
    other = await startServer(program, ["--port", String(other.port)]);
    await hasMore(page);
  }
  await assertNoneIsMissing(page);
  assert.equal(await page.evaluate(() => opened), 3);
  // Nobody was there meanwhile; nothing else went wrong.
  const expected = /net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING)/;
  assert.deepEqual(wrong.console.filter((line) => !expected.test(line)), []);
  await context.close();
});

test("events go on when the network was away", { timeout: 120_000 }, async (t) => {
  const [here, there] = [`microdot-server-${process.pid}`, `microdot-browser-${process.pid}`];
  const ip = (...args) => execFileSync("ip", args, { stdio: ["ignore", "pipe", "pipe"] });
  try {
    ip("netns", "add", here);
  } catch (error) {
    return t.skip(`needs root to make network namespaces: ${error.message}`);
  }
  const folder = mkdtempSync(`${tmpdir()}/microdot-`);
  let far, inside;
  try {
    ip("netns", "add", there);
    ip("-n", here, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", there);
    for (const side of [here, there]) {
      ip("-n", side, "link", "set", "lo", "up");
      ip("-n", side, "link", "set", "cable", "up");
    }
    ip("-n", here, "addr", "add", "10.78.0.1/24", "dev", "cable");
    ip("-n", there, "addr", "add", "10.78.0.2/24", "dev", "cable");
    inside = start("ip", ["netns", "exec", here, program, "--host", "10.78.0.1", "--port", "5000"], { stdio: "pipe" });
    let output = "";
    inside.stdout.on("data", (data) => (output += data));
    await until("the server does not start", () => output.includes("listening on"));
    const wrapper = `${folder}/chromium`;
    writeFileSync(wrapper, `#!/bin/sh\nexec ip netns exec ${there} '${process.env.CHROMIUM}' "$@"\n`);
    chmodSync(wrapper, 0o755);
    far = await startBrowser(wrapper);
    const { page, wrong } = await visit("http://10.78.0.1:5000/", far);
    await listen(page);
    await hasMore(page);
    assertNothingWrong(wrong);
    // A cable that is pulled out and put back: the browser may connect again, or not.
    ip("-n", here, "link", "set", "cable", "down");
    await sleep(2000);
    ip("-n", here, "link", "set", "cable", "up");
    await hasMore(page);
    await assertNoneIsMissing(page);
    // The server's address goes for a while.
    ip("-n", here, "addr", "del", "10.78.0.1/24", "dev", "cable");
    await sleep(1000);
    ip("-n", here, "addr", "add", "10.78.0.1/24", "dev", "cable");
    await hasMore(page);
    await assertNoneIsMissing(page);
    t.diagnostic(`opened ${await page.evaluate(() => opened)} times`);
    assert.deepEqual(wrong.console.filter((line) => !/net::ERR_/.test(line)), []);
  } finally {
    await far?.close();
    inside?.kill("SIGTERM");
    ip("netns", "del", here);
    ip("netns", "del", there);
    rmSync(folder, { recursive: true, force: true });
  }
});
