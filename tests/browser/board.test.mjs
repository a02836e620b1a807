// The gallery on a board, at GALLERY_URL, in a real browser. tests/firmware/run starts both.
import assert from "node:assert/strict";
import { test } from "node:test";
import { open, refreshInMidLoad, seeAllImages, startBrowser } from "./gallery.mjs";

const kRefreshes = 10;

test("refreshes, half of them in mid-load, end with 40 of 40 images", { timeout: 180_000 }, async (t) => {
  const browser = await startBrowser();
  try {
    const visit = await open(await browser.newContext());
    await visit.network.send("Network.setCacheDisabled", { cacheDisabled: true });
    await visit.page.goto(process.env.GALLERY_URL, { waitUntil: "load" });
    await seeAllImages(visit.page);
    const left = await refreshInMidLoad(visit, kRefreshes, t);
    assert.ok(left >= kRefreshes / 4, `only ${left} loads were left before their end`);
    console.log(`left ${left} times, aborted requests: ${visit.wrong.failed.length}`);
  } finally {
    await browser.close();
  }
});
