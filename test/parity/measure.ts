import assert from "node:assert/strict";
import type { TestContext } from "node:test";

/**
 * How far a result may lie from transformers'. Weights of bf16 and f16 checkpoints are exact in
 * fp32, and the arithmetic is fp32 on both sides, so the checkpoint's dtype changes nothing here.
 */
export const TOLERANCES = {
  /** Tensors: largest difference as a share of the expected tensor's largest magnitude. */
  tensor: 1e-4,
  /** Probabilities and attention weights: largest difference. */
  probability: 1e-5,
  /** Percentages of the clean run's probability, which is 0.05 or more in every case: points. */
  relativeDiff: 2e-2,
  /** Preprocessed pixels: largest difference, of 255; one step, and the rounding of the way back. */
  pixel: 1.001,
} as const;

type Numbers = ArrayLike<number>;

/** Largest absolute difference. */
export function largestDifference(actual: Numbers, expected: Numbers): number {
  assert.equal(actual.length, expected.length, "as many values as expected");
  let most = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs((actual[i] ?? Number.NaN) - (expected[i] ?? Number.NaN));
    if (!(difference <= most)) most = difference;
    if (Number.isNaN(difference)) return Number.NaN;
  }
  return most;
}

function largestMagnitude(values: Numbers): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i] ?? 0));
  return most;
}

/** Gathers the errors of one case, prints each quantity's largest, and fails on those too large. */
export class Errors {
  readonly #largest = new Map<string, { error: number; tolerance: number }>();

  tensor(quantity: string, actual: Numbers, expected: Numbers): void {
    const scale = largestMagnitude(expected);
    const error = largestDifference(actual, expected);
    this.#note(quantity, scale === 0 ? error : error / scale, TOLERANCES.tensor);
  }

  probability(quantity: string, actual: Numbers, expected: Numbers): void {
    this.#note(quantity, largestDifference(actual, expected), TOLERANCES.probability);
  }

  relativeDiff(quantity: string, actual: Numbers, expected: Numbers): void {
    this.#note(quantity, largestDifference(actual, expected), TOLERANCES.relativeDiff);
  }

  pixels(quantity: string, actual: Numbers, expected: Numbers): void {
    this.#note(quantity, largestDifference(actual, expected), TOLERANCES.pixel);
  }

  /** Prints what was measured as comments of the test's output, then asserts. */
  settle(context: TestContext): void {
    assert.ok(this.#largest.size > 0, "something was measured");
    const failures: string[] = [];
    for (const [quantity, { error, tolerance }] of this.#largest) {
      context.diagnostic(`${quantity}: ${error.toExponential(1)} (of ${tolerance})`);
      if (!(error <= tolerance)) failures.push(`${quantity}: ${error} > ${tolerance}`);
    }
    assert.deepEqual(failures, []);
  }

  #note(quantity: string, error: number, tolerance: number): void {
    const known = this.#largest.get(quantity);
    const worse = known === undefined || error > known.error || Number.isNaN(error);
    if (worse && !Number.isNaN(known?.error)) this.#largest.set(quantity, { error, tolerance });
  }
}
