// The status page, in a real browser: numbers and charts that move, and what becomes of it when the server goes.
// ./run starts it. SHOTS=<folder> keeps pictures of the page there.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { assertNothingWrong, assertOnlyTheBrowserAborted, open, startBrowser, startGallery, until } from "./gallery.mjs";

let gallery, browser;

before(async () => {
  gallery = await startGallery();
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  gallery?.kill();
});

const kLooks = [
  { name: "desktop-light", colorScheme: "light", viewport: { width: 1200, height: 900 } },
  { name: "desktop-dark", colorScheme: "dark", viewport: { width: 1200, height: 900 } },
  { name: "phone-light", colorScheme: "light", viewport: { width: 360, height: 740 } },
  { name: "phone-dark", colorScheme: "dark", viewport: { width: 360, height: 740 } },
];

async function visit(look = kLooks[0]) {
  const context = await browser.newContext(look);
  const { page, wrong } = await open(context);
  await page.goto(new URL("/status", gallery.url).href, { waitUntil: "load" });
  return { context, page, wrong };
}
const text = (page, selector) => page.textContent(selector);
const is = (page, selector, wanted, milliseconds) => until(
  async () => `${selector} is "${await text(page, selector)}", not ${wanted}`,
  async () => (wanted instanceof RegExp ? wanted.test(await text(page, selector)) : await text(page, selector) === wanted),
  milliseconds,
);
const paths = (page, chart) => page.$$eval(`#${chart} path`, (all) => all.map((path) => path.getAttribute("d")).join(" "));

/// Asks for these paths, again and again until it is told to stop.
function load(...paths) {
  const agent = new http.Agent({ keepAlive: true });
  let on = true;
  const done = (async () => {
    while (on) {
      for (const path of paths) await gallery.get(path, { agent });
      await sleep(20);
    }
    agent.destroy();
  })();
  return { stop: () => (on = false, done) };
}

test("numbers and charts follow what happens", { timeout: 30_000 }, async () => {
  const { context, page, wrong } = await visit();
  await is(page, "#link", "Live");
  await is(page, "#tier [aria-current]", "normal");
  await is(page, "#means", "Everybody is served at once.");
  await is(page, "#rate", /^\d/);
  const charts = ["requests", "times", "traffic"];
  const before = await Promise.all(charts.map((chart) => paths(page, chart)));
  const { stop } = load("/api/sensor", "/static/style.css", "/nothing-there");
  await until(async () => `${await text(page, "#rate")} requests a second`, async () => Number(await text(page, "#rate")) > 20);
  for (const [i, chart] of charts.entries()) {
    await until(`the chart ${chart} stands still`, async () => (await paths(page, chart)) !== before[i]);
  }
  const first = await paths(page, "requests");
  await until("the chart does not go on", async () => (await paths(page, "requests")) !== first);
  await is(page, "#p50", /^< \d+ (µs|ms)$/);
  await is(page, "#out", /^\d[\d.]* kB$/);
  await stop();

  const rows = await page.$$eval("#routes tr", (all) => all.map((row) => [...row.cells].map((cell) => cell.textContent)));
  assert.deepEqual(rows.slice(0, 2).map((row) => row[1]).sort(), ["/api/sensor", "/static/*"]);
  assert.ok(rows.every(([method, path, , all]) => method === "GET" && path.startsWith("/") && /^[\d,]+$/.test(all)), rows.join("\n"));
  const wrongs = await page.$$eval("#sums div", (all) => all.map((one) => one.textContent));
  assert.match(wrongs[1], /^4xx[1-9]/);
  assert.equal(wrongs[2], "5xx0");
  assert.match(await page.title(), /^[\d.,]+\/s, normal/);
  assertNothingWrong(wrong);
  await context.close();
});

test("it looks right in any light and on a phone, and asks nobody else", { timeout: 30_000 }, async () => {
  const { stop } = load("/api/sensor", "/", "/nothing-there", "/static/images/01.webp");
  await Promise.all(kLooks.map(async (look) => {
    const context = await browser.newContext(look);
    const { page, wrong } = await open(context);
    const asked = new Set();
    page.on("request", (request) => request.url().startsWith("data:") || asked.add(new URL(request.url()).pathname));
    await page.goto(new URL("/status", gallery.url).href);
    await is(page, "#link", "Live");
    await is(page, "#rate", /^\d/);
    await until(() => [...asked].join(), () => asked.has("/status/events"));
    assert.deepEqual([...asked].sort(), ["/status", "/status/data", "/status/events"]);
    const width = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.equal(width[0], width[1], `${look.name}: it has to be scrolled sideways`);
    const [front, back] = await page.$eval("#rate", (node) => {
      let card = node;
      while (getComputedStyle(card).backgroundColor === "rgba(0, 0, 0, 0)") card = card.parentElement;
      return [getComputedStyle(node).color, getComputedStyle(card).backgroundColor];
    });
    const light = (color) => color.match(/\d+/g).slice(0, 3).reduce((sum, n) => sum + Number(n), 0);
    const [dark, bright] = look.colorScheme === "dark" ? [back, front] : [front, back];
    assert.ok(light(bright) - light(dark) > 450, `${look.name}: ${front} on ${back}`);
    // Who does not see it hears the same.
    const charts = await page.$$eval("[role=img]", (all) => all.map((one) => one.getAttribute("aria-label")));
    assert.ok(charts.length === 3 && charts.every((label) => /\d/.test(label)), charts.join());
    const meters = await page.$$eval("[role=meter]", (all) => all.map((one) => [one.ariaLabel, one.ariaValueText]));
    assert.ok(meters.length >= 6 && meters.every(([label, value]) => label && / of |none/.test(value)), meters.join());
    if (process.env.SHOTS) {
      await sleep(6000);
      await page.screenshot({ path: `${process.env.SHOTS}/${look.name}.png`, fullPage: true });
    }
    assertNothingWrong(wrong);
    await context.close();
  }));
  await stop();
});

test("while nobody looks nothing is asked for", { timeout: 30_000 }, async () => {
  const { context, page, wrong } = await visit();
  await is(page, "#link", "Live");
  const hide = (hidden) => page.evaluate((to) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => to });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  await hide(true);
  await is(page, "#link", "Paused");
  await until("the events go on", async () => JSON.parse((await gallery.get("/status/data")).body).exchanges[0] === 1);
  const seen = await text(page, "#up");
  let asked = 0;
  page.on("request", () => ++asked);
  await sleep(2500);
  assert.equal(asked, 0);
  assert.equal(await text(page, "#up"), seen);
  await hide(false);
  await is(page, "#link", "Live");
  await until("it stands still", async () => (await text(page, "#up")) !== seen);
  assert.deepEqual(wrong.console, []);
  assertOnlyTheBrowserAborted(wrong);  // its events
  await context.close();
});

test("where there are no events it asks again and again", { timeout: 30_000 }, async () => {
  const context = await browser.newContext();
  const { page } = await open(context);
  await page.route("**/status/events", (route) => route.fulfill({ status: 503, body: "" }));
  let asked = 0;
  page.on("request", (request) => request.url().endsWith("/data") && ++asked);
  await page.goto(new URL("/status", gallery.url).href);
  await until("it has asked only once", () => asked >= 3);
  await is(page, "#link", "Live");
  await is(page, "#rate", /^\d/);
  await context.close();
});

test("a server without streams is not asked for events", { timeout: 30_000 }, async () => {
  const small = await startGallery("--device");
  try {
    const context = await browser.newContext();
    const { page, wrong } = await open(context);
    const asked = [];
    page.on("request", (request) => asked.push(new URL(request.url()).pathname));
    await page.goto(new URL("/status", small.url).href);
    await is(page, "#rate", /^\d/);
    await is(page, "#link", "Live");
    assert.ok(asked.includes("/status/data") && !asked.includes("/status/events"), asked.join());
    assertNothingWrong(wrong);
    await context.close();
  } finally {
    small.kill();
  }
});

test("it says that it may not see the numbers", { timeout: 30_000 }, async () => {
  const context = await browser.newContext();
  const { page } = await open(context);
  await page.route("**/status/*", (route) => route.fulfill({ status: 403, body: "" }));
  await page.goto(new URL("/status", gallery.url).href);
  await is(page, "#link", "The server says 403, trying again");
  await context.close();
});

test("a server that goes is missed, and found again when it comes back", { timeout: 40_000 }, async () => {
  const { context, page } = await visit();
  await is(page, "#link", "Live");
  await is(page, "#rate", /^\d/);
  gallery.kill();
  await once(gallery.server, "exit").catch(() => {});
  await is(page, "#link", "Connection lost, trying again");
  assert.equal(await page.evaluate(() => document.body.className), "lost");
  const port = new URL(gallery.url).port;
  gallery = await startGallery("--port", port);
  await is(page, "#link", "Live", 15_000);
  await is(page, "#up", /^up \d+ s$/);
  assert.ok(Number((await text(page, "#up")).match(/\d+/)[0]) < 15);
  const first = await paths(page, "requests");
  await until("the chart does not go on", async () => (await paths(page, "requests")) !== first);
  await context.close();
});
