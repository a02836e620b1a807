// The gallery as a process, and a browser that visits it: what the tests here share.
//
// SEED=<number> repeats a run's random moments.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";

export const kImages = 40;
/// Conditions of the network: bytes a second that the browser takes; -1 for no limit.
const speed = (bytes) => ({ offline: false, latency: 0, downloadThroughput: bytes, uploadThroughput: -1 });
export const kSlow = speed(300 * 1024), kQuick = speed(1536 * 1024), kFree = speed(-1);

export const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
let state = seed;
export function random() {  // mulberry32
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}

export async function until(what, condition, milliseconds = 10_000) {
  const end = Date.now() + milliseconds;
  while (!(await condition())) {
    if (Date.now() > end) assert.fail(typeof what === "function" ? await what() : what);
    await sleep(20);
  }
}

/// Starts an example at a free port.
export async function startExample(program, ...options) {
  const place = ["--host", "127.0.0.1", "--port", "0"];
  const server = spawn(program, [...place, ...options], { stdio: ["ignore", "ignore", "pipe"] });
  const exited = once(server, "exit");
  let output = "";
  server.stderr.on("data", (data) => {
    output += data;
    process.stderr.write(data);
  });
  await until(() => `${program} did not say where it is: ${output}`, () => /http:\/\/\S+/.test(output));
  return {
    server, exited, url: output.match(/http:\/\/\S+/)[0],
    /// Ends it where a test has not.
    kill: () => server.exitCode === null && server.signalCode === null && server.kill("SIGKILL"),
  };
}

/// Starts the gallery. `get` is a plain request, outside the browser; a given agent may keep its connection.
export async function startGallery(...options) {
  const [program, ...given] = process.env.MICRODOT_GALLERY.split(" ");
  const gallery = await startExample(program, ...given, ...options);
  const { server, url } = gallery;
  const get = (path, options) => ask(new URL(path, url), options);
  const open = () => descriptors(server);
  const sockets = () => open().match(/socket/g).length;
  const socketsAtStart = sockets();
  await get("/");  // the server keeps open the directory that it has served
  await until("a connection stays open", () => sockets() === socketsAtStart);
  return { ...gallery, get, descriptors: open, descriptorsAtStart: open() };
}

/// What the server's open descriptors refer to.
function descriptors(server) {
  const folder = `/proc/${server.pid}/fd`;
  return readdirSync(folder).flatMap((name) => {
    try {
      return [readlinkSync(`${folder}/${name}`).replace(/^socket:.*/, "socket")];
    } catch {
      return [];  // closed meanwhile
    }
  }).sort().join(" ");
}

function ask(url, options = {}) {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent: false, timeout: 5000, ...options }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => {
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) });
      });
      response.on("error", reject);
    });
    request.on("timeout", () => request.destroy(new Error(`no answer for ${url.pathname}`)));
    request.on("error", reject);
  });
}

export const startBrowser = (executablePath = process.env.CHROMIUM) => chromium.launch({
  executablePath,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

/// A new page that remembers what went wrong in it.
export async function open(context) {
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

export const loadedImages = (page) =>
  page.evaluate(() => {
    const images = [...document.querySelectorAll("main img")];
    return images.filter((image) => image.complete && image.naturalWidth > 0).length;
  });

/// Scrolls to the bottom as a reader does and waits until every image is there.
export async function seeAllImages(page) {
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

/// Reloads the page, half of the times also while it is being loaded; all images are there in the end. Gives how often
/// the page was left before it was whole.
export async function refreshInMidLoad({ page, wrong, network }, rounds, t) {
  let left = 0;
  for (let round = 0; round < rounds; ++round) {
    if (round % 2 === 1) {
      // So many images, not so much time: how fast the server is must not decide whether it is in mid-load.
      const enough = Math.floor(random() * kImages * 0.75);
      // A reader that is not the fastest, so that the server is in the middle of sending when it is left.
      await network.send("Network.emulateNetworkConditions", random() < 0.5 ? kSlow : kQuick);
      await page.reload({ waitUntil: "commit" });
      let loaded = await loadedImages(page);
      for (let tries = 0; loaded < enough && tries < 500; ++tries, loaded = await loadedImages(page)) await sleep(2);
      left += loaded < kImages ? 1 : 0;
      await network.send("Network.emulateNetworkConditions", kFree);
      t.diagnostic(`round ${round}: left with ${loaded} images`);
    }
    await page.reload({ waitUntil: "load" });
    await seeAllImages(page);
    assertOnlyTheBrowserAborted(wrong);
  }
  return left;
}

/// Refreshing ends requests, which is the browser's own doing; nothing else may fail.
export function assertOnlyTheBrowserAborted(wrong) {
  assert.deepEqual(wrong.failed.filter((line) => !line.startsWith("net::ERR_ABORTED ")), []);
  assert.deepEqual(wrong.status, []);
}

export function assertNothingWrong(wrong) {
  assert.deepEqual(wrong, { console: [], failed: [], status: [] });
}
