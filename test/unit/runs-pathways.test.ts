import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { RunEvent, RunEventOf } from "../../src/protocol/events.ts";
import type { ExperimentRequest } from "../../src/protocol/experiments/schemas.ts";
import {
  bestForEdges,
  keepsAnswer,
  namedRanges,
  pathwayPoints,
  TRIED_SERIES,
} from "../../src/protocol/pathways.ts";
import { decodeEvent, encodeEvent } from "../../src/runs/codec.ts";
import { experimentsOf } from "../../src/runs/experiments.ts";
import { runToJson } from "../../src/runs/exports.ts";
import { remainderOf } from "../../src/runs/resume.ts";
import { experimentsCsv } from "../../src/runs/tables.ts";
import { syntheticRun } from "../panel/synthetic-run.ts";
import { jobOfRun } from "../support/job-of-run.ts";

const clean = syntheticRun({ layers: 4 }).filter(
  ({ type }) => !/^(experiment|branch)\./.test(type),
);
const recipe = { keepShare: 0.9, maxCandidates: 100, randomSeed: 0 };
const request: ExperimentRequest = { kind: "pathway-search", ...recipe };

function tried(edgesLeft: number, score: number, more: Partial<RunEventOf<"branch.result">> = {}) {
  return {
    type: "branch.result" as const,
    experiment: "s",
    series: TRIED_SERIES,
    layer: 0,
    window: [[0, 4]] as [number, number][],
    base_score: 0.5,
    new_score: score,
    relative_diff: 200 * score - 100,
    gt_score: null,
    new_score_gt: null,
    relative_diff_gt: null,
    base_answer: "A",
    new_answer: "A",
    options: {},
    edges_left: edgesLeft,
    detail: namedRanges({ crossFrame: [0, 2], questionToLast: [1, 1] }),
    ...more,
  };
}

const outcome = {
  found: { ...namedRanges({ questionToLast: [1, 3] }), edgesLeft: 0.4, probability: 0.49 },
  tried: 2,
  ended: "local" as const,
};
const found: RunEventOf<"pathway.found"> = { type: "pathway.found", experiment: "s", ...outcome };
const search: RunEvent[] = [
  {
    type: "experiment.started",
    experiment: "s",
    kind: "pathway-search",
    recipe,
    branches: 102,
  },
  tried(0.9, 0.5),
  tried(0.4, 0.49),
  found,
  { type: "experiment.finished", experiment: "s", seconds: 1 },
];

test("a search's events come back from their lines as they were, and are checked", () => {
  for (const event of [...search, { ...found, found: null }]) {
    assert.deepEqual(decodeEvent(encodeEvent(event)), { kind: "event", event });
  }
  for (const wrong of [
    { ...found, ended: "proved" },
    { ...found, tried: -1 },
    { ...found, found: { ...outcome.found, crossFrame: [1] } },
    { ...found, found: { ...outcome.found, questionToLast: undefined } },
  ]) {
    const decoded = decodeEvent(JSON.stringify(wrong));
    assert.match(decoded.kind === "problem" ? decoded.message : "", /not a valid pathway\.found/);
  }
});

test("a run's search has its outcome, as JSON too, and its candidates are in the CSV", () => {
  const events = [...clean, ...search];
  assert.deepEqual(experimentsOf(events)[0]?.outcome, outcome);
  const [exported] = runToJson(events).experiments as Record<string, unknown>[];
  assert.deepEqual(exported?.outcome, outcome);
  const rows = experimentsCsv(events).trimEnd().split("\r\n");
  assert.equal(rows.length, 3);
  assert.ok(rows[1]?.includes(TRIED_SERIES));
});

test("a search is resumed by its request: done ones are known, stopped or other ones are made", () => {
  const [started] = clean;
  assert.ok(started?.type === "run.started");
  const job = jobOfRun(started, [request]);
  const left = (events: readonly RunEvent[], asked = request) => {
    return remainderOf({ ...job, experiments: [asked] }, [...clean, ...events]).experiments;
  };
  assert.deepEqual(left(search), []);
  assert.deepEqual(left(search.slice(0, -1)), [request]);
  for (const change of [{ keepShare: 0.8 }, { maxCandidates: 99 }, { randomSeed: 1 }]) {
    const other: ExperimentRequest = { ...request, ...change };
    assert.deepEqual(left(search, other), [other]);
  }
  const { randomSeed: _, ...uncontrolled } = request;
  assert.deepEqual(left(search, uncontrolled), [uncontrolled]);
});

test("the curve keeps what no point with as few edges beats, by edges left", () => {
  const points = fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 9 })));
  fc.assert(
    fc.property(points, (pairs) => {
      const all = pathwayPoints(pairs.map(([x, y]) => tried(x / 10, y / 20)));
      const curve = bestForEdges(all);
      curve.forEach((point, i) => {
        const before = curve[i - 1];
        if (before === undefined) return;
        assert.ok(point.edgesLeft > before.edgesLeft && point.share > before.share);
      });
      for (const { edgesLeft, share } of all) {
        const best = curve.findLast((point) => point.edgesLeft <= edgesLeft);
        assert.ok(best !== undefined && best.share >= share);
      }
    }),
  );
});

test("an answer is kept when it is still predicted with enough of its probability", () => {
  assert.ok(keepsAnswer(tried(0.5, 0.45), 0.9));
  assert.ok(!keepsAnswer(tried(0.5, 0.449), 0.9));
  assert.ok(!keepsAnswer(tried(0.5, 0.49, { new_answer: "B" }), 0.9));
});

test("results that do not say their ranges or their edges are no points", () => {
  const { edges_left: _, ...without } = tried(0.5, 0.4);
  const results = [without, tried(0.5, 0.4, { detail: {} }), tried(0.5, 0.4)];
  const [point, ...more] = pathwayPoints(results);
  assert.equal(more.length, 0);
  assert.deepEqual(point?.ranges, {
    crossFrame: [0, 2],
    videoToQuestion: null,
    questionToLast: [1, 1],
  });
  assert.equal(point?.share, 0.8);
});
