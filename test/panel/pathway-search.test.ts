import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import type { RunEvent } from "../../src/protocol/events.ts";
import type { ResultDetail } from "../../src/protocol/experiments/schemas.ts";
import { keptShare } from "../../src/protocol/pathways.ts";
import { pathwaySearch } from "../../src/protocol/presets.ts";
import { percent } from "../../webview/dom.ts";
import { eventsOf, openRun, PanelBrowser, seen, settled, THEMES, tableOf } from "./browser.ts";
import { syntheticExperiment } from "./synthetic-experiment.ts";
import { syntheticRun } from "./synthetic-run.ts";

const LAYERS = 12;
const RUN = { layers: LAYERS };
/** Pictures for people to look at; not compared. */
const PICTURES = join(tmpdir(), "flowprobe-panel-pictures");
const events = syntheticRun(RUN);
const [started] = eventsOf(events, "run.started");
const [answer] = eventsOf(events, "answer");
assert.ok(started !== undefined && answer !== undefined);
const known = { started, answer, layers: eventsOf(events, "layer.clean") };
const search = syntheticExperiment(pathwaySearch(0.9), "pathway-search-2", known);
const tried = eventsOf(search, "branch.result").filter(({ series }) => series === "Pathways tried");
const [end] = eventsOf(search, "pathway.found");
assert.ok(end?.found);
const { found } = end;

let browser: PanelBrowser;
before(async () => {
  mkdirSync(PICTURES, { recursive: true });
  browser = await PanelBrowser.start();
});
after(() => browser.stop());

const view = (page: Page) => page.locator("#view-pathways");
const text = (range: unknown) => {
  if (!Array.isArray(range)) return "none";
  const [first, last] = range.map(Number) as [number, number];
  return first === last ? `${first + 1}` : `${first + 1}-${last + 1}`;
};
/** What the three sliders show. */
const sliders = (page: Page) => view(page).locator(".range-text").allInnerTexts();
const shownRanges = (ranges: ResultDetail) => {
  const { crossFrame = null, videoToQuestion = null, questionToLast = null } = ranges;
  return [crossFrame, videoToQuestion, questionToLast].map(text);
};

async function opened(options: Parameters<typeof openRun>[2] = {}): Promise<Page> {
  const page = await openRun(browser, RUN, options);
  await view(page).scrollIntoViewIfNeeded();
  await settled(page);
  return page;
}

async function emit(page: Page, list: readonly RunEvent[]): Promise<void> {
  await page.evaluate((more) => window.fakeHost.emit(more), list);
  await settled(page);
}

const experiments = (page: Page) =>
  page.evaluate(() =>
    window.fakeHost.requests.flatMap(({ name, params }) => (name === "experiment" ? [params] : [])),
  );

async function engine(page: Page, kind: "idle" | "running"): Promise<void> {
  await page.evaluate((state) => {
    const run = window.fakeHost.identity.id;
    window.fakeHost.post({ kind: "engine", run, state: { kind: state } });
  }, kind);
  await settled(page);
}

test("Find for me asks for the search with the chosen share, and sets the sliders to what is found", async () => {
  const page = await opened();
  const share = view(page).getByLabel("Share of the clean probability to keep");
  await share.focus();
  for (let press = 0; press < 5; press += 1) await page.keyboard.press("ArrowLeft");
  await view(page).getByRole("button", { name: "Find the pathway" }).click();
  await settled(page);
  const request = pathwaySearch(0.85);
  assert.deepEqual(await experiments(page), [{ request }]);
  const [done] = eventsOf(syntheticExperiment(request, "x", known), "pathway.found");
  assert.ok(done?.found);
  assert.deepEqual(await sliders(page), shownRanges(done.found));
  const status = await seen(view(page).locator(".finder"));
  assert.ok(status.includes(`${percent(done.found.edgesLeft)} of the edges left`), status);
  assert.match(status, /12 pathways were tried.*no proof that none is smaller/s);
  await page.close();
});

test("every number of the search is in the table, and what is found with its control in the bars", async () => {
  const page = await opened();
  await emit(page, search);
  const [, ...rows] = await tableOf(page, "pathways");
  assert.deepEqual(
    rows.slice(0, tried.length),
    tried.map((result) => [
      ...shownRanges(result.detail ?? {}),
      percent(result.edges_left ?? Number.NaN),
      percent(result.new_score),
      "–",
      result.new_answer,
      "–",
      percent(keptShare(result)),
      "search",
    ]),
  );
  const [kept, random] = eventsOf(search, "branch.result").slice(-2);
  assert.deepEqual(rows.at(-1), [
    ...shownRanges(found),
    percent(found.edgesLeft),
    percent(found.probability),
    percent(random?.new_score ?? Number.NaN),
    kept?.new_answer,
    random?.new_answer,
    percent(found.probability / (answer?.answer.probability ?? 1)),
    "found by the search",
  ]);
  const bars = await seen(view(page).locator(".bars"));
  for (const value of [answer?.answer.probability, found.probability, random?.new_score]) {
    assert.ok(bars.includes(percent(value ?? Number.NaN)), bars);
  }
  await page.close();
});

test("a search under way shows how many were tried and the smallest until then, and can be stopped", async () => {
  const page = await opened();
  await engine(page, "running");
  await emit(page, search.slice(0, 5));
  const finder = view(page).locator(".finder");
  const smallest = tried
    .slice(0, 4)
    .filter((r) => keptShare(r) >= 0.9 && r.new_answer === "A")
    .at(-1);
  assert.match(await seen(finder), /Trying: 4 pathways so far/);
  assert.ok(
    (await seen(finder)).includes(`${percent(smallest?.edges_left ?? 0)} of the edges left`),
  );
  assert.equal((await tableOf(page, "pathways")).length - 1, 4);
  await page.evaluate(() =>
    window.fakeHost.progress({ type: "progress", phase: "experiment", done: 100, total: 400 }),
  );
  await settled(page);
  assert.equal(await finder.getByRole("progressbar").getAttribute("aria-valuenow"), "25");
  await finder.getByRole("button", { name: "Stop the search" }).click();
  const asked = await page.evaluate(() => window.fakeHost.requests.map(({ name }) => name));
  assert.ok(asked.includes("cancel"));
  await engine(page, "idle");
  assert.match(await seen(finder), /stopped after 4 pathways\. Smallest until then/);
  await page.close();
});

test("a search seen live ends as a replayed one, also where nothing more can be asked", async () => {
  const live = await opened();
  await engine(live, "running");
  for (const part of [search.slice(0, 3), search.slice(3, 9), search.slice(9)]) {
    await emit(live, part);
  }
  await engine(live, "idle");
  const replayed = await browser.open();
  await replayed.evaluate(
    (list) => {
      const host = window.fakeHost;
      host.post({ kind: "run", run: { ...host.identity, readOnly: "The clip is gone." } });
      host.identity = { ...host.identity, readOnly: "The clip is gone." };
      host.emit(list);
    },
    [...events, ...search],
  );
  await settled(replayed);
  await view(replayed).scrollIntoViewIfNeeded();
  await settled(replayed);
  assert.deepEqual(await tableOf(live, "pathways"), await tableOf(replayed, "pathways"));
  assert.deepEqual(await sliders(live), await sliders(replayed));
  const status = (page: Page) => seen(view(page).locator(".finder [role=status]"));
  assert.equal(await status(live), await status(replayed));
  assert.equal(await replayed.getByRole("button", { name: "Find the pathway" }).isVisible(), false);
  await live.close();
  await replayed.close();
});

test("a point of the curve is chosen by pointer or keys: the sliders follow, and its control is run", async () => {
  const page = await opened();
  await emit(page, search);
  const canvas = view(page).locator(".plot canvas");
  await canvas.focus();
  await page.keyboard.press("Home");
  const byEdges = tried.toSorted((a, b) => (a.edges_left ?? 0) - (b.edges_left ?? 0));
  const told = (await canvas.getAttribute("aria-valuetext")) ?? "";
  assert.ok(told.startsWith(percent(byEdges[0]?.edges_left ?? 0)), told);
  await page.keyboard.press("Enter");
  await settled(page);
  assert.deepEqual(await sliders(page), shownRanges(byEdges[0]?.detail ?? {}));
  const { crossFrame, videoToQuestion, questionToLast } = byEdges[0]?.detail ?? {};
  assert.deepEqual((await experiments(page)).at(-1), {
    request: {
      kind: "pathways",
      randomSeed: 0,
      ...(crossFrame === null ? {} : { crossFrame }),
      ...(videoToQuestion === null ? {} : { videoToQuestion }),
      ...(questionToLast === null ? {} : { questionToLast }),
    },
  });
  // The rightmost point stands near the right edge, just below the top: everything is kept there.
  const box = await canvas.boundingBox();
  assert.ok(box !== null);
  await page.keyboard.press("End");
  await settled(page);
  const ring = await view(page).locator(".scatter-ring").boundingBox();
  assert.ok(ring !== null);
  await page.mouse.click(ring.x + ring.width / 2, ring.y + ring.height / 2);
  await settled(page);
  assert.deepEqual(await sliders(page), shownRanges(byEdges.at(-1)?.detail ?? {}));
  assert.match(await seen(view(page).locator(".tip")), /of the probability kept/);
  await page.close();
});

for (const theme of THEMES) {
  test(`the found pathway and the curve are drawn in ${theme}, narrow and wide`, async () => {
    for (const width of [300, 1200]) {
      const page = await opened({ theme, width });
      await emit(page, search);
      await view(page).screenshot({ path: join(PICTURES, `pathways-${theme}-${width}.png`) });
      const wide = await view(page).evaluate((section) => {
        const limit = document.documentElement.clientWidth + 1;
        return [...section.querySelectorAll("*")]
          .filter((node) => node.closest(".table-scroll, [hidden]") === null)
          .filter((node) => node.getBoundingClientRect().right > limit)
          .map((node) => `${node.tagName}.${node.className}`);
      });
      assert.deepEqual(wide, []);
      await page.close();
    }
  });
}

test("no page wrote an error to the console or broke the policy", () => {
  assert.deepEqual(browser.errors, []);
});
