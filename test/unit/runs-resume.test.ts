import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunEvent } from "../../src/protocol/events.ts";
import type { Recorded } from "../../src/protocol/experiments/list.ts";
import type { ExperimentRequest, RecipeOf } from "../../src/protocol/experiments/schemas.ts";
import type { AnalysisJob } from "../../src/protocol/requests.ts";
import { remainderOf } from "../../src/runs/resume.ts";
import { syntheticRun } from "../panel/synthetic-run.ts";
import { jobOfRun } from "../support/job-of-run.ts";

const LAYERS = 4;
const sweep: ExperimentRequest = {
  kind: "knockout",
  targets: ["vql-to-ql"],
  window: 3,
  style: "center",
};
const recipe: RecipeOf<"knockout"> = {
  targets: ["vql-to-ql"],
  window: 3,
  style: "center",
  centres: [[0, LAYERS]],
};

const base = syntheticRun({ layers: LAYERS }).filter(({ type }) => !type.startsWith("branch"));
const [started] = base;
assert.ok(started?.type === "run.started");
const clean = base.filter(({ type }) => !type.startsWith("experiment"));

const job = jobOfRun(started, [sweep]);

function experiment<K extends "knockout" | "pathways">(
  id: string,
  kind: K,
  made: RecipeOf<K>,
  complete = true,
): RunEvent[] {
  const recorded = { kind, recipe: made } as Recorded;
  const begun: RunEvent = { type: "experiment.started", experiment: id, ...recorded, branches: 1 };
  return complete ? [begun, { type: "experiment.finished", experiment: id, seconds: 1 }] : [begun];
}

const remainder = (events: readonly RunEvent[], asked: AnalysisJob = job) =>
  remainderOf(asked, events);

test("a run without the experiment lacks just that", () => {
  const { experiments, cleanComplete, known } = remainder(clean);
  assert.deepEqual(experiments, [sweep]);
  assert.ok(cleanComplete);
  assert.deepEqual(known, clean);
});

test("an experiment with the same recipe is not made again, one that was stopped is", () => {
  const whole = remainder([...clean, ...experiment("k", "knockout", recipe)]);
  assert.deepEqual(whole.experiments, []);
  const stopped = remainder([...clean, ...experiment("k", "knockout", recipe, false)]);
  assert.deepEqual(stopped.experiments, [sweep]);
  assert.ok(stopped.known.every((event) => !("experiment" in event)));
});

test("another window, style, target or range of layers is another experiment", () => {
  const differing: RecipeOf<"knockout">[] = [
    { ...recipe, window: 9 },
    { ...recipe, style: "inverse" },
    { ...recipe, targets: ["cross-frame"] },
    { ...recipe, targets: ["vql-to-ql", "cross-frame"] },
    { ...recipe, centres: [[0, 2]] },
  ];
  for (const other of differing) {
    const { experiments } = remainder([...clean, ...experiment("k", "knockout", other)]);
    assert.deepEqual(experiments, [sweep], JSON.stringify(other));
  }
  const range = { ...job, experiments: [{ ...sweep, layers: [1, 2] as const }] };
  const part = experiment("k", "knockout", { ...recipe, centres: [[1, 3]] });
  assert.deepEqual(remainder([...clean, ...part], range).experiments, []);
});

test("pathways with and without a control are not the same", () => {
  const asked = { kind: "pathways", crossFrame: [0, 2], questionToLast: [1, 3] } as const;
  const paths = { ...job, experiments: [asked] };
  const made = { crossFrame: [0, 2], questionToLast: [1, 3], edgesLeft: 0.4 } as const;
  const run = (more: RecipeOf<"pathways">) => [
    ...clean,
    ...experiment("p", "pathways", { ...made, ...more }),
  ];
  assert.deepEqual(remainder(run({}), paths).experiments, []);
  assert.deepEqual(remainder(run({ randomSeed: 1 }), paths).experiments, [asked]);
  assert.deepEqual(remainder(run({ videoToQuestion: [0, 1] }), paths).experiments, [asked]);
});

test("experiments of a run that the job does not ask for are left out of what is known", () => {
  const events = [
    ...clean,
    ...experiment("other", "knockout", { ...recipe, window: 9 }),
    ...experiment("k", "knockout", recipe),
  ];
  const ids = remainder(events).known.flatMap((e) => ("experiment" in e ? [e.experiment] : []));
  assert.deepEqual(new Set(ids), new Set(["k"]));
});

test("a clean pass that was stopped, or read with less, is not complete", () => {
  const cut = clean.findLastIndex(({ type }) => type === "layer.clean");
  assert.ok(!remainder(clean.slice(0, cut)).cleanComplete);
  const withLens = { ...job, observe: { ...job.observe, lens: true } };
  assert.ok(!remainder(clean, withLens).cleanComplete);
  const lens = syntheticRun({ layers: LAYERS, lens: true });
  assert.ok(remainder(lens, withLens).cleanComplete);
});
