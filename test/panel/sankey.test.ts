import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { change } from "../../webview/dom.ts";
import { type FlowFamily, LANES } from "../../webview/flow-stages.ts";
import { FULL_WIDTH, laySankey, ribbonWidth } from "../../webview/sankey-layout.ts";
import { eventsOf, openRun, PanelBrowser, seen, settled } from "./browser.ts";
import { syntheticRun } from "./synthetic-run.ts";

let browser: PanelBrowser;
before(async () => {
  browser = await PanelBrowser.start();
});
after(() => browser.stop());

const family = (name: string, from: FlowFamily["from"], to: FlowFamily["to"], loss: number) =>
  ({ name, from, to, loss, peak: 0, newAnswer: "A", stage: null, slot: 0 }) satisfies FlowFamily;

test("a ribbon is as wide as its family's largest loss, and never wider than the whole answer", () => {
  assert.equal(ribbonWidth({ loss: 100 }), FULL_WIDTH);
  assert.equal(ribbonWidth({ loss: 25 }), FULL_WIDTH / 4);
  assert.equal(ribbonWidth({ loss: 250 }), FULL_WIDTH);
  assert.equal(ribbonWidth({ loss: 0 }), 1, "what was measured leaves a trace");
});

test("groups stand from left to right, and only those that a measured family joins", () => {
  const { nodes, links } = laySankey(
    [
      family("No cross-frame interactions", "Video", "Video", 40),
      family("Video -/-> Question", "Video", "Question", 80),
      family("Video -/-> Last", "Video", "Last", 5),
      family("Question -/-> Last", "Question", "Last", 90),
    ],
    LANES,
    800,
  );
  assert.deepEqual(
    nodes.map(({ label }) => label),
    ["Frames apart", "Frames together", "Question", "Last"],
  );
  for (let i = 1; i < nodes.length; i += 1) assert.ok((nodes[i]?.x ?? 0) > (nodes[i - 1]?.x ?? 0));
  for (const { x0, x1, y0, y1, size, family: of } of links) {
    assert.ok(x1 > x0, of.name);
    assert.equal(size, ribbonWidth(of), of.name);
    const ends = nodes.filter(({ x, width }) => x === x1 || x + width === x0);
    assert.equal(ends.length, 2, of.name);
    for (const [node, y] of [
      [ends[0], y0],
      [ends[1], y1],
    ] as const) {
      assert.ok(node !== undefined && y >= node.y - 1e-6, of.name);
      assert.ok(y + size <= node.y + node.height + 1e-6, of.name);
    }
  }
});

test("the diagram tells the sweep's own numbers, and names what was not measured", async () => {
  const run = { layers: 12, targets: ["vql-to-ql"] as const };
  const page = await openRun(browser, run);
  await page.locator("#view-flow-map").evaluate((node) => node.scrollIntoView());
  await settled(page);
  assert.match(
    await seen(page.locator("#view-flow-map")),
    /Not measured, so not drawn: No cross-frame interactions\./,
  );
  const results = eventsOf(syntheticRun(run), "branch.result");
  const names = [...new Set(results.map(({ series }) => series))];
  const lossOf = (name: string) =>
    results
      .filter(({ series }) => series === name)
      .reduce((a, b) => (b.relative_diff < a.relative_diff ? b : a));
  const canvas = page.locator("#view-flow-map .sankey canvas");
  await canvas.focus();
  for (const name of names) {
    await page.keyboard.press("ArrowDown");
    await settled(page);
    const worst = lossOf(name);
    const label = (await canvas.getAttribute("aria-label")) ?? "";
    const loss = change(Math.min(0, worst.relative_diff));
    assert.ok(label.includes(`${name}, `), label);
    assert.ok(label.includes(`largest loss ${loss} at layer ${worst.layer + 1}`), label);
    const tip = await seen(page.locator("#view-flow-map .sankey .tip"));
    assert.ok(tip.includes(name) && tip.includes(loss), tip);
  }
  await page.getByRole("button", { name: "Flow map: save as SVG" }).click();
  await settled(page);
  const svg = String(await page.evaluate(() => window.fakeHost.saved?.data));
  for (const name of names) {
    assert.ok(svg.includes(`>${change(Math.min(0, lossOf(name).relative_diff))}<`), name);
  }
  await page.close();
});

test("the diagram wrote no error to the console and broke no policy", () => {
  assert.deepEqual(browser.errors, []);
});
