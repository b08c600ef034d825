import binomialCdf from "@stdlib/stats-base-dists-binomial-cdf";
import normalQuantile from "@stdlib/stats-base-dists-normal-quantile";
import { CONFIDENCE } from "./intervals.ts";

/** A share with its 95 % interval, of 1. */
export interface Proportion {
  readonly count: number;
  readonly of: number;
  /** NaN of none. */
  readonly share: number;
  readonly low: number;
  readonly high: number;
}

/** A share with its Wilson score interval (1927). */
export function proportion(count: number, of: number): Proportion {
  if (of === 0) return { count, of, share: Number.NaN, low: 0, high: 1 };
  const z = normalQuantile((1 + CONFIDENCE) / 2, 0, 1);
  const share = count / of;
  const scale = 1 + z ** 2 / of;
  const centre = (share + z ** 2 / (2 * of)) / scale;
  const half = (z / scale) * Math.sqrt((share * (1 - share)) / of + z ** 2 / (4 * of ** 2));
  // At the ends the bound is the share itself, which rounding may miss.
  return {
    count,
    of,
    share,
    low: count === 0 ? 0 : centre - half,
    high: count === of ? 1 : centre + half,
  };
}

/** Questions that two conditions answered differently. */
export interface Flips {
  /** Right in the first condition only, and in the second only. */
  readonly lost: number;
  readonly won: number;
  /** Two-sided p-value of McNemar's exact test: both are equally likely. */
  readonly p: number;
}

/**
 * Compares two conditions on the same questions.
 *
 * @param pairs whether each question was answered rightly in the first condition and in the second.
 */
export function flips(pairs: readonly (readonly [boolean, boolean])[]): Flips {
  const lost = pairs.filter(([first, second]) => first && !second).length;
  const won = pairs.filter(([first, second]) => !first && second).length;
  const tail = binomialCdf(Math.min(lost, won), lost + won, 0.5);
  return { lost, won, p: lost + won === 0 ? 1 : Math.min(1, 2 * tail) };
}
