import assert from "node:assert/strict";
import { basename } from "node:path";
import { after, before, test } from "node:test";
import {
  alignRuns,
  type ComparedSeries,
  compareMass,
  compareSweeps,
} from "../../src/runs/comparison/compare.ts";
import { type RunFacts, runFacts } from "../../src/runs/comparison/facts.ts";
import type { ComparedLines } from "../../src/runs/comparison/lines.ts";
import { readRunFile } from "../../src/runs/file.ts";
import { buildExtension } from "./support/build.ts";
import { PanelReader } from "./support/panel.ts";
import { eventsOf, runFiles } from "./support/run-files.ts";
import { assertShows, assertShowsPoints } from "./support/shown.ts";
import { eventually, makeWorkspace, VSCodeWindow } from "./support/window.ts";

const CLIP = "moving-direction-1.mp4";

let window: VSCodeWindow;
/** Run files: the clip as filmed, and with its frames reversed. */
let filmed = "";
let reversed = "";
before(async () => {
  buildExtension();
  window = await VSCodeWindow.open(makeWorkspace());
  await window.chooseFromMenu(window.file(CLIP), "Analyze Information Flow");
  const panel = new PanelReader(window.panel());
  await panel.waitForStatus("Finished in");
  [filmed = ""] = runFiles(window.workspace);
  await window.command("Flowprobe: Keyword Knockout");
  await ended(filmed, "keyword");
  await window.chooseFromMenu(window.file(CLIP), "Analyze a Counterfactual Clip");
  await window.pick("Reversed");
  await panel.frame.locator(".head .badge", { hasText: "reversed" }).waitFor();
  await panel.waitForStatus("Finished in");
  reversed = runFiles(window.workspace).find((file) => file.includes("reversed")) ?? "";
});
after(() => window?.close());

/** Waits until an experiment of this kind has ended in a run's file. */
async function ended(file: string, kind: string): Promise<void> {
  await eventually(`the end of ${kind} in ${basename(file)}`, async () => {
    const { events } = await readRunFile(file);
    const known = eventsOf(events, "experiment.started").filter((start) => start.kind === kind);
    const ends = eventsOf(events, "experiment.finished").map(({ experiment }) => experiment);
    return known.some(({ experiment }) => ends.includes(experiment)) ? true : undefined;
  });
}

/** What is compared, taken from the run files alone. */
async function facts(): Promise<RunFacts[]> {
  const read = await Promise.all(
    [filmed, reversed].map(async (file) => runFacts((await readRunFile(file)).events)),
  );
  return read.filter((run) => run !== null);
}

/** Value of a run at a layer; not a number where the run holds none. */
const valueAt = (line: ComparedLines, run: number, layer: number) =>
  line.values[run]?.[layer] ?? Number.NaN;

/** A table of small charts shows these lines: a row for each and each layer. */
function assertShowsLines(
  rows: readonly string[][],
  lines: readonly ComparedLines[],
  naming: (line: ComparedLines) => string,
  scale: number,
): void {
  assert.ok(lines.length > 0);
  for (const line of lines) {
    const name = naming(line);
    const own = rows.filter(([first]) => first === name);
    assert.equal(own.length, line.values[0]?.length, name);
    own.forEach(([, at, one, two, difference], layer) => {
      const what = `${name} at layer ${at}`;
      const [a = 0, b = 0] = [0, 1].map((run) => scale * valueAt(line, run, layer));
      assert.equal(at, String(layer + 1));
      assertShows(one, a / 100, `run 1, ${what}`);
      assertShows(two, b / 100, `run 2, ${what}`);
      assertShowsPoints(difference, b - a, `difference, ${what}`);
    });
  }
}

/** The comparison shows the numbers of the two files, and each run's less the first's. */
async function assertShowsComparison(panel: PanelReader): Promise<void> {
  const runs = await facts();
  assert.equal(runs.length, 2);
  const [one, two] = runs;
  assert.deepEqual([one?.video.order, two?.video.order], [null, "reversed"]);
  const truth = one?.prompt.answer ?? "";
  const [header, ...rows] = await panel.table("compare-answer");
  assert.equal(header?.at(-1), "run 2 − run 1");
  assert.equal(rows.length, one?.model.layers);
  rows.forEach((row, layer) => {
    const [a = Number.NaN, b = Number.NaN] = runs.map(
      (run) => run.layers[layer]?.normed.options[truth],
    );
    assertShows(row[1], a, `run 1 at layer ${layer + 1}`);
    assertShows(row[2], b, `run 2 at layer ${layer + 1}`);
    assertShowsPoints(row[3], 100 * (b - a), `difference at layer ${layer + 1}`);
  });
  const alignment = alignRuns(runs);
  const sweeps = compareSweeps(runs, alignment, "answer");
  const measured = sweeps.filter(({ differences }) => differences[1] !== null);
  const knockout = await panel.table("compare-knockout");
  assertShowsLines(knockout, measured, ({ name }) => name, 1);
  assertShowsMap(await panel.table("compare-flow-map"), measured);
  const mass = compareMass(runs, alignment, "last");
  assertShowsLines(await panel.table("compare-mass"), mass, ({ name }) => `to ${name}`, 100);
}

function assertShowsMap(table: readonly string[][], sweeps: readonly ComparedSeries[]): void {
  const [names = [], ...rows] = table;
  assert.deepEqual(
    names.slice(1),
    sweeps.map(({ name }) => name),
  );
  rows.forEach((row, layer) => {
    sweeps.forEach((sweep, i) => {
      const difference = valueAt(sweep, 1, layer) - valueAt(sweep, 0, layer);
      assertShowsPoints(row[i + 1], difference, `${sweep.name} at layer ${layer + 1} of the map`);
    });
  });
}

test("two runs chosen in the Runs view are compared: the panel shows the differences of their files", async () => {
  await window.activity("Flowprobe").click();
  const original = window.row(/^Which way/);
  const other = window.row(/^reversed: Which way/);
  // The order of clicks does not matter: the clip as filmed comes first.
  await other.click({ modifiers: ["ControlOrMeta"] });
  await original.click({ modifiers: ["ControlOrMeta"] });
  await window.chooseFromMenu(other, "Compare Runs");
  await window.tabs.filter({ hasText: "Compare" }).waitFor();
  const panel = new PanelReader(window.panel());
  await panel.view("compare-answer").waitFor();
  assert.match((await panel.frame.locator(".contrasts").textContent()) ?? "", /reversed/);
  await assertShowsComparison(panel);
});

test("what one run lacks is measured from the comparison, and shown beside the other's", async () => {
  const panel = new PanelReader(window.panel());
  const missing = panel.view("compare-knockout").locator(".missing li");
  await missing.filter({ hasText: "Run 2 holds no knockout of" }).waitFor();
  await missing.getByText("Measure it").click();
  await ended(reversed, "keyword");
  await missing.first().waitFor({ state: "detached" });
  const names = new Set((await panel.table("compare-knockout")).map(([name]) => name));
  for (const { series, experiment } of eventsOf(
    (await readRunFile(filmed)).events,
    "branch.result",
  )) {
    if (experiment.startsWith("keyword")) assert.ok(names.has(series), series);
  }
  await assertShowsComparison(panel);
});

test("the comparison comes back after the window is reloaded", async () => {
  await window.reload();
  const panel = new PanelReader(window.panel());
  await panel.view("compare-answer").waitFor();
  await assertShowsComparison(panel);
});

test("the command offers the runs and compares those that are ticked, and a card opens its run", async () => {
  await window.command("View: Close All Editors");
  await window.command("Flowprobe: Compare Runs");
  await window.pickSeveral(basename(reversed, ".flow.jsonl"), basename(filmed, ".flow.jsonl"));
  const panel = new PanelReader(window.panel());
  await panel.view("compare-answer").waitFor();
  const cards = panel.frame.locator(".card");
  assert.match((await cards.first().textContent()) ?? "", /as filmed/);
  await cards.nth(1).getByText("Open", { exact: true }).click();
  await window.tabs.filter({ hasText: basename(reversed) }).waitFor();
  const opened = new PanelReader(window.panel());
  await opened.frame.locator(".head .badge", { hasText: "reversed" }).waitFor();
  await opened.answer.filter({ hasText: "for the clip as filmed" }).waitFor();
});
