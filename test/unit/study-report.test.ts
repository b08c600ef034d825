import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunEvent } from "../../src/protocol/events.ts";
import type { Study } from "../../src/protocol/study.ts";
import { studyReport } from "../../src/runs/study/report.ts";

const PLAN: Study = {
  format: "flowprobe-study",
  version: 1,
  created: "",
  program: "flowprobe",
  dataset: { path: "/set.json", sha256: "" },
  model: { folder: "/model", embedded: false },
  observe: { lens: false, mass: false, attention: "none", headAveraged: true },
  experiments: [],
  samples: "correct",
  questions: [{ number: 1, video: "a.mp4" }],
};

/** A pathway and its control, from a seed. */
function pathways(id: string, randomSeed: number, random: number): RunEvent[] {
  const result = (series: string, score: number): RunEvent => ({
    type: "branch.result",
    experiment: id,
    series,
    layer: 0,
    window: [[0, 4]],
    base_score: 0.8,
    new_score: score,
    relative_diff: 100 * (score / 0.8 - 1),
    gt_score: 0.8,
    new_score_gt: score,
    relative_diff_gt: 100 * (score / 0.8 - 1),
    base_answer: "A",
    new_answer: score > 0.4 ? "A" : "B",
    options: {},
    edges_left: 0.5,
  });
  const recipe = { crossFrame: [0, 1], randomSeed } as const;
  return [
    { type: "experiment.started", experiment: id, kind: "pathways", recipe, branches: 2 },
    result("Effective pathways", 0.8),
    result("Random edges", random),
    { type: "experiment.finished", experiment: id, seconds: 1 },
  ];
}

const token = { id: 1, token: "A", probability: 0.8 };
const ANSWER: RunEvent = {
  type: "answer",
  answer: token,
  groundTruth: token,
  options: {},
  correct: true,
};

function experiments(events: readonly RunEvent[]) {
  const question = { number: 1, video: "a.mp4" };
  const { tasks } = studyReport(PLAN, [{ question, events }], new Map());
  return tasks[0]?.experiments ?? assert.fail("one task");
}

test("draws of the random control stand apart by seed", () => {
  const found = experiments([ANSWER, ...pathways("a", 1, 0.7), ...pathways("b", 2, 0.1)]);
  assert.equal(found.length, 2);
  for (const { points } of found) {
    for (const { accuracy, change } of points)
      assert.deepEqual([accuracy.of, change.values], [1, 1]);
  }
  const right = found.map(({ points }) => points.map(({ accuracy }) => accuracy.count));
  assert.deepEqual(right, [
    [1, 1],
    [1, 0],
  ]);
});

test("a run that was measured twice counts once, the last time", () => {
  const [only, ...more] = experiments([ANSWER, ...pathways("a", 1, 0.7), ...pathways("b", 1, 0.1)]);
  assert.equal(more.length, 0);
  assert.deepEqual(
    only?.points.map(({ accuracy }) => [accuracy.count, accuracy.of]),
    [
      [1, 1],
      [0, 1],
    ],
  );
  assert.equal(only?.flips.find(({ series }) => series === "Random edges")?.lost, 1);
});
