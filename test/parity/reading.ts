import type { MassRequest } from "../../src/engine/trace/attend.ts";

/** One row of [n, width]. */
export function row(matrix: Float32Array, index: number, width: number): Float32Array {
  return matrix.subarray(index * width, (index + 1) * width);
}

/** Rows of [n, width], copied. */
export function rowsAt(matrix: Float32Array, positions: Int32Array, width: number): Float32Array {
  const out = new Float32Array(positions.length * width);
  positions.forEach((position, i) => {
    out.set(row(matrix, position, width), i * width);
  });
  return out;
}

/** The entries k ≤ q of [S, S], row by row; the others must be zero. */
export function causalHalf(weights: Float32Array, length: number): Float32Array {
  const out: number[] = [];
  for (let query = 0; query < length; query++) {
    for (let key = 0; key < length; key++) {
      const weight = weights[query * length + key] ?? Number.NaN;
      if (key <= query) out.push(weight);
      else if (weight !== 0) throw new Error(`position ${query} reads ${key}: ${weight}`);
    }
  }
  return Float32Array.from(out);
}

/** Group mass with the same groups as queries and as keys. */
export function massRequest(groups: readonly Int32Array[], length: number): MassRequest {
  const count = groups.length;
  const keyGroups = new Float32Array(length * count);
  const queryGroups = new Float32Array(count * length);
  groups.forEach((positions, group) => {
    for (const position of positions) {
      keyGroups[position * count + group] = 1;
      queryGroups[group * length + position] = 1 / positions.length;
    }
  });
  return { keyGroups, keyGroupCount: count, queryGroups, queryGroupCount: count };
}
