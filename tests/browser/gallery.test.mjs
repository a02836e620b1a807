// What a visitor of the gallery relies on, in a real browser. ./run starts it.
//
// One server serves all tests, in order; SEED=<number> repeats a run's random moments.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";

const kImages = 40;
const kRefreshes = 30;
const kAborted = Number(process.env.ABORTED ?? 1_000);
/// Conditions of the network: bytes a second that the browser takes; -1 for no limit.
const speed = (bytes) => ({ offline: false, latency: 0, downloadThroughput: bytes, uploadThroughput: -1 });
const kSlow = speed(300 * 1024), kQuick = speed(1536 * 1024), kFree = speed(-1);

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
let state = seed;
function random() {  // mulberry32
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}

let server, exited, url, descriptorsAtStart, browser;

/// What the server's open descriptors refer to.
function descriptors() {
  const folder = `/proc/${server.pid}/fd`;
  return readdirSync(folder).flatMap((name) => {
    try {
      return [readlinkSync(`${folder}/${name}`).replace(/^socket:.*/, "socket")];
    } catch {
      return [];  // closed meanwhile
    }
  }).sort().join(" ");
}

async function until(what, condition, milliseconds = 10_000) {
  const end = Date.now() + milliseconds;
  while (!(await condition())) {
    if (Date.now() > end) assert.fail(typeof what === "function" ? await what() : what);
    await sleep(20);
  }
}

before(async () => {
  const [program, ...given] = process.env.MICRODOT_GALLERY.split(" ");
  const place = ["--host", "127.0.0.1", "--port", "0"];
  server = spawn(program, [...given, ...place], { stdio: ["ignore", "pipe", "inherit"] });
  exited = once(server, "exit");
  let output = "";
  server.stdout.on("data", (data) => (output += data));
  await until(() => `the gallery did not say where it is: ${output}`, () => /http:\/\/\S+/.test(output));
  url = output.match(/http:\/\/\S+/)[0];
  const sockets = () => descriptors().match(/socket/g).length;
  const socketsAtStart = sockets();
  await get("/");  // the server keeps open the directory that it has served
  await until("a connection stays open", () => sockets() === socketsAtStart);
  descriptorsAtStart = descriptors();
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  console.log(`seed ${seed}, ${url}`);
});

after(async () => {
  await browser?.close();
  if (server && server.exitCode === null && server.signalCode === null) server.kill("SIGKILL");
});

/// A new page that remembers what went wrong in it.
async function open(context) {
  const page = await context.newPage();
  const wrong = { console: [], failed: [], status: [] };
  page.on("console", (message) => message.type() === "error" && wrong.console.push(message.text()));
  page.on("pageerror", (error) => wrong.console.push(String(error)));
  page.on("requestfailed", (request) => wrong.failed.push(`${request.failure().errorText} ${request.url()}`));
  page.on("response", (response) => {
    if (response.status() >= 400) wrong.status.push(`${response.status()} ${response.url()}`);
  });
  const network = await context.newCDPSession(page);
  await network.send("Network.enable");
  return { page, wrong, network };
}

const loadedImages = (page) =>
  page.evaluate(() => {
    const images = [...document.querySelectorAll("main img")];
    return images.filter((image) => image.complete && image.naturalWidth > 0).length;
  });

/// Scrolls to the bottom as a reader does and waits until every image is there.
async function seeAllImages(page) {
  await page.evaluate(async () => {
    for (let y = 0; y < document.body.scrollHeight; y += innerHeight / 2) {
      scrollTo(0, y);
      await new Promise(requestAnimationFrame);
    }
    scrollTo(0, document.body.scrollHeight);
  });
  let loaded;
  await until(
    () => `${loaded} of ${kImages} images`,
    async () => (loaded = await loadedImages(page)) === kImages,
  );
}

/// Refreshing ends requests, which is the browser's own doing; nothing else may fail.
function assertOnlyTheBrowserAborted(wrong) {
  assert.deepEqual(wrong.failed.filter((line) => !line.startsWith("net::ERR_ABORTED ")), []);
  assert.deepEqual(wrong.status, []);
}

function assertNothingWrong(wrong) {
  assert.deepEqual(wrong, { console: [], failed: [], status: [] });
}

/// A plain request, outside the browser. A given agent may keep its connection.
function get(path, options = {}) {
  return new Promise((resolve, reject) => {
    const request = http.get(new URL(path, url), { agent: false, timeout: 5000, ...options }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => {
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) });
      });
      response.on("error", reject);
    });
    request.on("timeout", () => request.destroy(new Error(`no answer for ${path}`)));
    request.on("error", reject);
  });
}

test("the page loads 40 of 40 images, and nothing fails", { timeout: 60_000 }, async () => {
  const context = await browser.newContext();
  const { page, wrong } = await open(context);
  const answer = await page.goto(url, { waitUntil: "load" });
  assert.equal(answer.status(), 200);
  const loading = await page.evaluate(() => [...document.querySelectorAll("main img")].map((i) => i.loading));
  assert.equal(loading.length, kImages);
  const lazy = loading.filter((value) => value === "lazy").length;
  assert.ok(lazy > kImages / 2, `only ${lazy} images are lazy`);
  await seeAllImages(page);
  const urls = await page.evaluate(() => [...document.querySelectorAll("main img")].map((i) => i.currentSrc));
  assert.equal(new Set(urls).size, kImages);
  assertNothingWrong(wrong);
  await context.close();
});

test("30 refreshes, half of them in mid-load, end with 40 of 40 images", { timeout: 180_000 }, async (t) => {
  const context = await browser.newContext();
  const { page, wrong, network } = await open(context);
  await network.send("Network.setCacheDisabled", { cacheDisabled: true });
  await page.goto(url, { waitUntil: "load" });
  let left = 0;
  for (let round = 0; round < kRefreshes; ++round) {
    if (round % 2 === 1) {
      const wait = Math.floor(random() * 300);
      // A reader that is not the fastest, so that the server is in the middle of sending when it is left.
      await network.send("Network.emulateNetworkConditions", random() < 0.5 ? kSlow : kQuick);
      await page.reload({ waitUntil: "commit" });
      await sleep(wait);
      const loaded = await loadedImages(page);
      left += loaded < kImages ? 1 : 0;
      await network.send("Network.emulateNetworkConditions", kFree);
      t.diagnostic(`round ${round}: left after ${wait} ms with ${loaded} images`);
    }
    await page.reload({ waitUntil: "load" });
    await seeAllImages(page);
    assertOnlyTheBrowserAborted(wrong);
  }
  assert.ok(left >= kRefreshes / 3, `only ${left} loads were left before their end`);
  await context.close();
});

test("interrupted first visits are completed from where they stopped", { timeout: 120_000 }, async () => {
  for (let round = 0; round < 6; ++round) {
    const context = await browser.newContext();  // with an empty cache
    const { page, wrong, network } = await open(context);
    await network.send("Network.emulateNetworkConditions", kSlow);
    await page.goto(url, { waitUntil: "commit" });
    await sleep(200 + random() * 800);
    await network.send("Network.emulateNetworkConditions", kFree);
    await page.goto(url, { waitUntil: "load" });
    await seeAllImages(page);
    assertOnlyTheBrowserAborted(wrong);
    await context.close();
  }
});

test("a second visit transfers no image bodies", { timeout: 60_000 }, async () => {
  const context = await browser.newContext();
  const first = await open(context);
  await first.page.goto(url, { waitUntil: "load" });
  await seeAllImages(first.page);
  await first.page.close();

  const { page, wrong, network } = await open(context);
  const images = new Map();
  network.on("Network.requestWillBeSent", ({ requestId, type, request }) => {
    if (type !== "Image" || !request.url.includes("/images/")) return;
    images.set(requestId, { url: request.url, cached: false, bytes: 0 });
  });
  const note = (requestId, seen) => images.has(requestId) && Object.assign(images.get(requestId), seen);
  network.on("Network.requestServedFromCache", ({ requestId }) => note(requestId, { cached: true }));
  network.on("Network.responseReceived", ({ requestId, response }) => {
    if (response.fromDiskCache || response.status === 304) note(requestId, { cached: true });
  });
  network.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    note(requestId, { bytes: encodedDataLength });
  });
  await page.goto(url, { waitUntil: "load" });
  await seeAllImages(page);
  assert.equal(new Set([...images.values()].map((image) => image.url)).size, kImages);
  assert.deepEqual([...images.values()].filter((image) => !image.cached || image.bytes > 1024), []);
  assertNothingWrong(wrong);
  await context.close();
});

test("what the page names is kept for ever, and the page itself is asked for again", async () => {
  const page = await get("/");
  assert.equal(page.status, 200);
  assert.doesNotMatch(page.headers["cache-control"] ?? "", /immutable/);
  assert.equal((await get("/", { headers: { "If-None-Match": page.headers.etag } })).status, 304);
  const named = page.body.toString().match(/\/static\/[^"]+\?v=[0-9a-f]{8}/g);
  for (const path of new Set(named)) {
    const { status, headers, body } = await get(path);
    assert.equal(status, 200, path);
    assert.equal(Number(headers["content-length"]), body.length, path);
    assert.match(headers["cache-control"], /max-age=\d{7,}.*immutable/, path);
  }
});

test("the sensor goes on while the images load", { timeout: 60_000 }, async () => {
  const context = await browser.newContext();
  const { page, wrong, network } = await open(context);
  await network.send("Network.emulateNetworkConditions", kSlow);
  await page.goto(url, { waitUntil: "commit" });
  const readings = new Set();
  await until(() => `the page showed only readings ${[...readings]}`, async () => {
    const [text, loaded] = await page.evaluate(() => [
      document.querySelector("#readings")?.textContent,
      document.readyState === "complete",
    ]);
    assert.ok(!loaded || readings.size >= 3, `loaded, and the page showed only readings ${[...readings]}`);
    if (/^\d+$/.test(text ?? "")) readings.add(Number(text));
    return readings.size >= 3;
  }, 20_000);
  assert.deepEqual([...readings], [...readings].sort((a, b) => a - b));
  await network.send("Network.emulateNetworkConditions", kFree);
  await seeAllImages(page);
  assertNothingWrong(wrong);
  await context.close();
});

test(`${kAborted} loads that the browser aborts do not harm the next`, { timeout: 300_000 }, async (t) => {
  const context = await browser.newContext();
  const { page, wrong } = await open(context);
  await page.goto(url, { waitUntil: "load" });
  const aborted = await page.evaluate(async ([total, seed]) => {
    const urls = [...document.querySelectorAll("main a")].map((link) => link.href);
    const aborted = { request: 0, head: 0, body: 0 };
    let started = 0;
    async function load(number) {  // until the request, the answer's head or some of its body was sent
      const moment = ["request", "head", "body"][number % 3];
      const abort = new AbortController();
      if (moment === "request") setTimeout(() => abort.abort(), number % 4);
      try {
        const { body } = await fetch(urls[number % urls.length], { cache: "no-store", signal: abort.signal });
        const reader = body.getReader();
        if (moment === "head") abort.abort();
        await reader.read();
        if (moment === "body") abort.abort();
        while (!(await reader.read()).done);
      } catch (error) {
        if (error.name !== "AbortError") throw error;
        ++aborted[moment];
      }
    }
    async function client() {
      while (aborted.request + aborted.head + aborted.body < total) await load((seed + started++ * 7919) % 120);
    }
    await Promise.all(Array.from({ length: 12 }, client));
    return aborted;
  }, [kAborted, seed]);
  t.diagnostic(`aborted after ${JSON.stringify(aborted)}`);
  await page.reload({ waitUntil: "load" });
  await seeAllImages(page);
  assertOnlyTheBrowserAborted(wrong);
  await context.close();
});

test("after all this the server is as it was", { timeout: 60_000 }, async () => {
  await browser.close();
  const asked = performance.now();
  const answer = await get("/api/sensor");
  const waited = performance.now() - asked;
  assert.equal(answer.status, 200);
  assert.ok(waited < 500, `a plain request took ${waited} ms`);
  const { celsius, humidity, readings } = JSON.parse(answer.body);
  const likely = Math.abs(celsius - 21.5) < 20 && humidity >= 0 && humidity <= 100 && readings > 0;
  assert.ok(likely, String(answer.body));
  await until(
    () => `open descriptors: ${descriptors()}; at start: ${descriptorsAtStart}`,
    () => descriptors() === descriptorsAtStart,
  );
});

test("Ctrl-C ends it within a second", { timeout: 20_000 }, async () => {
  // One client keeps its connection for a next request; another asked for more than it reads.
  const agent = new http.Agent({ keepAlive: true });
  const page = await get("/", { agent });
  assert.equal(page.status, 200);
  const images = page.body.toString().match(/\/static\/images\/[^"]+/g);
  const stuck = net.connect(new URL(url).port, "127.0.0.1").on("error", () => {});
  const request = (i) => `GET ${images[i % images.length]} HTTP/1.1\r\nHost: gallery\r\n\r\n`;
  for (let i = 0; i < 500; ++i) stuck.write(request(i));
  await once(stuck, "readable");
  const start = performance.now();
  server.kill("SIGINT");
  const outcome = await Promise.race([exited, sleep(5000, "still running after 5 s")]);
  const took = performance.now() - start;
  agent.destroy();
  stuck.destroy();
  assert.deepEqual(outcome, [0, null]);
  assert.ok(took < 1000, `it took ${took} ms`);
});
