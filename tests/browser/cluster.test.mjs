// Two nodes of one chat as their users see them: pages in a real browser, with the broker and HAProxy that
// examples/cluster/start brings. ./run starts it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { assertNothingWrong, open, startBrowser, until } from "./gallery.mjs";

let browser, cluster, port;
let output = "";
const pids = {};

before(async () => {
  browser = await startBrowser();
  port = await freePorts(4);
  cluster = spawn("../../examples/cluster/start", [join(process.env.MICRODOT_EXAMPLES, "cluster"), "--port", String(port)],
                  { stdio: ["ignore", "ignore", "pipe"] });
  cluster.stderr.on("data", (data) => output += data);
  await until(() => `it did not start: ${output}`, () => /Ctrl-C ends all/.test(output), 20_000);
  [, pids.a, pids.b] = output.match(/node a \(port \d+, PID (\d+)\) and node b \(\d+, (\d+)\)/).map(Number);
});
after(async () => {
  await browser?.close();
  if (cluster === undefined || cluster.exitCode !== null) return;
  cluster.kill("SIGTERM");
  await once(cluster, "exit");
});

/// The first of so many ports in a row that are free.
async function freePorts(count) {
  for (;;) {
    const servers = [];
    try {
      servers.push(net.createServer().listen(0, "127.0.0.1"));
      await once(servers[0], "listening");
      const { port } = servers[0].address();
      for (let i = 1; i < count; ++i) {
        servers.push(net.createServer().listen(port + i, "127.0.0.1"));
        await once(servers[i], "listening");
      }
      return port;
    } catch {
      // another row
    } finally {
      for (const server of servers) server.close();
    }
  }
}

const where = (page) => page.textContent("#where");
const log = (page) => page.$$eval("#log li", (items) => items.map((item) => item.textContent));
const shows = async (page, ...lines) => until(async () => `it shows ${await log(page)}`, async () => (await log(page)).length >= lines.length)
  .then(async () => assert.deepEqual(await log(page), lines));

async function visit(at) {
  const visitor = await open(await browser.newContext());
  await visitor.page.goto(`http://127.0.0.1:${at}/`, { waitUntil: "load" });
  await until(async () => `it says ${await where(visitor.page)}`, async () => /^at node [ab]$/.test(await where(visitor.page)));
  return visitor;
}
async function say(page, name, text) {
  await page.fill("#name", name);
  await page.fill("#text", text);
  await page.click("button");
}

test("what is said at one node is heard at the other", { timeout: 30_000 }, async () => {
  const { page: a, wrong: wrongAtA } = await visit(port + 1);
  const { page: b, wrong: wrongAtB } = await visit(port + 2);
  assert.equal(await where(a), "at node a");
  assert.equal(await where(b), "at node b");
  await say(a, "Ann", "hello <b>");
  await shows(b, "Ann: hello <b>");
  await say(b, "Bob", "Grüße");
  await shows(a, "Ann: hello <b>", "Bob: Grüße");  // each once, where it was said, too
  await shows(b, "Ann: hello <b>", "Bob: Grüße");
  assertNothingWrong(wrongAtA);
  assertNothingWrong(wrongAtB);
});

test("a page whose node is killed finds the other one", { timeout: 30_000 }, async () => {
  const { page: c } = await visit(port);  // by HAProxy
  const node = (await where(c)).at(-1);
  const other = node === "a" ? "b" : "a";
  const { page: d } = await visit(port + (other === "a" ? 1 : 2));
  const { page: e } = await visit(port + (node === "a" ? 1 : 2));  // has no other one
  process.kill(pids[node], "SIGKILL");
  await until(async () => `it is ${await where(c)}`, async () => await where(c) === `at node ${other}`);
  await say(d, "Dan", "still here");
  await shows(c, "Dan: still here");
  await say(c, "Cas", "me too");
  await shows(d, "Dan: still here", "Cas: me too");
  assert.equal(await where(e), "connecting …");
  await say(e, "Eve", "not lost");
  assert.equal(await e.inputValue("#text"), "not lost");
});

test("without the broker it goes on, and one Ctrl-C ends all without a word", { timeout: 30_000 }, async () => {
  const children = readFileSync(`/proc/${cluster.pid}/task/${cluster.pid}/children`, "utf8").trim().split(" ");
  const broker = children.find((pid) => readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "mosquitto");
  process.kill(Number(broker), "SIGTERM");
  await until(() => `it said: ${output}`, () => /the broker has ended: .*\n/.test(output));
  const { page } = await visit(port);
  await say(page, "Fay", "for those who are here");
  await shows(page, "Fay: for those who are here");
  const before = output;
  cluster.kill("SIGINT");
  const [code] = await once(cluster, "exit");
  assert.equal(code, 0);
  assert.equal(output, before);  // nothing of the node that was killed, either
});
