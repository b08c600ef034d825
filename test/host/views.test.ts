import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { layerSpans } from "../../src/engine/experiments/plan.ts";
import type { AttentionReading, RunEvent, RunEventOf } from "../../src/protocol/events.ts";
import { layerSpansText } from "../../src/protocol/experiments/parameters.ts";
import type { ExperimentKind, RecipeOf } from "../../src/protocol/experiments/schemas.ts";
import { bestForEdges, pathwayPoints, TRIED_SERIES } from "../../src/protocol/pathways.ts";
import { tensorNumbers } from "../../src/protocol/tensors.ts";
import { wordOf } from "../../src/runs/words.ts";
import { buildExtension } from "./support/build.ts";
import { PanelReader } from "./support/panel.ts";
import { eventsOf, eventsOfClip } from "./support/run-files.ts";
import { assertShows } from "./support/shown.ts";
import { eventually, makeWorkspace, VSCodeWindow } from "./support/window.ts";

const CLIP = "moving-direction-1";
const OPEN_CLIP = "object-count-1";

let window: VSCodeWindow;
let panel: PanelReader;
let started: RunEventOf<"run.started">;
/** First position of the video's tokens, and how many there are of a frame. */
let firstVideo = 0;
let perFrame = 0;
before(async () => {
  buildExtension();
  window = await VSCodeWindow.open(makeWorkspace());
  await window.chooseFromMenu(window.file(`${CLIP}.mp4`), "Analyze Information Flow");
  panel = new PanelReader(window.panel());
  await panel.waitForStatus("Finished in");
  const [first] = eventsOf(await events(), "run.started");
  assert.ok(first !== undefined);
  started = first;
  firstVideo = spansOf("video")[0]?.[0] ?? 0;
  perFrame = started.tokens.grid.rows * started.tokens.grid.columns;
});
after(() => window?.close());

/** What stands in the run's file now. */
function events(clip = CLIP): Promise<readonly RunEvent[]> {
  return eventsOfClip(window.workspace, clip);
}

function spansOf(group: string): readonly (readonly [number, number])[] {
  return started.tokens.groups.find(({ name }) => name === group)?.spans ?? [];
}

/** All positions of a token group. */
function positionsOf(group: string): number[] {
  return spansOf(group).flatMap(([start, end]) =>
    Array.from({ length: end - start }, (_, i) => start + i),
  );
}

/** The last experiment of a kind with its results, once it has ended and is not among those known. */
function experiment<K extends ExperimentKind>(
  kind: K,
  known: ReadonlySet<string> = new Set(),
  clip = CLIP,
) {
  return eventually(`the end of ${kind} in the run file`, async () => {
    const all = await events(clip);
    const ended = new Set(eventsOf(all, "experiment.finished").map((event) => event.experiment));
    const start = eventsOf(all, "experiment.started").findLast(
      (event): event is Extract<typeof event, { kind: K }> =>
        event.kind === kind && ended.has(event.experiment) && !known.has(event.experiment),
    );
    if (start === undefined) return undefined;
    const results = eventsOf(all, "branch.result").filter(
      (result) => result.experiment === start.experiment,
    );
    return { id: start.experiment, recipe: start.recipe as RecipeOf<K>, results, all };
  });
}

/** Words and probabilities that the lens read at a layer: [video tokens][top]. */
async function lensAt(layer: number): Promise<{ word: string; p: number }[][]> {
  const all = await events();
  const words = new Map(
    eventsOf(all, "vocabulary").flatMap(({ tokens }) => tokens.map(({ id, text }) => [id, text])),
  );
  const reading = eventsOf(all, "layer.clean").find((event) => event.layer === layer)?.lens;
  assert.ok(reading !== undefined);
  const [count = 0, k = 0] = reading.ids.shape;
  const [ids, shares] = [tensorNumbers(reading.ids), tensorNumbers(reading.probabilities)];
  return Array.from({ length: count }, (_, token) =>
    Array.from({ length: k }, (_, i) => ({
      word: wordOf(words.get(ids[token * k + i] ?? -1) ?? ""),
      p: shares[token * k + i] ?? Number.NaN,
    })),
  );
}

test("the lens shows each video token's likeliest word, finds a word, and follows a patch that is clicked", async () => {
  const view = await panel.lookAt("lens");
  const layer = 8;
  await panel.setLayer(layer);
  await view.locator(".recipe", { hasText: `after layer ${layer + 1} ` }).waitFor();
  const read = await lensAt(layer);
  const [, ...rows] = await panel.table("lens");
  assert.equal(rows.length, read.length);
  rows.forEach(([position, , , , word, p], token) => {
    assert.equal(position, String(firstVideo + token));
    assert.equal(word, read[token]?.[0]?.word);
    assertShows(p, read[token]?.[0]?.p ?? Number.NaN, `token ${token}`);
  });

  const layers = await Promise.all(
    Array.from({ length: started.model.layers }, (_, each) => lensAt(each)),
  );
  const leads = (each: (typeof layers)[number]) => each.map(([top]) => top?.word === "circle");
  const first = layers.findIndex((each) => leads(each).includes(true));
  assert.ok(first >= 0, "some token reads “circle” in this clip");
  const frame = Math.floor(leads(layers[first] ?? []).indexOf(true) / perFrame) + 1;
  const leading = layers.flatMap((each, at) => (leads(each).includes(true) ? [at] : []));
  await view.locator("vscode-text-field input").first().fill("circle");
  await view
    .locator(".search-result", {
      hasText: `in ${layerSpansText(layerSpans(new Set(leading)))}; first: Frame ${frame},`,
    })
    .waitFor();

  // The first cell of the first frame.
  await view
    .locator(".frames canvas")
    .last()
    .click({ position: { x: 6, y: 6 } });
  await view.locator(".story h3", { hasText: "Frame 1, row 1, column 1 " }).waitFor();
  const [, ...story] = await panel.table("lens");
  assert.equal(story.length, layers.length);
  story.forEach(([, ...cells], each) => {
    const top = layers[each]?.[0] ?? [];
    assert.equal(cells.length, top.length);
    cells.forEach((cell, rank) => {
      const { word = "", p = Number.NaN } = top[rank] ?? {};
      assert.ok(cell.startsWith(`${word} `), `${cell} is ${word}`);
      assertShows(cell.slice(word.length + 1), p, `${word} at layer ${each + 1}`);
    });
  });
  await view
    .locator(".frames canvas")
    .last()
    .click({ position: { x: 6, y: 6 } });
});

/** The attention table shows a query's weights summed over each frame, of one head or their mean. */
async function assertShowsAttention(query: number, head: number | null): Promise<void> {
  const readings = new Map<number, AttentionReading>();
  for (const { layer, attention } of eventsOf(await events(), "layer.clean")) {
    const isWanted =
      attention?.queries.includes(query) && attention.headAveraged === (head === null);
    if (attention !== undefined && isWanted) readings.set(layer, attention);
  }
  const [, ...rows] = await panel.table("attention");
  assert.equal(rows.length, started.model.layers);
  rows.forEach(([, ...cells], layer) => {
    const reading = readings.get(layer);
    assert.ok(reading !== undefined, `layer ${layer + 1} is in the file`);
    const [, queries = 0, length = 0] = reading.weights.shape;
    const row = ((head ?? 0) * queries + reading.queries.indexOf(query)) * length + firstVideo;
    const weights = tensorNumbers(reading.weights);
    assert.equal(cells.length, started.tokens.grid.frames);
    cells.forEach((cell, frame) => {
      let sum = 0;
      for (let i = 0; i < perFrame; i++) sum += weights[row + frame * perFrame + i] ?? Number.NaN;
      assertShows(cell, sum, `layer ${layer + 1}, frame ${frame + 1}`);
    });
  });
}

test("attention is that of the prompt's token that is clicked, and head by head once that is read", async () => {
  const [query = -1] = positionsOf("keyword:way");
  await panel.lookAt("prompt");
  await panel.view("prompt").locator(`.token[data-position="${query}"]`).click();
  const view = await panel.lookAt("attention");
  await view.locator(".query", { hasText: `position ${query};` }).waitFor();
  await assertShowsAttention(query, null);
  await view.getByText("Read every head").click();
  await panel.choose("attention", "Heads", "head 3");
  await view.locator(".recipe", { hasText: "head 3" }).waitFor();
  await assertShowsAttention(query, 2);
});

test("one head is knocked out from the matrix, and what that costs is told", async () => {
  const view = panel.view("attention");
  await panel.setLayer(5);
  const matrix = view.locator(".matrix canvas").last();
  await matrix.focus();
  await window.page.keyboard.press("ArrowDown");
  await view.getByText("Knock out each head here").click();
  const { results } = await experiment("heads");
  const note = view.locator(".note", { hasText: "(cause)" });
  await note.waitFor();
  const [, head, layer, shown] =
    /Head (\d+), layer (\d+):.*cut: answer's probability (.*) \(cause\)/.exec(
      (await note.textContent()) ?? "",
    ) ?? [];
  const result = results.find(
    ({ detail, layer: at }) => detail?.head === Number(head) - 1 && at === Number(layer) - 1,
  );
  assert.ok(result !== undefined, `head ${head}, layer ${layer}`);
  assertShows(shown, result.relative_diff / 100, "the cut head");
});

test("the flow map's figures are the largest drops of the sweep", async () => {
  const [, ...rows] = await panel.table("flow-map");
  const results = eventsOf(await events(), "branch.result");
  for (const [series = "", , , , , layer, drop] of rows) {
    const own = results.filter((result) => result.series === series);
    const peak = own.reduce((a, b) => (b.relative_diff < a.relative_diff ? b : a));
    assert.equal(layer, String(peak.layer + 1), series);
    assertShows(drop, peak.relative_diff / 100, series);
  }
  assert.ok(rows.length > 3);
});

test("a cut that is drawn and named shows the options before and after it", async () => {
  const view = await panel.lookAt("what-if");
  await panel.choose("what-if", "Cut off these tokens", "video");
  await panel.choose("what-if", "from being read by these", "question");
  const last = view.getByLabel("In layers, layers: last");
  await last.focus();
  for (let step = 0; step < 3; step++) await window.page.keyboard.press("ArrowLeft");
  await view.locator("vscode-text-field input").nth(0).fill("1-4");
  await view.locator("vscode-text-field input").nth(1).fill("blind question");
  await view.getByRole("button", { name: "Run this cut" }).click();
  await view.locator("article h3", { hasText: "blind question" }).waitFor();
  const { recipe, results, all } = await experiment("what-if");
  const [result] = results;
  assert.ok(result !== undefined);
  const { layers } = started.model;
  assert.deepEqual(result.window, [[0, layers - 3]]);
  assert.deepEqual(recipe.heads, [0, 1, 2, 3]);
  assert.deepEqual(recipe.from, positionsOf("video"));
  assert.deepEqual(recipe.to, positionsOf("question"));
  const [answer] = eventsOf(all, "answer");
  const [, clean = [], cut = []] = await panel.table("what-if");
  assert.deepEqual(cut.slice(0, 2), ["blind question", `layers 1-${layers - 3}`]);
  started.prompt.options.forEach(({ label }, i) => {
    assertShows(clean[3 + i], answer?.options[label] ?? Number.NaN, `${label}, clean`);
    assertShows(cut[3 + i], result.options[label] ?? Number.NaN, `${label}, cut`);
  });
});

/** The pathways view shows what a search tried and found, as its file has it. */
/** A search as it stands in the run file. */
type Search = Awaited<ReturnType<typeof experiment<"pathway-search">>>;

async function assertShowsSearch(found: Search): Promise<void> {
  const end = eventsOf(found.all, "pathway.found").find((event) => event.experiment === found.id);
  assert.ok(end?.found != null);
  const view = await panel.lookAt("pathways");
  const status = view.locator(".finder [role=status]");
  await status.filter({ hasText: `${end.tried} pathways were tried` }).waitFor();
  const [, ranges, edges, share, asked] =
    /^Found: (.*): (\S+ %) of the edges left, (\S+ %) of the probability kept \(asked for at least (\S+ %) /.exec(
      (await status.textContent()) ?? "",
    ) ?? [];
  const [answer] = eventsOf(found.all, "answer");
  const kept = end.found.probability / (answer?.answer.probability ?? Number.NaN);
  assert.equal(ranges, sliderTexts(end.found).join(", "));
  assertShows(edges, end.found.edgesLeft, "edges left");
  assertShows(share, kept, "probability kept");
  assertShows(asked, Number(found.recipe.keepShare), "asked for");
  assert.ok(kept >= Number(found.recipe.keepShare));
  const [, ...rows] = await panel.table("pathways");
  const tried = pathwayPoints(found.results.filter(({ series }) => series === TRIED_SERIES));
  const shown = rows.filter(([, , , , , , , , , origin]) => origin === "search");
  const own = shown.slice(-tried.length);
  assert.equal(own.length, tried.length);
  own.forEach((row, i) => {
    assertShows(row[3], tried[i]?.edgesLeft ?? Number.NaN, `edges left of pathway ${i + 1}`);
    assertShows(row[8], tried[i]?.share ?? Number.NaN, `kept by pathway ${i + 1}`);
  });
  assert.deepEqual(
    await view.locator(".range-text").allTextContents(),
    sliderTexts(end.found).map((text) => text.split(" ").at(-1)),
    "the sliders stand where the search ended",
  );
}

/** Kept ranges in the view's words, layers from 1. */
function sliderTexts(
  found: Pick<
    NonNullable<RunEventOf<"pathway.found">["found"]>,
    "crossFrame" | "videoToQuestion" | "questionToLast"
  >,
): string[] {
  const text = (range: readonly [number, number] | null) => {
    if (range === null) return "none";
    const [first, last] = range;
    return first === last ? `${first + 1}` : `${first + 1}-${last + 1}`;
  };
  return [
    `cross-frame ${text(found.crossFrame)}`,
    `video → question ${text(found.videoToQuestion)}`,
    `question → last ${text(found.questionToLast)}`,
  ];
}

test("“Find for me” finds the smallest pathway, in the panel and from the palette, with its curve", async () => {
  const view = await panel.lookAt("pathways");
  await view.getByText("Find for me").click();
  const first = await experiment("pathway-search");
  await assertShowsSearch(first);
  const points = pathwayPoints(first.results.filter(({ series }) => series === TRIED_SERIES));
  const curve = `Most kept for its edges, ${bestForEdges(points).length} points`;
  const chart = view.locator(".chart canvas");
  assert.match((await chart.getAttribute("aria-label")) ?? "", new RegExp(curve));

  await window.command("Flowprobe: Find Effective Pathway");
  await window.answer("50 %", "Share of the clean run");
  const second = await experiment("pathway-search", new Set([first.id]));
  assert.equal(second.recipe.keepShare, 0.5);
  await assertShowsSearch(second);
});

test("a pathway's range that is changed is run beside as many edges cut at random", async () => {
  const view = await panel.lookAt("pathways");
  const before = new Set(
    eventsOf(await events(), "experiment.started").map((event) => event.experiment),
  );
  // No answer is kept without this family, so that its range is never none.
  const first = view.getByLabel("Question → last, layers: first");
  await first.press(Number(await first.inputValue()) > 1 ? "ArrowLeft" : "ArrowRight");
  const { results } = await experiment("pathways", before);
  const [kept, random] = results;
  assert.ok(kept !== undefined && random !== undefined);
  await view.locator("[role=status]", { hasText: "of the attention edges are left" }).waitFor();
  const row = (await panel.table("pathways")).at(-1) ?? [];
  assertShows(row[3], kept.edges_left ?? Number.NaN, "edges left");
  assertShows(row[4], kept.new_score, "kept");
  assertShows(row[5], random.new_score, "random");
});

test("an open-ended answer is generated clean and under a cut, token by token", async () => {
  await window.chooseFromMenu(window.file(`${OPEN_CLIP}.mp4`), "Ask a Question About This Video");
  await window.answer("What is in the video?", "Question");
  await window.answer("", "Options");
  await window.answer("", "Right answer");
  const open = new PanelReader(window.panel());
  await open.question.filter({ hasText: "What is in the video?" }).waitFor();
  await open.waitForStatus("Finished in");
  const view = await open.lookAt("generation");
  await open.choose("generation", "Cut", "video");
  await view.getByRole("button", { name: "Generate" }).click();
  const { id, all } = await experiment("generation", new Set(), OPEN_CLIP);
  const tokens = eventsOf(all, "generation.token").filter((event) => event.experiment === id);
  assert.deepEqual([...new Set(tokens.map(({ series }) => series))], ["clean", "video -/-> last"]);
  await view.locator("article h3", { hasText: "video -/-> last" }).waitFor();
  const [, ...rows] = await open.table("generation");
  const wanted = [...tokens].sort(
    (a, b) => Number(b.series === "clean") - Number(a.series === "clean"),
  );
  assert.equal(rows.length, wanted.length);
  rows.forEach(([series, step, , p], i) => {
    assert.deepEqual([series, step], [wanted[i]?.series, String((wanted[i]?.step ?? -1) + 1)]);
    assertShows(p, wanted[i]?.token.probability ?? Number.NaN, `${series}, step ${step}`);
  });
  const texts = await view.locator("article .generated").allTextContents();
  assert.deepEqual(
    texts,
    ["clean", "video -/-> last"].map((series) =>
      wanted.flatMap((event) => (event.series === series ? [event.token.token] : [])).join(""),
    ),
  );
});
