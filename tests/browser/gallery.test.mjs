// What a visitor of the gallery relies on, in a real browser. ./run starts it.
//
// One server serves all tests, in order; SEED=<number> repeats a run's random moments.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  assertNothingWrong, assertOnlyTheBrowserAborted, kFree, kImages, kQuick, kSlow, loadedImages, open, random, refreshInMidLoad,
  seeAllImages, seed, startBrowser, startGallery, until,
} from "./gallery.mjs";

const kRefreshes = 30;
const kAborted = Number(process.env.ABORTED ?? 1_000);

let gallery, server, exited, url, get, descriptors, descriptorsAtStart, browser;

before(async () => {
  gallery = await startGallery();
  ({ server, exited, url, get, descriptors, descriptorsAtStart } = gallery);
  browser = await startBrowser();
  console.log(`seed ${seed}, ${url}`);
});

after(async () => {
  await browser?.close();
  gallery?.kill();
});

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
  const visit = await open(context);
  await visit.network.send("Network.setCacheDisabled", { cacheDisabled: true });
  await visit.page.goto(url, { waitUntil: "load" });
  const left = await refreshInMidLoad(visit, kRefreshes, t);
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
