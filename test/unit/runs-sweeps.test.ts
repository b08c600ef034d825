import assert from "node:assert/strict";
import { test } from "node:test";
import { InputError } from "../../src/common/errors.ts";
import { seriesNames } from "../../src/engine/experiments/generation.ts";
import type { RunEvent } from "../../src/protocol/events.ts";
import type { RecipeOf } from "../../src/protocol/experiments/schemas.ts";
import type { WindowStyle } from "../../src/protocol/vocabulary.ts";
import { runFacts } from "../../src/runs/comparison/facts.ts";
import { knockoutRecords } from "../../src/runs/records.ts";
import { foldRun } from "../../src/runs/state.ts";
import { commonSweep } from "../../src/runs/sweeps.ts";
import { flowOf } from "../../webview/flow-stages.ts";
import { Store } from "../../webview/store.ts";
import { syntheticRun } from "../panel/synthetic-run.ts";

const LAYERS = 4;
const SERIES = "Video -/-> Last";
const clean = syntheticRun({ layers: LAYERS }).filter(
  (event) => !("experiment" in event) && event.type !== "run.finished",
);

interface Made {
  readonly window?: number;
  readonly style?: WindowStyle;
  readonly layers?: readonly number[];
  /** Change at every centre, in percent: tells the sweeps apart. */
  readonly change: number;
  readonly complete?: boolean;
}

let ids = 0;
function sweep({
  window = 9,
  style = "center",
  layers = [0, 1, 2, 3],
  change,
  complete = true,
}: Made): RunEvent[] {
  const experiment = `knockout-${ids++}`;
  const centres: [number, number][] = [[0, LAYERS]];
  const recipe: RecipeOf<"knockout"> = { targets: ["vql-to-ql"], window, style, centres };
  const results = layers.map(
    (layer): RunEvent => ({
      type: "branch.result",
      experiment,
      series: SERIES,
      layer,
      window: [[layer, layer + 1]],
      base_score: 0.5,
      new_score: 0.5 * (1 + change / 100),
      relative_diff: change,
      gt_score: 0.5,
      new_score_gt: 0.5,
      relative_diff_gt: change,
      base_answer: "A",
      new_answer: "A",
      options: {},
      detail: { target: "vql-to-ql" },
    }),
  );
  return [
    { type: "experiment.started", experiment, kind: "knockout", recipe, branches: layers.length },
    ...results,
    ...(complete ? [{ type: "experiment.finished", experiment, seconds: 1 } as const] : []),
  ];
}

const changes = (found: readonly (readonly { readonly relative_diff: number }[])[]) =>
  found.map((results) => results.map((result) => result.relative_diff));
const common = (...runs: readonly (readonly RunEvent[])[]) =>
  changes(commonSweep(runs.map(foldRun), "vql-to-ql"));

test("sweeps with other windows are never one curve", () => {
  const run = [
    ...sweep({ window: 9, layers: [0, 1], change: -9 }),
    ...sweep({ window: 1, layers: [1, 2], change: -1 }),
  ];
  assert.throws(
    () => common(run),
    /window 9, .* window 1, .* choose one with --window and --style/s,
  );
  const chosen = commonSweep([foldRun(run)], "vql-to-ql", { window: 1 });
  assert.deepEqual(changes(chosen), [[-1, -1]]);
  const [nine, one] = [sweep({ window: 9, change: -9 }), sweep({ window: 1, change: -1 })];
  assert.throws(() => common(nine, one), InputError);
  assert.deepEqual(common(nine, [...one, ...nine]), [Array(4).fill(-9), Array(4).fill(-9)]);
});

test("windows around the centre are meant where several styles are held", () => {
  const run = [...sweep({ change: -9 }), ...sweep({ style: "inverse", change: -80 })];
  assert.deepEqual(common(run), [Array(4).fill(-9)]);
  const inverse = commonSweep([foldRun(run)], "vql-to-ql", { style: "inverse" });
  assert.deepEqual(changes(inverse), [Array(4).fill(-80)]);
  assert.deepEqual(common(sweep({ style: "inverse", change: -80 })), [Array(4).fill(-80)]);
});

test("of like sweeps the last complete one counts, over the most centres", () => {
  const stopped = sweep({ change: -1, complete: false });
  const run = [...sweep({ change: -5 }), ...sweep({ change: -6 }), ...stopped];
  assert.deepEqual(common(run), [Array(4).fill(-6)]);
  assert.deepEqual(common([...run, ...sweep({ layers: [2], change: -7 })]), [Array(4).fill(-6)]);
  assert.deepEqual(common(stopped), [[]]);
});

test("the reference's records hold one sweep of each target", () => {
  const answered = clean.map((event): RunEvent => {
    if (event.type !== "run.started") return event;
    return { ...event, prompt: { ...event.prompt, answer: event.prompt.options[0]?.label } };
  });
  const run = [
    ...answered,
    ...sweep({ window: 9, change: -9 }),
    ...sweep({ style: "inverse", change: -80 }),
  ];
  const records = knockoutRecords([foldRun(run)], { samples: "all", target: "vql-to-ql" });
  assert.deepEqual(
    records.map((record) => record.relative_diff),
    Array(LAYERS).fill(-9),
  );
});

test("the flow map is of the last complete sweep around the centre", () => {
  const lossOf = (...sweeps: readonly RunEvent[][]) => {
    const store = new Store();
    for (const event of [...clean, ...sweeps.flat()]) store.apply(event);
    return flowOf(store, true)?.families[0]?.loss;
  };
  const center = sweep({ change: -30 });
  assert.equal(lossOf(center, sweep({ style: "inverse", change: -90 })), 30);
  assert.equal(lossOf(center, sweep({ change: -90, layers: [0], complete: false })), 30);
  assert.equal(lossOf(center, sweep({ change: -40 })), 40);
  assert.equal(lossOf(sweep({ style: "top_down", change: -90 })), undefined);
  assert.equal(lossOf(sweep({ change: -20, layers: [1], complete: false })), 20, "under way");
});

test("a comparison keeps sweeps of other styles apart", () => {
  const events = [...clean, ...sweep({ change: -30 }), ...sweep({ style: "inverse", change: -90 })];
  const series = runFacts(events)?.series ?? [];
  assert.deepEqual(
    series.map(({ name, style, points }) => [name, style, points[0]?.change]),
    [
      [SERIES, "center", -30],
      [`${SERIES} (inverse)`, "inverse", -90],
    ],
  );
});

test("cuts of a generation have series of their own", () => {
  const cut = (name: string, first: number, last: number) =>
    ({ name, from: "video", to: "last", layers: [first, last] }) as const;
  assert.deepEqual(seriesNames([cut("a", 0, 11), cut("b", 0, 11)]), ["a", "b"]);
  assert.deepEqual(seriesNames([cut("a", 0, 2), cut("a", 8, 11)]), [
    "a, layers 1-3",
    "a, layers 9-12",
  ]);
  const names = seriesNames([
    cut("clean", 0, 1),
    cut("a", 0, 1),
    cut("a", 0, 1),
    { name: "p", pathways: {} },
    { name: "p", pathways: { crossFrame: [0, 1] } },
  ]);
  assert.deepEqual(names, ["clean (2)", "a, layers 1-2", "a, layers 1-2 (2)", "p", "p (2)"]);
});
