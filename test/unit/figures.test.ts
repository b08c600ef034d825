import assert from "node:assert/strict";
import { test } from "node:test";
import { compareToClean, type LastReading } from "../../src/engine/experiments/figures.ts";

function reading(probabilities: readonly number[]): LastReading {
  const values = Float32Array.from(probabilities);
  return { answerId: 0, answer: "A", probabilityOf: (id) => values[id] ?? Number.NaN };
}

test("changes are in percent of the clean run's probability, however small", () => {
  for (const truth of [0.3, 1e-6, 1e-20, 3e-38]) {
    const figures = compareToClean(reading([0.6, truth]), reading([0.3, 1.5 * truth]), 1);
    assert.ok(Math.abs(figures.relative_diff + 50) < 1e-4);
    assert.ok(Math.abs((figures.relative_diff_gt ?? 0) - 50) < 1e-4, String(truth));
  }
});

test("a probability without digits in fp32 has no relative change", () => {
  for (const truth of [0, 1e-45, 1e-39]) {
    const figures = compareToClean(reading([0.6, truth]), reading([0.3, 0.2]), 1);
    assert.equal(figures.relative_diff_gt, null);
    assert.ok(Math.abs((figures.new_score_gt ?? 0) - 0.2) < 1e-7);
  }
});
