// Files from a real browser: the examples `uploads` and `firmware_update`, with their pages. ./run starts it.
// SCREENSHOTS=<folder> keeps what the pages look like.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { assertNothingWrong, open, startBrowser, startExample, until } from "./gallery.mjs";

const folder = mkdtempSync(join(tmpdir(), "microdot-uploads-"));
const directory = join(folder, "received");
let browser;

before(async () => { browser = await startBrowser(); });
after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true });
});

/// A file to be sent, of bytes that repeat only after long.
function make(name, size) {
  const content = Buffer.alloc(size);
  for (let i = 0; i < size; ++i) content[i] = (i * 2654435761) >>> 13;
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const shoot = (page, name) =>
  process.env.SCREENSHOTS && page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`), fullPage: true });

const text = (page, selector) => page.locator(selector).textContent();
const state = (page) => page.locator("#state").getAttribute("data-state");

test("a form with fields and several files, while the bar shows how much was sent", { timeout: 60_000 }, async () => {
  const example = await startExample(join(process.env.MICRODOT_EXAMPLES, "uploads"), "--directory", directory);
  try {
    const { page, wrong, network } = await open(await browser.newContext());
    await page.goto(example.url, { waitUntil: "load" });
    const files = [make("sea.jpg", 3_000_000), make('a "quoted" näme, 50%.txt', 12), make("empty.bin", 0)];
    await page.fill('input[name="title"]', "Hölidays; with \"quotes\"");
    await page.setInputFiles('input[name="files"]', files);
    await network.send("Network.emulateNetworkConditions",
      { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 2_000_000 });
    await page.click("button");
    const seen = new Set();
    await until(async () => `the form is ${await state(page)}`, async () => {
      seen.add(Math.round(await page.locator("#progress").evaluate((bar) => bar.value) * 100));
      if (seen.size === 4) await shoot(page, "uploads-sending");
      return await state(page) === "done";
    }, 30_000);
    assert.ok(seen.size >= 4, `the bar showed only ${[...seen]} %`);
    assert.equal(await text(page, "#received"), 'title: Hölidays; with "quotes"\nfiles: sea.jpg, 3000000 bytes\n' +
      'files: a "quoted" näme, 50%.txt, 12 bytes\nfiles: empty.bin, 0 bytes\n', "the file that was not chosen is none");
    assert.deepEqual(readdirSync(directory).sort(), ["a _quoted_ näme, 50%.txt", "empty.bin", "sea.jpg"]);
    assert.deepEqual(readFileSync(join(directory, "sea.jpg")), readFileSync(files[0]));
    const rows = await page.locator("#files tr").allTextContents();
    assert.deepEqual(rows.sort(), ["a _quoted_ näme, 50%.txt12 bytes", "empty.bin0 bytes", "sea.jpg3,000,000 bytes"]);
    await shoot(page, "uploads-done");
    // One that is chosen again takes the place of the first.
    writeFileSync(files[1], "other bytes");
    await page.setInputFiles('input[name="files"]', []);
    await page.setInputFiles('input[name="one"]', files[1]);
    await page.click("button");
    await until("it is sent", async () => (await text(page, "#received")).includes("one: "));
    assert.equal(readFileSync(join(directory, "a _quoted_ näme, 50%.txt"), "utf8"), "other bytes");
    assertNothingWrong(wrong);
    // Nobody sees half of a file of a visitor that leaves.
    await page.setInputFiles('input[name="one"]', make("left.bin", 20_000_000));
    await page.click("button");
    await until("it is being written", () => readdirSync(directory).some((name) => name.startsWith(".microdot-")));
    await page.close();
    await until(() => readdirSync(directory).join(), () => readdirSync(directory).length === 3);
    example.server.kill("SIGINT");
    assert.deepEqual(await example.exited, [0, null]);
  } finally {
    example.kill();
  }
});

test("without a script a form is sent all the same", { timeout: 30_000 }, async () => {
  const example = await startExample(join(process.env.MICRODOT_EXAMPLES, "uploads"), "--directory", directory);
  try {
    const { page, wrong } = await open(await browser.newContext({ javaScriptEnabled: false }));
    await page.goto(example.url);
    await page.setInputFiles('input[name="files"]', make("plain.txt", 100));
    await Promise.all([page.waitForURL("**/upload"), page.click("button")]);
    assert.match(await text(page, "body"), /^title: \s*files: plain.txt, 100 bytes/);
    assert.deepEqual(wrong.failed, []);
  } finally {
    example.kill();
  }
});

test("an image is installed, and one that is none is refused", { timeout: 60_000 }, async () => {
  const example = await startExample(join(process.env.MICRODOT_EXAMPLES, "firmware_update"));
  try {
    const { page, wrong } = await open(await browser.newContext());
    await page.goto(example.url, { waitUntil: "load" });
    const tool = new URL("../../examples/firmware_update/make_image", import.meta.url).pathname;
    const image = join(folder, "image.bin");
    writeFileSync(image, execFileSync(tool, ["1.2.3", make("program.bin", 500_000)]));
    await page.setInputFiles('input[name="image"]', image);
    await page.click("button");
    const seen = new Set();
    await until(async () => text(page, "#state"), async () => {
      seen.add(await page.locator("#written").evaluate((bar) => bar.value));
      if (seen.size === 3) await shoot(page, "firmware-receiving");
      return await state(page) === "installed";
    }, 20_000);
    assert.ok(seen.size >= 3, `the flash showed only ${[...seen]}`);
    assert.equal(await text(page, "#version"), "1.2.3");
    assertNothingWrong(wrong);
    await page.setInputFiles('input[name="image"]', make("no-image.bin", 400_000));
    await page.click("button");
    await until(async () => text(page, "#state"), async () => await state(page) === "refused");
    assert.equal(await text(page, "#state"), "Refused: no image. The old image is still in use.");
    assert.equal(await text(page, "#version"), "1.2.3");
    await shoot(page, "firmware-refused");
  } finally {
    example.kill();
  }
});
