/** Copies whole rows of a row-major matrix: `rows[i]` of `from` becomes row `at + i` of `to`. */
export function gatherRows(
  from: Float32Array,
  rows: Int32Array,
  width: number,
  to: Float32Array,
  at: number,
): void {
  for (let i = 0; i < rows.length; ) {
    // Runs of neighbouring rows are copied at once.
    const first = rows[i] ?? 0;
    let count = 1;
    while (i + count < rows.length && rows[i + count] === first + count) count++;
    to.set(from.subarray(first * width, (first + count) * width), (at + i) * width);
    i += count;
  }
}

/** The positions 0 … length-1 that are not in the sorted set. */
export function complement(positions: Int32Array, length: number): Int32Array {
  const rest = new Int32Array(length - positions.length);
  let next = 0;
  let at = 0;
  for (let position = 0; position < length; position++) {
    if (positions[next] === position) next++;
    else rest[at++] = position;
  }
  return rest;
}

/**
 * Rows of a branch: `to[at + i]` becomes its own row where position `rows[i]` is among its dirty
 * ones (both sorted; `own` holds the dirty rows in order), else the clean run's.
 */
export function gatherBranchRows(
  clean: Float32Array,
  own: Float32Array,
  dirty: Int32Array,
  rows: Int32Array,
  width: number,
  to: Float32Array,
  at: number,
): void {
  let next = 0;
  for (let i = 0; i < rows.length; ) {
    while (next < dirty.length && (dirty[next] ?? 0) < (rows[i] ?? 0)) next++;
    const isOwn = dirty[next] === rows[i];
    // Runs of neighbouring rows from the same source are copied at once.
    const first = isOwn ? next : (rows[i] ?? 0);
    let count = 1;
    while (
      i + count < rows.length &&
      rows[i + count] === (rows[i] ?? 0) + count &&
      (isOwn ? dirty[next + count] === rows[i + count] : rows[i + count] !== dirty[next])
    ) {
      count++;
    }
    const from = isOwn ? own : clean;
    to.set(from.subarray(first * width, (first + count) * width), (at + i) * width);
    i += count;
  }
}

/** The whole numbers first … end-1. */
export function range(first: number, end: number): Int32Array {
  return Int32Array.from({ length: end - first }, (_, i) => first + i);
}
