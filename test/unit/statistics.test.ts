import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunEvent } from "../../src/protocol/events.ts";
import { sweepStatistics } from "../../src/runs/statistics.ts";

/** A run with one point: its clean answer, right or not, and what the cut made of it. */
function run(correct: boolean, change: number, newAnswer: string): RunEvent[] {
  const token = (text: string) => ({ id: 1, token: text, probability: 0.5 });
  return [
    {
      type: "answer",
      answer: token(correct ? "A" : "B"),
      groundTruth: token("A"),
      options: {},
      correct,
    },
    {
      type: "branch.result",
      experiment: "knockout-1",
      series: "Video -/-> Last",
      layer: 2,
      window: [[0, 3]],
      base_score: 0.5,
      new_score: 0.5 * (1 + change / 100),
      relative_diff: change,
      gt_score: 0.5,
      new_score_gt: 0.5,
      relative_diff_gt: 0,
      base_answer: "A",
      new_answer: newAnswer,
      options: {},
    },
  ];
}

const RUNS = [run(true, -10, "A"), run(true, -30, "B"), run(true, -20, "A"), run(false, 50, "A")];

test("means, intervals and accuracy are over the rightly answered clips", () => {
  const { clips, cleanAccuracy, points } = sweepStatistics(RUNS, "correct");
  assert.equal(clips, 4);
  assert.equal(cleanAccuracy, 0.75);
  assert.equal(points.length, 1);
  const [point] = points;
  assert.equal(point?.clips, 3);
  assert.equal(point?.meanRelativeDiff, -20);
  // Standard deviation of -10, -20, -30 is 10.
  assert.ok(Math.abs((point?.interval ?? 0) - (1.96 * 10) / Math.sqrt(3)) < 1e-12);
  assert.equal(point?.accuracy, 2 / 3);
});

test("wrong ones and all of them on request", () => {
  assert.equal(sweepStatistics(RUNS, "wrong").points[0]?.meanRelativeDiff, 50);
  assert.equal(sweepStatistics(RUNS, "all").points[0]?.meanRelativeDiff, -2.5);
  assert.equal(sweepStatistics(RUNS, "all").points[0]?.accuracy, 0.75);
});

test("runs without a known answer count for nothing", () => {
  const unknown: RunEvent[] = [
    { type: "answer", answer: { id: 1, token: "A", probability: 1 }, options: {} },
  ];
  assert.deepEqual(sweepStatistics([unknown], "all"), { clips: 0, cleanAccuracy: 0, points: [] });
});
