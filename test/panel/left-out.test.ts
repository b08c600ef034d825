import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { percent } from "../../webview/dom.ts";
import { eventsOf, openRun, PanelBrowser, seen, settled, tableOf } from "./browser.ts";
import { syntheticRun } from "./synthetic-run.ts";

/** Two frames of 3 x 4 cells, of whose second one three have a token. */
const KEPT = [...Array.from({ length: 12 }, (_, cell) => cell), 13, 16, 22];
const RUN = {
  frames: 2,
  rows: 3,
  columns: 4,
  layers: 3,
  lens: true,
  attention: true,
  cells: KEPT,
};
const layers = eventsOf(syntheticRun(RUN), "layer.clean");
const [started] = eventsOf(syntheticRun(RUN), "run.started");
const video = started?.tokens.groups.find(({ name }) => name === "video")?.spans[0]?.[0] ?? 0;

let browser: PanelBrowser;
let page: Page;
before(async () => {
  browser = await PanelBrowser.start();
  page = await openRun(browser, RUN, { height: 1400 });
});
after(() => browser.stop());

const strip = () => page.locator("#view-lens .frames canvas").nth(1);

/** Middle of a cell on the strip, in CSS pixels from its corner. */
async function middleOf(frame: number, row: number, column: number) {
  const box = await strip().boundingBox();
  assert.ok(box !== null);
  const video = started?.video;
  assert.ok(video?.crop !== undefined);
  const width = (box.width - 8) / 2 > 240 ? 240 : Math.floor((box.width - 8) / 2);
  const scale = width / video.width;
  return {
    x: frame * (width + 8) + (video.crop.x + ((column + 0.5) * video.crop.width) / 4) * scale,
    y: (video.crop.y + ((row + 0.5) * video.crop.height) / 3) * scale,
  };
}

/** Opacity of the overlay there, 0 … 255, a little above the middle, where words stand. */
async function opacity(at: { x: number; y: number }): Promise<number> {
  return strip().evaluate((canvas: HTMLCanvasElement, { x, y }) => {
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [canvas.width, canvas.height];
    const pen = copy.getContext("2d", { willReadFrequently: true });
    pen?.drawImage(canvas, 0, 0);
    const ratio = canvas.width / canvas.clientWidth;
    const point = [Math.round(x * ratio), Math.round(y * ratio) - 12] as const;
    return pen?.getImageData(...point, 1, 1).data[3] ?? -1;
  }, at);
}

test("cells that the model left out have no row in the table and fade on the frames", async () => {
  await page.locator("#view-lens").evaluate((node) => node.scrollIntoView());
  await settled(page);
  const [, ...rows] = await tableOf(page, "lens");
  assert.equal(rows.length, KEPT.length);
  assert.deepEqual(
    rows.slice(12).map(([position, frame, row, column]) => [position, frame, row, column]),
    [
      [String(video + 12), "2", "1", "2"],
      [String(video + 13), "2", "2", "1"],
      [String(video + 14), "2", "3", "3"],
    ],
  );
  const left = await Promise.all(
    [0, 2, 3].map(async (column) => opacity(await middleOf(1, 0, column))),
  );
  assert.deepEqual(left, [179, 179, 179], "seven tenths of 255");
  assert.notEqual(await opacity(await middleOf(0, 0, 0)), 179);
});

test("the pointer is told of them, and the arrow keys pass them over", async () => {
  const { x, y } = await middleOf(1, 0, 0);
  await strip().hover({ position: { x, y } });
  await settled(page);
  assert.match((await strip().getAttribute("title")) ?? "", /^No token: /);
  const there = await middleOf(1, 0, 1);
  await strip().click({ position: there });
  const chosen = async () => {
    await settled(page);
    return (await strip().getAttribute("aria-label")) ?? "";
  };
  assert.match(await chosen(), /Frame 2, row 1, column 2/);
  await page.keyboard.press("ArrowRight");
  assert.match(await chosen(), /Frame 2, row 2, column 1/);
  await page.keyboard.press("ArrowLeft");
  assert.match(await chosen(), /Frame 2, row 1, column 2/);
  await page.keyboard.press("End");
  assert.match(await chosen(), /Frame 2, row 3, column 3/);
  await page.keyboard.press("PageUp");
  assert.match(await chosen(), /Frame 1, row 3, column 3/);
});

test("attention to a frame is that of the tokens it has", async () => {
  const [, ...rows] = await tableOf(page, "attention");
  const length = started?.tokens.length ?? 0;
  const wanted = layers.map(({ attention }, layer) => {
    assert.ok(attention !== undefined);
    const at = attention.queries.indexOf(length - 1) * length + video;
    const sum = (from: number, to: number) =>
      Array.from(attention.weights.data.slice(at + from, at + to)).reduce((a, b) => a + b, 0);
    return [String(layer + 1), percent(sum(0, 12)), percent(sum(12, 15))];
  });
  assert.deepEqual(rows, wanted);
});

test("the prompt's chip and the recipe say how many cells have a token", async () => {
  const said = "2 frames of 3 x 4 cells, 15 of 24 with a token";
  assert.equal(await page.locator("#view-prompt .video-chip").getAttribute("title"), said);
  assert.ok((await seen(page.locator("#view-attention"))).includes(said));
});

test("showing them wrote no error to the console", () => {
  assert.deepEqual(browser.errors, []);
});
