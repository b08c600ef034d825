import type { PoolingSpec } from "../families/shared/spec.ts";

/**
 * PLLaVA's pooling of projected tokens over time, rows and columns: the mean of each adaptive bin,
 * bin i of n over extent e being floor(i·e/n) … ceil((i+1)·e/n) - 1, so bins may overlap.
 *
 * @param tokens [frames, side · side, width]
 * @returns [pooled frames · rows · columns, width]
 */
export function poolTokens(
  tokens: Float32Array,
  frames: number,
  side: number,
  pooling: PoolingSpec,
): Float32Array {
  const width = tokens.length / (frames * side * side);
  const out = new Float32Array(pooling.frames * pooling.rows * pooling.columns * width);
  const sum = new Float64Array(width);
  let at = 0;
  for (const [t0, t1] of bins(frames, pooling.frames)) {
    for (const [r0, r1] of bins(side, pooling.rows)) {
      for (const [c0, c1] of bins(side, pooling.columns)) {
        sum.fill(0);
        for (let t = t0; t < t1; t++) {
          for (let r = r0; r < r1; r++) {
            for (let c = c0; c < c1; c++) {
              const from = ((t * side + r) * side + c) * width;
              for (let i = 0; i < width; i++) sum[i] = (sum[i] ?? 0) + (tokens[from + i] ?? 0);
            }
          }
        }
        const count = (t1 - t0) * (r1 - r0) * (c1 - c0);
        for (let i = 0; i < width; i++) out[at + i] = (sum[i] ?? 0) / count;
        at += width;
      }
    }
  }
  return out;
}

function bins(extent: number, count: number): [number, number][] {
  return Array.from({ length: count }, (_, i) => [
    Math.floor((i * extent) / count),
    Math.ceil(((i + 1) * extent) / count),
  ]);
}
