import normalCdf from "@stdlib/stats-base-dists-normal-cdf";
import normalQuantile from "@stdlib/stats-base-dists-normal-quantile";
import tCdf from "@stdlib/stats-base-dists-t-cdf";
import tQuantile from "@stdlib/stats-base-dists-t-quantile";
import { randomSource } from "../../common/random.ts";

/** Values of one source, such as the questions on one video: they are not independent. */
export type Cluster = readonly number[];

/** A mean with its 95 % interval, and how it was found. */
export interface MeanInterval {
  readonly mean: number;
  /** Null where one source alone says nothing of the spread. */
  readonly low: number | null;
  readonly high: number | null;
  /** Values, and the sources that they come from. */
  readonly values: number;
  readonly sources: number;
  readonly method: "t" | "bca";
  /** Two-sided p-value of a mean of zero, by the t statistic; null with one source. */
  readonly p: number | null;
}

/** Coverage of every interval. */
export const CONFIDENCE = 0.95;
/** From this many sources on, the bootstrap takes the place of the t interval. */
const BOOTSTRAP_FROM = 100;
const DRAWS = 10_000;

/**
 * The mean of values with its 95 % interval; the unit of resampling is the source. Below 100 sources
 * a t interval with the sources' sums as the independent terms (of single values: the ordinary one),
 * from there on a BCa bootstrap of 10,000 seeded draws (Efron 1987).
 *
 * @param clusters the values by source; without values the mean is NaN.
 */
export function meanInterval(clusters: readonly Cluster[], seed = 0): MeanInterval {
  const own = clusters.filter((cluster) => cluster.length > 0);
  const values = own.reduce((sum, cluster) => sum + cluster.length, 0);
  const sources = own.length;
  const mean = own.reduce((sum, cluster) => sum + total(cluster), 0) / values;
  const error = standardError(own, mean, values);
  const p = error === null ? null : twoSided(mean, error, sources - 1);
  if (sources >= BOOTSTRAP_FROM) {
    const [low, high] = bca(own, mean, seed);
    return { mean, low, high, values, sources, method: "bca", p };
  }
  const half = error === null ? null : tQuantile((1 + CONFIDENCE) / 2, sources - 1) * error;
  return {
    mean,
    low: half === null ? null : mean - half,
    high: half === null ? null : mean + half,
    values,
    sources,
    method: "t",
    p,
  };
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** Of the mean of clustered values (the ratio estimator's, with the factor n / (n - 1)). */
function standardError(clusters: readonly Cluster[], mean: number, values: number): number | null {
  const n = clusters.length;
  if (n < 2) return null;
  const squares = clusters.reduce(
    (sum, cluster) => sum + (total(cluster) - cluster.length * mean) ** 2,
    0,
  );
  return Math.sqrt((squares * n) / (n - 1)) / values;
}

function twoSided(mean: number, error: number, freedom: number): number {
  if (error === 0) return mean === 0 ? 1 : 0;
  return 2 * tCdf(-Math.abs(mean / error), freedom);
}

/** The bias-corrected and accelerated bootstrap interval of the mean. */
function bca(clusters: readonly Cluster[], mean: number, seed: number): [number, number] {
  const sums = clusters.map(total);
  const sizes = clusters.map((cluster) => cluster.length);
  const n = clusters.length;
  const next = randomSource(seed);
  const draws = Float64Array.from({ length: DRAWS }, () => {
    let sum = 0;
    let size = 0;
    for (let i = 0; i < n; i++) {
      const picked = Math.floor(next() * n);
      sum += sums[picked] ?? 0;
      size += sizes[picked] ?? 0;
    }
    return sum / size;
  }).sort();
  const below = draws.filter((draw) => draw < mean).length;
  const equal = draws.filter((draw) => draw === mean).length;
  // All draws alike: there is no spread to correct.
  if (equal === DRAWS) return [mean, mean];
  const bias = normalQuantile((below + equal / 2) / DRAWS, 0, 1);
  const acceleration = accelerationOf(sums, sizes);
  const at = (share: number) => {
    const z = bias + normalQuantile(share, 0, 1);
    return quantile(draws, normalCdf(bias + z / (1 - acceleration * z), 0, 1));
  };
  return [at((1 - CONFIDENCE) / 2), at((1 + CONFIDENCE) / 2)];
}

/** From the means that leave one source out (the jackknife). */
function accelerationOf(sums: readonly number[], sizes: readonly number[]): number {
  const sum = total(sums);
  const size = total(sizes);
  const left = sums.map((own, i) => (sum - own) / (size - (sizes[i] ?? 0)));
  const centre = total(left) / left.length;
  const cubes = left.reduce((all, mean) => all + (centre - mean) ** 3, 0);
  const squares = left.reduce((all, mean) => all + (centre - mean) ** 2, 0);
  return squares === 0 ? 0 : cubes / (6 * squares ** 1.5);
}

/** A quantile of sorted values, linear between them. */
function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const lower = Math.floor(place);
  const [a = Number.NaN, b = a] = sorted.subarray(lower, lower + 2);
  return a + (place - lower) * (b - a);
}
