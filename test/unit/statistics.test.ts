import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { randomSource } from "../../src/common/random.ts";
import type { RunEvent } from "../../src/protocol/events.ts";
import { meanInterval } from "../../src/runs/statistics/intervals.ts";
import { flips, proportion } from "../../src/runs/statistics/proportions.ts";
import { sweepStatistics } from "../../src/runs/statistics/sweeps.ts";
import { discoveries, isNoEffect } from "../../src/runs/statistics/tests.ts";

/** Figures of scipy and statsmodels (data/make_statistics.py). */
const EXPECTED = JSON.parse(
  readFileSync(new URL("data/statistics.json", import.meta.url), "utf8"),
) as {
  means: { clusters: number[][]; mean: number; low: number; high: number; p: number }[];
  bca: { values: number[]; low: number; high: number };
  wilson: { count: number; of: number; bounds: [number, number] }[];
  mcnemar: { lost: number; won: number; p: number }[];
  fdr: { ps: number[]; rejected: boolean[] };
};

function close(found: number | null, expected: number, tolerance: number, what: string): void {
  assert.ok(
    found !== null && Math.abs(found - expected) <= tolerance,
    `${what}: ${found} is not ${expected}`,
  );
}

test("t intervals equal statsmodels', also clustered", () => {
  for (const { clusters, mean, low, high, p } of EXPECTED.means) {
    const found = meanInterval(clusters);
    const name = `${found.values} values of ${found.sources} sources`;
    assert.equal(found.method, "t");
    close(found.mean, mean, 1e-9, name);
    close(found.low, low, 1e-8, name);
    close(found.high, high, 1e-8, name);
    close(found.p, p, 1e-9, name);
  }
});

test("one source has a mean and no interval", () => {
  const { mean, low, high, p } = meanInterval([[1, 2, 3]]);
  assert.deepEqual({ mean, low, high, p }, { mean: 2, low: null, high: null, p: null });
});

test("BCa intervals agree with scipy's", () => {
  const { values, low, high } = EXPECTED.bca;
  const found = meanInterval(values.map((value) => [value]));
  assert.equal(found.method, "bca");
  // 10,000 draws place a bound within 2 % of the interval's width, four standard errors.
  const tolerance = 0.02 * (high - low);
  close(found.low, low, tolerance, "low");
  close(found.high, high, tolerance, "high");
  assert.deepEqual(meanInterval(values.map((value) => [value])), found);
});

test("BCa of values that are all alike is that value", () => {
  const { low, high } = meanInterval(Array.from({ length: 120 }, () => [2]));
  assert.deepEqual([low, high], [2, 2]);
});

test("Wilson intervals equal statsmodels'", () => {
  for (const { count, of, bounds } of EXPECTED.wilson) {
    const { low, high } = proportion(count, of);
    close(low, bounds[0], 1e-12, `${count} of ${of}`);
    close(high, bounds[1], 1e-12, `${count} of ${of}`);
  }
});

test("McNemar's exact test equals statsmodels'", () => {
  for (const { lost, won, p } of EXPECTED.mcnemar) {
    const pairs = [
      ...Array.from({ length: lost }, () => [true, false] as const),
      ...Array.from({ length: won }, () => [false, true] as const),
      [true, true] as const,
    ];
    const found = flips(pairs);
    assert.deepEqual([found.lost, found.won], [lost, won]);
    close(found.p, p, 1e-12, `${lost} lost, ${won} won`);
  }
  assert.equal(flips([[true, true]]).p, 1);
});

test("discoveries equal statsmodels', nulls left out", () => {
  assert.deepEqual(discoveries(EXPECTED.fdr.ps), EXPECTED.fdr.rejected);
  assert.deepEqual(discoveries([null, 0.001, null]), [false, true, false]);
});

test("no effect is said only within the bound", () => {
  assert.ok(isNoEffect({ low: -0.9, high: 0.4 }));
  assert.ok(!isNoEffect({ low: -1.1, high: 0.4 }));
  assert.ok(!isNoEffect({ low: null, high: null }));
});

/** A standard normal number (Box and Muller). */
function normal(next: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

test("under the null at most 5 % are rejected", () => {
  const next = randomSource(7);
  const rounds = 2000;
  // 5 % and three standard errors of a share of 2,000.
  const most = 0.05 + 3 * Math.sqrt((0.05 * 0.95) / rounds);
  for (const sources of [5, 30]) {
    let rejected = 0;
    for (let round = 0; round < rounds; round++) {
      const clusters = Array.from({ length: sources }, () => {
        const shared = normal(next);
        return Array.from({ length: 2 }, () => shared + normal(next));
      });
      if ((meanInterval(clusters).p ?? 1) < 0.05) rejected++;
    }
    assert.ok(rejected / rounds <= most, `${rejected} of ${rounds} with ${sources} sources`);
  }
});

test("under the null a sweep rarely marks a point", () => {
  const next = randomSource(11);
  const rounds = 500;
  let marked = 0;
  for (let round = 0; round < rounds; round++) {
    const ps = Array.from(
      { length: 64 },
      () => meanInterval(Array.from({ length: 12 }, () => [normal(next)])).p,
    );
    if (discoveries(ps).includes(true)) marked++;
  }
  assert.ok(marked / rounds <= 0.05 + 3 * Math.sqrt((0.05 * 0.95) / rounds), `${marked}`);
});

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

test("points are over the rightly answered clips", () => {
  const { clean, points } = sweepStatistics(RUNS, "correct");
  assert.deepEqual([clean.count, clean.of], [3, 4]);
  assert.equal(points.length, 1);
  const [point] = points;
  assert.equal(point?.change.values, 3);
  assert.equal(point?.change.mean, -20);
  // Standard deviation of -10, -20, -30 is 10; t of 2 degrees of freedom is 4.302653.
  close((point?.change.high ?? 0) + 20, (4.302652729911275 * 10) / Math.sqrt(3), 1e-9, "interval");
  assert.deepEqual([point?.accuracy.count, point?.accuracy.of], [2, 3]);
});

test("wrong ones and all of them on request", () => {
  assert.equal(sweepStatistics(RUNS, "wrong").points[0]?.change.mean, 50);
  assert.equal(sweepStatistics(RUNS, "all").points[0]?.change.mean, -2.5);
  assert.equal(sweepStatistics(RUNS, "all").points[0]?.accuracy.share, 0.75);
});

test("runs without a known answer count for nothing", () => {
  const unknown: RunEvent[] = [
    { type: "answer", answer: { id: 1, token: "A", probability: 1 }, options: {} },
  ];
  const { clean, points } = sweepStatistics([unknown], "all");
  assert.equal(clean.of, 0);
  assert.deepEqual(points, []);
});
