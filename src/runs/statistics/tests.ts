import type { MeanInterval } from "./intervals.ts";

/** Share of false findings among those marked, over all tests of a figure. */
export const FALSE_DISCOVERY_RATE = 0.05;
/** A mean whose interval lies within this many percent on both sides is called "no effect". */
export const NO_EFFECT_PERCENT = 1;

/**
 * Which of many tests may be called significant (Benjamini and Hochberg 1995).
 *
 * @param ps p-values; null for what cannot be tested, which is never marked and not counted.
 */
export function discoveries(ps: readonly (number | null)[]): boolean[] {
  const sorted = ps.filter((p) => p !== null).sort((a, b) => a - b);
  const bound = sorted.findLast((p, i) => p <= (FALSE_DISCOVERY_RATE * (i + 1)) / sorted.length);
  return ps.map((p) => p !== null && bound !== undefined && p <= bound);
}

/** Whether a mean change, in percent, is shown to be none: its whole interval is within the bound. */
export function isNoEffect({ low, high }: Pick<MeanInterval, "low" | "high">): boolean {
  return low !== null && high !== null && low >= -NO_EFFECT_PERCENT && high <= NO_EFFECT_PERCENT;
}
