import type { AttentionShape } from "../graph/attention.ts";
import { forEachBlockedKey } from "./interventions.ts";
import type { ActiveBlocks } from "./plan.ts";

/**
 * The lowest finite fp32: what a blocked edge and a future key get, so that a row whose every edge
 * is blocked becomes uniform over all S positions (METHODS.md), not NaN.
 */
export const BLOCKED = -3.4028234663852886e38;

/** Key position of a column that exists only to keep the graph's extents above zero. */
export const NO_KEY = -1;

/** Additive attention bias [kv or 1, B or 1, G or 1, n, t], as the attention graph takes it. */
export interface Bias {
  readonly data: Float32Array;
  readonly dims: readonly [number, number, number, number, number];
}

/**
 * The causal mask and the cuts of B branches over the same rows and keys.
 *
 * @param queries positions of the n rows.
 * @param keys positions of the t keys, in the order in which the attention sees them.
 * @param cuts the cuts of each branch; one entry when all branches share them.
 * @param window positions that a row looks back over, itself among them; absent: all before it.
 */
export function buildBias(
  shape: AttentionShape,
  queries: Int32Array,
  keys: Int32Array,
  cuts: readonly ActiveBlocks[],
  window?: number,
): Bias {
  const n = queries.length;
  const t = keys.length;
  const byHead = cuts.some((cut) => cut.byHead);
  const kv = byHead ? shape.kvHeads : 1;
  const group = byHead ? shape.heads / shape.kvHeads : 1;
  const data = new Float32Array(kv * cuts.length * group * n * t);
  const columns = cuts.every(({ blocks }) => blocks.length === 0) ? undefined : columnOfKey(keys);
  const plane = n * t;
  // Where planes begin, by cuts and head: a series' branches have the same cuts, or none.
  const made = new Map<string, number>();
  for (let b = 0; b < cuts.length; b++) {
    for (let h = 0; h < kv * group; h++) {
      const at = ((Math.floor(h / group) * cuts.length + b) * group + (h % group)) * plane;
      const key = `${cuts[b]?.id}/${h}`;
      const known = made.get(key);
      if (known !== undefined) {
        data.copyWithin(at, known, known + plane);
        continue;
      }
      made.set(key, at);
      const target = data.subarray(at, at + plane);
      maskUnread(target, queries, keys, window);
      if (columns === undefined) continue;
      for (const { edges, heads } of cuts[b]?.blocks ?? []) {
        if (heads !== undefined && byHead && !heads.includes(h)) continue;
        for (let row = 0; row < n; row++) {
          const base = row * t;
          forEachBlockedKey(edges, queries[row] ?? 0, (key) => {
            target[base + (columns[key] ?? 0)] = BLOCKED;
          });
        }
      }
    }
  }
  return { data, dims: [kv, cuts.length, group, n, t] };
}

/** Whether some row of the bias has no key left to read. */
export function hasBlockedRow({ data, dims }: Bias): boolean {
  const t = dims[4];
  for (let row = 0; row < data.length; row += t) {
    if (data.subarray(row, row + t).every((value) => value !== 0)) return true;
  }
  return false;
}

/** Masks what no row of the model reads: later positions, and those that its window leaves out. */
function maskUnread(
  target: Float32Array,
  queries: Int32Array,
  keys: Int32Array,
  window = Number.POSITIVE_INFINITY,
): void {
  const t = keys.length;
  for (let row = 0; row < queries.length; row++) {
    const query = queries[row] ?? 0;
    const base = row * t;
    for (let column = 0; column < t; column++) {
      const key = keys[column] ?? 0;
      if (key === NO_KEY) target[base + column] = Number.NEGATIVE_INFINITY;
      else if (key > query || key <= query - window) target[base + column] = BLOCKED;
    }
  }
}

function columnOfKey(keys: Int32Array): Int32Array {
  const columns = new Int32Array(keys.length);
  keys.forEach((key, column) => {
    if (key !== NO_KEY) columns[key] = column;
  });
  return columns;
}
