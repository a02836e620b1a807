// Visitors who never wait: pages refreshed all the time, tabs closed in mid-load, on a server with the memory of a
// microcontroller. ./run starts it; STORM_SECONDS=180 makes it last.
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startProbe } from "../attack/probe.mjs";
import { open, random, seeAllImages, seed, startBrowser, startGallery, until } from "./gallery.mjs";

const kSeconds = Number(process.env.STORM_SECONDS ?? 20);
const kRefresh = 300;  // milliseconds
const kTabs = 2;
const kAtOnce = 6;     // requests of one client, as browsers do

let gallery, browser;

before(async () => {
  gallery = await startGallery("--device");
  browser = await startBrowser();
  console.log(`seed ${seed}, ${gallery.url}, ${kSeconds} s each`);
});

after(async () => {
  await browser?.close();
  gallery?.kill();
});

/// Does `storm` while somebody else asks for the sensor, which must be answered at every moment; gives what the
/// server holds afterwards.
async function whileAsked(t, storm) {
  const probe = await startProbe({
    port: Number(new URL(gallery.url).port), interval: 200, keepAlive: false,
    targets: [{ path: "/api/sensor", text: '{"celsius":' }],
  });
  await storm(performance.now() + kSeconds * 1000);
  const { asked, missed, misses, p50, p99, max } = await probe.stop();
  const times = [p50, p99, max].map((time) => time.toFixed(1)).join("/");
  t.diagnostic(`sensor: ${asked - missed} of ${asked} answered, p50/p99/max ${times} ms`);
  assert.deepEqual(misses, []);
}

async function assertNothingIsLeft() {
  let stats;
  await until(() => `left behind: ${JSON.stringify(stats)}`, async () => {
    stats = JSON.parse((await gallery.get("/api/stats")).body);
    return stats.connections === 1 && stats.exchanges === 1 && stats.queued === 0;  // this request's own
  });
  await until(
    () => `open descriptors: ${gallery.descriptors()}; at start: ${gallery.descriptorsAtStart}`,
    () => gallery.descriptors() === gallery.descriptorsAtStart,
  );
}

async function assertAllImagesLoad() {
  const context = await browser.newContext();
  const { page } = await open(context);
  await page.goto(gallery.url, { waitUntil: "load" });
  await seeAllImages(page);
  await context.close();
}

test("refreshes all the time, tabs closed in mid-load", { timeout: (kSeconds + 60) * 1000 }, async (t) => {
  const stormy = await startBrowser();
  const context = await stormy.newContext();
  const done = { refreshes: 0, tabs: 0, stuck: 0 };
  const fresh = async () => {
    const { page, network } = await open(context);
    await network.send("Network.setCacheDisabled", { cacheDisabled: true });
    ++done.tabs;
    return page;
  };
  // A load that is left never ends: that is the point. Now and then the browser itself does not come to an end with
  // a tab that is closed or opened in the middle of one: then it is left, too.
  const left = (promise) => promise.catch(() => {});
  const change = async (page) => {
    await page?.close();
    return fresh();
  };
  const changed = async (page) => {
    for (;; ++done.stuck, page = undefined) {
      const next = await Promise.race([change(page), sleep(5000)]);
      if (next) return next;
    }
  };
  await whileAsked(t, async (end) => {
    await Promise.all(Array.from({ length: kTabs }, async () => {
      let page = await changed();
      while (performance.now() < end) {
        ++done.refreshes;
        left(page.goto(gallery.url, { waitUntil: "commit" }));
        await sleep(kRefresh);
        if (random() < 0.1) page = await changed(page);
      }
    }));
  });
  t.diagnostic(JSON.stringify(done));
  assert.ok(done.refreshes > kTabs * kSeconds, "a browser this slow makes no storm");
  await stormy.close();
  await assertAllImagesLoad();
  await assertNothingIsLeft();
});

test("clients without keep-alive that leave whenever they like", { timeout: (kSeconds + 60) * 1000 }, async (t) => {
  const done = { complete: 0, aborted: 0, failed: [] };
  const load = (path) => new Promise((resolve) => {
    const request = http.get(new URL(path, gallery.url), { agent: false, headers: { Connection: "close" } }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("error", (error) => settle(error.code));
      response.on("end", () => {
        const body = Buffer.concat(parts);
        if (response.statusCode !== 200 || body.length !== Number(response.headers["content-length"]))
          return settle(`${response.statusCode} with ${body.length} bytes`);
        ++done.complete;
        settle();
        resolve(body);
      });
    });
    let left = false;
    const timer = random() < 0.3 && setTimeout(() => {
      left = true;
      ++done.aborted;
      request.destroy();
    }, random() * 20);
    const settle = (wrong) => {
      clearTimeout(timer);
      if (wrong && !left) done.failed.push(`${path}: ${wrong}`);
      resolve();
    };
    request.on("error", (error) => settle(error.code));
  });
  const page = (await gallery.get("/")).body.toString();
  const images = [...new Set(page.match(/\/static\/images\/[^"\s]+/g))];
  await whileAsked(t, async (end) => {
    while (performance.now() < end) {
      const wanted = ["/", ...images.slice(0, 40)];
      await Promise.all(Array.from({ length: kAtOnce }, async () => {
        while (wanted.length !== 0 && performance.now() < end) await load(wanted.pop());
      }));
    }
  });
  t.diagnostic(`${done.complete} complete, ${done.aborted} aborted`);
  assert.deepEqual(done.failed, []);
  assert.ok(done.complete > 100 && done.aborted > 30, "no storm");
  await assertAllImagesLoad();
  await assertNothingIsLeft();
});
