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

/** For each member of `inner`, its index in `outer`; both sorted, inner a subset of outer. */
export function indicesWithin(inner: Int32Array, outer: Int32Array): Int32Array {
  const found = new Int32Array(inner.length);
  let at = 0;
  for (let i = 0; i < inner.length; i++) {
    while (outer[at] !== inner[i]) at++;
    found[i] = at;
  }
  return found;
}

/** The whole numbers first … end-1. */
export function range(first: number, end: number): Int32Array {
  return Int32Array.from({ length: end - first }, (_, i) => first + i);
}
