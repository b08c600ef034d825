import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { openRun, PanelBrowser, settled } from "./browser.ts";
import { frameTimes } from "./frame-times.ts";

/** A 7B model's run: 8 frames of 12 x 12 tokens and 32 layers, with lens, attention and group mass. */
const LARGE = {
  frames: 8,
  rows: 12,
  columns: 12,
  layers: 32,
  heads: 32,
  lens: true,
  attention: true,
};
/** No frame may take longer while a slider is dragged. */
const BUDGET_MS = 50;
const DRAG_STEPS = 64;

let browser: PanelBrowser;
let page: Page;
before(async () => {
  browser = await PanelBrowser.start();
  page = await openRun(browser, LARGE, { width: 1400, height: 1000 });
});
after(() => browser.stop());

async function dragLayers(): Promise<void> {
  const slider = page.locator(".layer-control input");
  const box = await slider.boundingBox();
  assert.ok(box !== null);
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + 8, y);
  await page.mouse.down();
  for (let step = 0; step <= DRAG_STEPS; step += 1) {
    const there = 1 - Math.abs(1 - (2 * step) / DRAG_STEPS);
    await page.mouse.move(box.x + 8 + there * (box.width - 16), y);
    await page.evaluate(() => new Promise(requestAnimationFrame));
  }
  await page.mouse.up();
}

for (const view of ["answer", "knockout", "lens", "attention"]) {
  test(`no frame takes over ${BUDGET_MS} ms while the layer slider is dragged with ${view} in sight`, async (t) => {
    await page.locator(`#view-${view}`).evaluate((node) => node.scrollIntoView());
    await settled(page);
    await dragLayers();
    const times = await frameTimes(browser, page, dragLayers);
    t.diagnostic(
      `${view}: longest task ${times.longestTask.toFixed(1)} ms of processor time (${times.longestTaskWall.toFixed(1)} ms wall); frames: median ${times.median.toFixed(1)}, 95th ${times.p95.toFixed(1)}, longest ${times.longest.toFixed(1)} ms of ${times.frames}`,
    );
    assert.ok(times.frames > DRAG_STEPS / 2, "frames were drawn during the drag");
    assert.ok(times.longestTask < BUDGET_MS, `a frame took ${times.longestTask.toFixed(1)} ms`);
  });
}

test("folding a large run's events takes no long task", async (t) => {
  const fresh = await browser.open({ width: 1400, height: 1000 });
  await fresh.evaluate((run) => window.fakeHost.hold(window.fakeHost.synthetic(run)), LARGE);
  const times = await frameTimes(browser, fresh, async () => {
    await fresh.evaluate(() => window.dispatchEvent(new Event("focus")));
    await fresh.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await fresh.locator("#view-answer .legend li").first().waitFor();
    await settled(fresh);
  });
  t.diagnostic(`replay: longest task ${times.longestTask.toFixed(1)} ms of processor time`);
  assert.ok(times.longestTask < 400, `a task took ${times.longestTask.toFixed(1)} ms`);
  await fresh.close();
});
