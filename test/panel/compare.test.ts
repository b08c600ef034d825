import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import type { RunEvent } from "../../src/protocol/events.ts";
import { change, percent } from "../../webview/dom.ts";
import {
  COMPARE_PATH,
  eventsOf,
  type OpenOptions,
  PanelBrowser,
  seen,
  settled,
  THEMES,
  tableOf,
} from "./browser.ts";
import { frameTimes } from "./frame-times.ts";
import { type SyntheticOptions, syntheticRun } from "./synthetic-run.ts";

let browser: PanelBrowser;
before(async () => {
  browser = await PanelBrowser.start();
});
after(() => browser.stop());

const RIGHT: SyntheticOptions = { layers: 12, lens: true };
const WRONG: SyntheticOptions = { layers: 12, correct: false, targets: ["vql-to-ql"] };

/** Opens a comparison of synthetic runs, named a, b, … */
async function compare(
  runs: readonly SyntheticOptions[],
  options: OpenOptions = {},
): Promise<Page> {
  const page = await browser.open(options, COMPARE_PATH);
  await put(page, runs);
  return page;
}

async function put(page: Page, runs: readonly SyntheticOptions[]): Promise<void> {
  await page.evaluate((list) => {
    list.forEach((run, i) => {
      window.compareHost.put("abcd"[i] ?? "", window.compareHost.synthetic(run));
    });
  }, runs);
  await settled(page);
}

/** Brings a view into sight, so that it draws. */
async function lookAt(page: Page, view: string): Promise<void> {
  await page.locator(`#view-${view}`).evaluate((node) => node.scrollIntoView());
  await settled(page);
}

const points = (value: number) => change(value).replace(" %", " points");
const clean = (events: readonly RunEvent[]) => eventsOf(events, "layer.clean");

test("the answer's table holds the true option of each run and the difference, as the events say", async () => {
  const page = await compare([RIGHT, WRONG]);
  const [one, two] = [clean(syntheticRun(RIGHT)), clean(syntheticRun(WRONG))];
  const [header, ...rows] = await tableOf(page, "compare-answer");
  assert.equal(header?.at(-1), "run 2 − run 1");
  assert.equal(rows.length, 12);
  rows.forEach((row, layer) => {
    const [a, b] = [one, two].map((layers) => layers[layer]?.normed.options.A ?? Number.NaN);
    assert.deepEqual(row, [
      String(layer + 1),
      percent(a ?? 0),
      percent(b ?? 0),
      points(100 * ((b ?? 0) - (a ?? 0))),
    ]);
  });
  await page.close();
});

test("small charts, flow map and their tables hold the sweeps' numbers and differences", async () => {
  const page = await compare([RIGHT, WRONG]);
  const results = [RIGHT, WRONG].map((run) => eventsOf(syntheticRun(run), "branch.result"));
  const at = (run: number, series: string, layer: number) =>
    results[run]?.find((result) => result.series === series && result.layer === layer);
  const rows = (await tableOf(page, "compare-knockout")).slice(1);
  const first = new Set(results[0]?.map(({ series }) => series));
  assert.equal(rows.length, first.size * 12, "every series of any run");
  for (const [series = "", layer = "", a, b, difference] of rows) {
    const [one, two] = [0, 1].map((run) => at(run, series, Number(layer) - 1)?.relative_diff);
    assert.equal(a, change(one ?? Number.NaN), `${series} ${layer}`);
    assert.equal(b, two === undefined ? "–" : change(two), `${series} ${layer}`);
    assert.equal(difference, two === undefined ? "–" : points(two - (one ?? 0)));
  }
  const [head, ...cells] = await tableOf(page, "compare-flow-map");
  const shared = ["Video -/-> Question", "Video -/-> Last", "Question -/-> Last", "Last -/-> Last"];
  assert.deepEqual(head, ["Layer", ...shared], "only what both runs measured");
  cells.forEach((row, layer) => {
    const wanted = shared.map((series) => {
      const [one, two] = [0, 1].map((run) => at(run, series, layer)?.relative_diff ?? Number.NaN);
      return points(Math.fround((two ?? 0) - (one ?? 0)));
    });
    assert.deepEqual(row.slice(1), wanted, `layer ${layer + 1}`);
  });
  assert.match(
    await seen(page.locator("#view-compare-flow-map")),
    /Not measured in both runs: No cross-frame interactions/,
  );
  await page.close();
});

test("what a run lacks is said, and can be measured with the window of the other run", async () => {
  const page = await compare([RIGHT, WRONG]);
  await lookAt(page, "compare-lens");
  const lens = page.locator("#view-compare-lens .missing");
  assert.match(await seen(lens), /Run 2 holds no logit lens/);
  await lookAt(page, "compare-knockout");
  const knockout = page.locator("#view-compare-knockout .missing");
  assert.match(await seen(knockout), /Run 2 holds no knockout of No cross-frame interactions/);
  await knockout.locator("vscode-button").click();
  const asked = await page.evaluate(() => window.compareHost.requests.at(-1));
  assert.deepEqual(asked, {
    name: "measure",
    params: {
      run: "file:///runs/b.flow.jsonl",
      task: {
        kind: "experiment",
        request: {
          kind: "knockout",
          targets: ["cross-frame", "question-and-options-to-last", "vq-to-true-opt"],
          window: 4,
          style: "center",
        },
      },
    },
  });
  await page.evaluate((run) => {
    window.compareHost.failing.set("measure", "no such model");
    window.compareHost.put("b", window.compareHost.synthetic(run), {
      refusal: "The clip is gone.",
    });
  }, WRONG);
  await settled(page);
  assert.match(await seen(knockout), /The clip is gone\./);
  assert.equal(await knockout.locator("vscode-button").count(), 0);
  await put(page, [RIGHT, RIGHT]);
  for (const view of ["compare-answer", "compare-knockout", "compare-mass", "compare-lens"]) {
    await lookAt(page, view);
    assert.equal(await page.locator(`#view-${view} .missing li:visible`).count(), 0, view);
  }
  assert.match(await seen(page.locator(".head")), /Nothing of model, clip and prompt differs/);
  await page.close();
});

test("models of other depth are matched by relative depth, and the page says so", async () => {
  const page = await compare([{ layers: 8 }, { layers: 12 }]);
  assert.match(await seen(page.locator(".head")), /the 12 layers of the deepest/);
  const events = [8, 12].map((layers) => clean(syntheticRun({ layers })));
  const rows = (await tableOf(page, "compare-answer")).slice(1);
  assert.equal(rows.length, 12);
  // (l + 1) / 12 · 8, rounded: 1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8.
  [1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8].forEach((own, layer) => {
    assert.equal(rows[layer]?.[1], percent(events[0]?.[own - 1]?.normed.options.A ?? 0));
    assert.equal(rows[layer]?.[2], percent(events[1]?.[layer]?.normed.options.A ?? 0));
    assert.equal(rows[layer]?.at(-1), `${own} / ${layer + 1}`);
  });
  await page.close();
});

test("another run can be put first, and order, choices and tables survive a reload", async () => {
  const page = await compare([RIGHT, WRONG]);
  await page.getByRole("button", { name: /^Run 2: put it first/ }).click();
  await settled(page);
  await tableOf(page, "compare-answer");
  const rows = await page.locator("#view-compare-answer .table-twin tr").allTextContents();
  const kept = await page.evaluate(() => window.compareHost.state);
  assert.deepEqual((kept as { runs: string[] }).runs, [
    "file:///runs/b.flow.jsonl",
    "file:///runs/a.flow.jsonl",
  ]);
  await page.reload();
  await put(page, [RIGHT, WRONG]);
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await settled(page);
  assert.deepEqual(
    await page.locator("#view-compare-answer .table-twin tr").allTextContents(),
    rows,
  );
  await page.close();
});

test("charts are steered by the keyboard and say their values", async () => {
  const page = await compare([RIGHT, WRONG]);
  const canvas = page.locator("#view-compare-knockout .multiples canvas");
  await canvas.focus();
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  await settled(page);
  const results = [RIGHT, WRONG].map((run) =>
    eventsOf(syntheticRun(run), "branch.result").find(
      ({ series, layer }) => series === "Video -/-> Question" && layer === 1,
    ),
  );
  const [one = 0, two = 0] = results.map((result) => result?.relative_diff);
  const label = (await canvas.getAttribute("aria-label")) ?? "";
  assert.ok(label.includes("Video -/-> Question, layer 2"), label);
  for (const text of [change(one), change(two), points(two - one)]) assert.ok(label.includes(text));
  assert.match(
    await seen(page.locator("#view-compare-knockout .tip")),
    /Video -\/-> Question, layer 2/,
  );
  await page.close();
});

test("pictures, figures and the whole comparison can be saved", async () => {
  const page = await compare([RIGHT, WRONG]);
  const saved = () => page.evaluate(() => window.compareHost.saved);
  for (const [id, view] of [
    ["compare-answer", "Answer by layer"],
    ["compare-knockout", "Knockout sweep"],
    ["compare-flow-map", "Flow map, difference"],
    ["compare-lens", "Words in the logit lens"],
  ] as const) {
    await lookAt(page, id);
    await page.getByRole("button", { name: `${view}: save as SVG` }).click();
    await settled(page);
    const svg = String((await saved())?.data);
    assert.match(svg, /^<svg [^>]*>.*<\/svg>\s*$/s, view);
    assert.ok((svg.match(/<(polyline|rect)/g) ?? []).length > 10, view);
  }
  await page.getByRole("button", { name: "Knockout sweep: save as PNG" }).click();
  await settled(page);
  await page.waitForFunction(
    () => window.compareHost.saved?.name === "comparison-compare-knockout.png",
  );
  await page.getByRole("button", { name: "Save the whole comparison as JSON" }).click();
  await settled(page);
  const file = await saved();
  assert.equal(file?.name, "comparison.json");
  const report = JSON.parse(String(file?.data));
  assert.deepEqual(
    report.runs.map((run: { answer: { correct: boolean } }) => run.answer.correct),
    [true, false],
  );
  assert.equal(report.answerByLayer[0].differences[1].length, 12);
  await page.close();
});

test("text of a hostile run never becomes markup in a comparison", async () => {
  const poison =
    '<img src=x onerror="window.poisoned=1"></script><script>window.poisoned=1</script>\u202e"';
  const page = await compare([{ ...RIGHT, poison }, RIGHT]);
  const views = await page
    .locator(".view:visible")
    .evaluateAll((nodes) => nodes.map((node) => node.id.replace("view-", "")));
  assert.equal(views.length, 5);
  for (const view of views) await tableOf(page, view);
  await page.locator("#view-compare-knockout .multiples canvas").hover();
  await settled(page);
  assert.equal(await page.evaluate(() => "poisoned" in window), false);
  assert.equal(await page.locator("img, iframe, object, embed").count(), 0);
  assert.equal(await page.locator("script").count(), 1, "only the panel's own script");
  assert.ok((await seen(page.locator(".head"))).includes("onerror"), "it is shown as text");
  await page.evaluate(() => window.compareHost.put("broken", [], { problem: "<b>not a run</b>" }));
  await settled(page);
  assert.match(await seen(page.locator(".card.unreadable")), /<b>not a run<\/b>/);
  await page.close();
});

test("no frame takes over 50 ms while layers are dragged over a comparison of 7B runs", async (t) => {
  const large = { frames: 8, rows: 12, columns: 12, layers: 32, heads: 32, lens: true };
  const page = await compare([large, { ...large, correct: false }], { width: 1400, height: 1000 });
  const slider = page.locator(".layer-control input");
  for (const view of ["compare-answer", "compare-knockout", "compare-lens"]) {
    await lookAt(page, view);
    const box = await slider.boundingBox();
    assert.ok(box !== null);
    const y = box.y + box.height / 2;
    const drag = async () => {
      await page.mouse.move(box.x + 8, y);
      await page.mouse.down();
      for (let step = 0; step <= 40; step += 1) {
        await page.mouse.move(box.x + 8 + (step / 40) * (box.width - 16), y);
        await page.evaluate(() => new Promise(requestAnimationFrame));
      }
      await page.mouse.up();
    };
    await drag();
    const times = await frameTimes(browser, page, drag);
    t.diagnostic(`${view}: costliest frame ${times.costliest.toFixed(1)} ms`);
    assert.ok(times.costliest < 50, `${view}: a frame took ${times.costliest.toFixed(1)} ms`);
  }
  await page.close();
});

test("a comparison fits every theme and narrow windows, breaks no policy and writes no error", async () => {
  for (const theme of THEMES) {
    const page = await compare([RIGHT, WRONG], { theme, width: 420 });
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    assert.ok(overflow <= 0, `${theme}: ${overflow} px wider than the window`);
    assert.deepEqual(await page.evaluate(() => window.compareHost.violations), [], theme);
    await page.close();
  }
  assert.deepEqual(browser.errors, []);
});
