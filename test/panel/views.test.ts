import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import type { ExperimentRequest } from "../../src/protocol/experiments/schemas.ts";
import { change, percent } from "../../webview/dom.ts";
import { eventsOf, openRun, PanelBrowser, seen, settled, tableOf } from "./browser.ts";
import { syntheticRun } from "./synthetic-run.ts";

const RUN = { layers: 12, lens: true, attention: true };
const events = syntheticRun(RUN);
const layers = eventsOf(events, "layer.clean");
const [started] = eventsOf(events, "run.started");
const [vocabulary] = eventsOf(events, "vocabulary");
const [video] = started?.tokens.groups.find(({ name }) => name === "video")?.spans ?? [];

let browser: PanelBrowser;
let page: Page;
before(async () => {
  browser = await PanelBrowser.start();
  page = await openRun(browser, RUN, { height: 1400 });
});
after(() => browser.stop());

const word = (id: number) => vocabulary?.tokens.find((token) => token.id === id)?.text ?? "";

async function setLayer(layer: number): Promise<void> {
  await page.locator(".layer-control input").fill(String(layer + 1));
  await settled(page);
}

/** Scrolls to a view: out of sight it draws nothing. */
async function lookAt(view: string): Promise<void> {
  await page.locator(`#view-${view}`).evaluate((node) => node.scrollIntoView());
  await settled(page);
}

async function lastRequest(): Promise<ExperimentRequest | undefined> {
  const params = await page.evaluate(
    () => window.fakeHost.requests.findLast(({ name }) => name === "experiment")?.params,
  );
  return (params as { request: ExperimentRequest } | undefined)?.request;
}

test("the lens lists every video token's top word and probability at the chosen layer", async () => {
  for (const layer of [2, 9]) {
    await setLayer(layer);
    const [, ...rows] = await tableOf(page, "lens");
    const lens = layers[layer]?.lens;
    assert.equal(rows.length, 128);
    rows.forEach((row, token) => {
      const id = lens?.ids.data[token * 10] ?? -1;
      const p = lens?.probabilities.data[token * 10] ?? 0;
      const at = [Math.floor(token / 16), Math.floor((token % 16) / 4), token % 4];
      assert.deepEqual(row, [
        String((video?.[0] ?? 0) + token),
        ...at.map((i) => String(i + 1)),
        word(id),
        percent(p),
      ]);
    });
  }
});

test("a video token chosen by keyboard shows its top-10 through all layers", async () => {
  const strip = page.locator("#view-lens .frames canvas").nth(1);
  await strip.focus();
  await page.keyboard.press("Home");
  await page.keyboard.press("PageDown");
  await page.keyboard.press("ArrowRight");
  await settled(page);
  const token = 17;
  const rows = (await tableOf(page, "lens")).slice(1);
  assert.equal(rows.length, 12);
  rows.forEach((row, layer) => {
    const lens = layers[layer]?.lens;
    const wanted = Array.from({ length: 10 }, (_, i) => {
      const id = lens?.ids.data[token * 10 + i] ?? -1;
      return `${word(id)} ${percent(lens?.probabilities.data[token * 10 + i] ?? 0)}`;
    });
    assert.deepEqual(row, [String(layer + 1), ...wanted]);
  });
  assert.match(await seen(page.locator("#view-lens .story h3")), /Frame 2, row 1, column 2/);
  assert.match(await seen(page.locator("#view-prompt .token-detail")), /Frame 2, row 1, column 2/);
  await page.keyboard.press("Escape");
  await settled(page);
  assert.equal(await page.locator("#view-lens .story").isVisible(), false);
});

test("the word search says in which layers a word leads", async () => {
  const target = "rising";
  const leading = layers.flatMap(({ lens }, layer) =>
    Array.from({ length: 128 }, (_, v) => word(lens?.ids.data[v * 10] ?? -1)).includes(target)
      ? [layer]
      : [],
  );
  const [first = -1] = leading;
  // The test's run reads the word without a gap.
  assert.deepEqual(leading, layers.map((_, layer) => layer).slice(first));
  const token = Array.from({ length: 128 }, (_, v) =>
    word(layers[first]?.lens?.ids.data[v * 10] ?? -1),
  ).indexOf(target);
  const field = page.locator(
    "#view-lens vscode-text-field[aria-label='Find a word in the lens'] input",
  );
  await field.fill("Rising");
  await settled(page);
  const text = await seen(page.locator("#view-lens .search-result"));
  assert.match(
    text,
    new RegExp(
      `in layers ${first + 1}-${layers.length}; first: Frame ${Math.floor(token / 16) + 1},`,
    ),
  );
  await field.fill("");
  await settled(page);
});

test("attention sums to each frame are those of the run's rows, for the last and a chosen token", async () => {
  const position = started?.tokens.text.find(({ text }) => text.startsWith("direction"))?.position;
  assert.ok(position !== undefined);
  const last = (started?.tokens.length ?? 0) - 1;
  for (const query of [last, position]) {
    if (query !== last) await page.locator(`.token[data-position="${query}"]`).click();
    await lookAt("attention");
    assert.match(
      await seen(page.locator("#view-attention .query")),
      new RegExp(`position ${query}`),
    );
    const [, ...rows] = await tableOf(page, "attention");
    rows.forEach((row, layer) => {
      const attention = layers[layer]?.attention;
      const length = attention?.weights.shape[2] ?? 0;
      const at = (attention?.queries.indexOf(query) ?? 0) * length + (video?.[0] ?? 0);
      const wanted = Array.from({ length: 8 }, (_, frame) => {
        let sum = 0;
        for (let i = 0; i < 16; i += 1) sum += attention?.weights.data[at + frame * 16 + i] ?? 0;
        return percent(Math.fround(sum));
      });
      assert.deepEqual(row, [String(layer + 1), ...wanted], `layer ${layer + 1}`);
    });
  }
});

test("a token whose attention the run lacks can be asked for, and the request names it", async () => {
  await page.locator("#view-prompt .token").first().click();
  await lookAt("attention");
  await page.getByRole("button", { name: "Compute this token's attention" }).click();
  await settled(page);
  const request = await page.evaluate(
    () => window.fakeHost.requests.findLast(({ name }) => name === "observe")?.params,
  );
  assert.deepEqual(request, {
    observations: { lens: false, mass: true, attention: [0], headAveraged: false },
  });
  await page.locator("#view-prompt .token").first().click();
});

test("one head at a time can be knocked out from the matrix, and its result is told", async () => {
  await setLayer(4);
  await lookAt("attention");
  const matrix = page.locator("#view-attention .matrix canvas").nth(1);
  await matrix.focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.getByRole("button", { name: "Knock out each head alone" }).click();
  await settled(page);
  const request = await lastRequest();
  assert.deepEqual(request, {
    kind: "heads",
    from: "video",
    to: "question",
    window: 1,
    layers: [4, 4],
  });
  const text = await seen(page.locator("#view-attention .note").last());
  assert.match(text, /Head 3, layer 5: .*cut: answer's probability −10\.0 % \(cause\)/);
});

test("the flow map's stages are those the sweep's numbers give", async () => {
  const all = (await tableOf(page, "flow-map")).slice(1);
  const rows = all.filter((row) => row[3] !== "–");
  const results = eventsOf(events, "branch.result").filter(({ detail }) =>
    ["cross-frame", "vql-to-ql"].includes(String(detail?.target)),
  );
  const names = [...new Set(results.map(({ series }) => series))];
  const wanted = names.flatMap((name) => {
    const series = results.filter((r) => r.series === name).sort((a, b) => a.layer - b.layer);
    const peak = series.reduce((a, b) => (b.relative_diff < a.relative_diff ? b : a));
    if (peak.relative_diff > -10) return [];
    let [first, last] = [peak.layer, peak.layer];
    const enough = (l: number) => (series[l]?.relative_diff ?? 0) <= peak.relative_diff / 2;
    while (enough(first - 1)) first -= 1;
    while (enough(last + 1)) last += 1;
    return [{ name, first, last, peak }];
  });
  wanted.sort((a, b) => a.peak.layer - b.peak.layer);
  assert.ok(wanted.length >= 3);
  assert.deepEqual(
    rows.map((row) => [row[0], row[3], row[4], row[5], row[6]]),
    wanted.map(({ name, first, last, peak }) => [
      name,
      String(first + 1),
      String(last + 1),
      String(peak.layer + 1),
      change(peak.relative_diff),
    ]),
  );
  // Families that cost too little for a stage are in the table all the same, with what they cost.
  const others = all.filter((row) => row[3] === "–").map((row) => row[0] ?? "");
  assert.deepEqual([...wanted.map(({ name }) => name), ...others].sort(), [...names].sort());
});

test("dragging a pathway's range asks for it and shows edges left, probability and control", async () => {
  await page.locator("#view-pathways").scrollIntoViewIfNeeded();
  const low = page.getByLabel("Cross-frame, layers: first");
  await page.locator('#view-pathways input[max="12"]').first().waitFor();
  await low.focus();
  for (let i = 0; i < 3; i += 1) await page.keyboard.press("ArrowRight");
  await page.waitForTimeout(200);
  await settled(page);
  const request = await lastRequest();
  assert.deepEqual(request, {
    kind: "pathways",
    randomSeed: 0,
    crossFrame: [3, 11],
    videoToQuestion: [0, 11],
    questionToLast: [0, 11],
  });
  const rows = (await tableOf(page, "pathways")).slice(1);
  const shares = 0.1 + 0.3 * (9 / 12 + 1 + 1);
  const base = eventsOf(events, "answer")[0]?.answer.probability ?? 0;
  const last = rows.at(-1);
  assert.deepEqual(last?.slice(0, 6), [
    "4-12",
    "1-12",
    "1-12",
    percent(shares),
    percent(base * (0.6 + 0.4 * shares)),
    percent(base * shares * 0.5),
  ]);
  assert.match(await seen(page.locator("#view-pathways")), new RegExp(percent(shares)));
});

test("a cut drawn from groups is asked for, and shows the options before and after", async () => {
  const view = page.locator("#view-what-if");
  await view.scrollIntoViewIfNeeded();
  await view.locator("vscode-dropdown").nth(0).click();
  await view.getByRole("option", { name: "true option", exact: true }).click();
  await view.locator("vscode-dropdown").nth(1).click();
  await view.getByRole("option", { name: "last", exact: true }).click();
  await view.locator("vscode-text-field input").nth(0).fill("1, 3-4");
  await settled(page);
  await page.getByRole("button", { name: "Run this cut" }).click();
  await settled(page);
  const request = await lastRequest();
  assert.equal(request?.kind, "what-if");
  if (request?.kind !== "what-if") return;
  const spans = started?.tokens.groups.find(({ name }) => name === "true-option")?.spans ?? [];
  const wanted = spans.flatMap(([start, end]) =>
    Array.from({ length: end - start }, (_, i) => start + i),
  );
  assert.deepEqual(request.from, wanted);
  assert.deepEqual(request.to, [(started?.tokens.length ?? 0) - 1]);
  assert.deepEqual(request.layers, [0, 11]);
  assert.deepEqual(request.heads, [0, 2, 3]);
  const rows = (await tableOf(page, "what-if")).slice(1);
  const [answer] = eventsOf(events, "answer");
  assert.equal(rows[0]?.[3], percent(answer?.options.A ?? 0));
  assert.equal(rows[1]?.[0], "true option -/-> last, layers 1-12");
  assert.equal(rows[1]?.[3], percent((answer?.answer.probability ?? 0) * 0.1));
});

test("a cut whose attention was read is shown beside the clean run on one scale", async () => {
  const view = page.locator("#view-what-if");
  await view.locator("vscode-checkbox", { hasText: "read attention too" }).click();
  await settled(page);
  await page.getByRole("button", { name: "Run this cut" }).click();
  await settled(page);
  const request = await lastRequest();
  assert.deepEqual(request?.kind === "what-if" ? request.observe : undefined, {
    lens: false,
    mass: false,
    attention: "text",
    headAveraged: true,
  });
  await page.keyboard.press("Escape");
  const last = (started?.tokens.length ?? 0) - 1;
  await page.locator(`.token[data-position="${last}"]`).click();
  await setLayer(3);
  const attention = page.locator("#view-attention");
  await attention.scrollIntoViewIfNeeded();
  await settled(page);
  await attention.locator("vscode-dropdown", { hasText: "nothing" }).click();
  await attention.getByRole("option", { name: /^cut: true option/ }).click();
  await settled(page);
  assert.match(await seen(attention.locator(".pair h3")), /Cut: true option -\/-> last/);
  // The fake host turns the weights round, so the largest over the video in either is known.
  const reading = layers[3]?.attention;
  const length = reading?.weights.shape[2] ?? 0;
  const row = (reading?.queries.indexOf(last) ?? 0) * length;
  const turned = reading?.weights.data.toReversed();
  let max = 0;
  for (let v = 0; v < 128; v += 1) {
    const at = row + (video?.[0] ?? 0) + v;
    max = Math.max(max, reading?.weights.data[at] ?? 0, turned?.[at] ?? 0);
  }
  assert.ok((await seen(attention.locator(".note").first())).includes(`yellow is ${percent(max)}`));
});

test("generated text is shown token by token, clean and cut", async () => {
  await page.evaluate(() =>
    window.fakeHost.receive({
      kind: "request",
      id: 9999,
      name: "experiment",
      params: {
        request: {
          kind: "generation",
          maxTokens: 8,
          cuts: [{ name: "video -/-> last", from: "video", to: "last", layers: [0, 11] }],
        },
      },
    }),
  );
  await settled(page);
  const rows = (await tableOf(page, "generation")).slice(1);
  assert.equal(rows.length, 16);
  assert.deepEqual(rows[0], ["clean", "1", "·The", "95.0 %"]);
  assert.deepEqual(rows[12], ["video -/-> last", "5", "·down", "63.0 %"]);
  assert.equal(await page.locator("#view-generation .differs").count(), 1);
});

test("every view says whether it shows cause or correlation, and carries its recipe", async () => {
  for (const [view, evidence] of [
    ["answer", "correlation"],
    ["lens", "correlation"],
    ["attention", "correlation"],
    ["knockout", "cause"],
    ["flow-map", "cause"],
    ["pathways", "cause"],
    ["what-if", "cause"],
    ["generation", "cause"],
  ] as const) {
    const section = page.locator(`#view-${view}`);
    await section.scrollIntoViewIfNeeded();
    await settled(page);
    assert.match(await seen(section.locator(".evidence")), new RegExp(evidence), view);
    assert.match(await seen(section.locator(".recipe")), /model flowprobe-embedded/, view);
  }
});

test("no view wrote an error to the console or broke the policy", async () => {
  assert.deepEqual(browser.errors, []);
  assert.deepEqual(await page.evaluate(() => window.fakeHost.violations), []);
});
