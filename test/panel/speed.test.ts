import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import type { ExperimentRequest } from "../../src/protocol/experiments/schemas.ts";
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
const DRAG_STEPS = 32;
/** Steps of the drag before, in which code is compiled and caches fill. */
const WARM_STEPS = 6;

/** What the sweep's run lacks, so that every view has something to draw. */
const FURTHER: readonly ExperimentRequest[] = [
  {
    kind: "pathways",
    crossFrame: [6, 15],
    videoToQuestion: [6, 20],
    questionToLast: [16, 25],
    randomSeed: 0,
  },
  {
    kind: "what-if",
    name: "first frame -/-> last",
    from: Array.from({ length: 144 }, (_, i) => i + 5),
    to: [1200],
    layers: [8, 20],
    observe: { lens: true, mass: false, attention: "text", headAveraged: true },
  },
  {
    kind: "generation",
    maxTokens: 32,
    cuts: [{ name: "video -/-> last", from: "video", to: "last", layers: [0, 31] }],
  },
];
/** Every view, or part of one, by its element. */
const VIEWS = {
  video: "#view-video",
  prompt: "#view-prompt",
  answer: "#view-answer",
  knockout: "#view-knockout",
  lens: "#view-lens",
  attention: "#view-attention",
  mass: "#view-attention .stack",
  "flow map": "#view-flow-map",
  pathways: "#view-pathways",
  "what if": "#view-what-if",
  generation: "#view-generation",
} as const;

let browser: PanelBrowser;
let page: Page;
before(async () => {
  browser = await PanelBrowser.start();
  page = await openRun(browser, LARGE, { width: 1400, height: 1000 });
  for (const [index, request] of FURTHER.entries()) {
    await page.evaluate(
      ([id, wanted]) =>
        window.fakeHost.receive({
          kind: "request",
          id,
          name: "experiment",
          params: { request: wanted },
        }),
      [10_000 + index, request] as const,
    );
  }
  await settled(page);
});
after(() => browser.stop());

async function dragLayers(steps: number): Promise<void> {
  const slider = page.locator(".layer-control input");
  const box = await slider.boundingBox();
  assert.ok(box !== null);
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + 8, y);
  await page.mouse.down();
  for (let step = 0; step <= steps; step += 1) {
    const there = 1 - Math.abs(1 - (2 * step) / steps);
    await page.mouse.move(box.x + 8 + there * (box.width - 16), y);
    await page.evaluate(() => new Promise(requestAnimationFrame));
  }
  await page.mouse.up();
}

for (const [view, element] of Object.entries(VIEWS)) {
  test(`${view}: no frame over ${BUDGET_MS} ms while layers are dragged`, async (t) => {
    const section = page.locator(element).first();
    await section.evaluate((node) => node.scrollIntoView());
    await settled(page);
    assert.ok(await section.isVisible(), `${view} has something to show`);
    await dragLayers(WARM_STEPS);
    const times = await frameTimes(browser, page, () => dragLayers(DRAG_STEPS));
    t.diagnostic(
      `${view}: costliest of ${times.frames} frames ${times.costliest.toFixed(1)} ms (main thread ${times.costliestMain.toFixed(1)}); apart by the clock: median ${times.median.toFixed(1)}, 95th ${times.p95.toFixed(1)}, longest ${times.longest.toFixed(1)} ms`,
    );
    assert.ok(times.frames > DRAG_STEPS / 2, "frames were drawn during the drag");
    assert.ok(times.costliest < BUDGET_MS, `a frame took ${times.costliest.toFixed(1)} ms`);
  });
}

test("folding a large run's events takes no long frame", async (t) => {
  const fresh = await browser.open({ width: 1400, height: 1000 });
  await fresh.evaluate((run) => window.fakeHost.hold(window.fakeHost.synthetic(run)), LARGE);
  const times = await frameTimes(browser, fresh, async () => {
    await fresh.evaluate(() => window.dispatchEvent(new Event("focus")));
    await fresh.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await fresh.locator("#view-answer .legend li").first().waitFor();
    await settled(fresh);
  });
  t.diagnostic(`replay: costliest frame ${times.costliest.toFixed(1)} ms`);
  assert.ok(times.costliest < 400, `a frame took ${times.costliest.toFixed(1)} ms`);
  await fresh.close();
});
