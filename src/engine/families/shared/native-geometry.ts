import type { NativeVisionSpec, PoolingSpec } from "./spec.ts";

/** Where the patches of one picture stand in the tower's sequence. */
export interface PatchGeometry {
  /** Patches of a picture. */
  readonly patches: number;
  /** Number, row by row, of the patch at each place: squares of `merge` patches a side stay together. */
  readonly order: Int32Array;
  /** Row and column of the patch at each place. */
  readonly rows: Int32Array;
  readonly columns: Int32Array;
}

/** The places of a picture's patches, for a grid of its tokens. */
export function patchGeometry({ merge }: NativeVisionSpec, grid: PoolingSpec): PatchGeometry {
  const wide = grid.columns * merge;
  const patches = grid.rows * merge * wide;
  const [order, rows, columns] = [0, 1, 2].map(() => new Int32Array(patches)) as [
    Int32Array,
    Int32Array,
    Int32Array,
  ];
  for (let place = 0; place < patches; place++) {
    const token = Math.floor(place / (merge * merge));
    const inside = place % (merge * merge);
    const row = Math.floor(token / grid.columns) * merge + Math.floor(inside / merge);
    const column = (token % grid.columns) * merge + (inside % merge);
    rows[place] = row;
    columns[place] = column;
    order[place] = row * wide + column;
  }
  return { patches, order, rows, columns };
}

/** Patches of a picture sorted into attention windows, all padded to the same number of places. */
export interface WindowGeometry {
  readonly windows: number;
  /** Places of a window. */
  readonly size: number;
  /** [windows · size] the patch at each place of each window; 0 where there is none. */
  readonly gather: Int32Array;
  /** [patches] where each patch stands among the places of all windows. */
  readonly scatter: Int32Array;
  /** [windows · size] 1 where a place holds a patch. */
  readonly filled: Uint8Array;
}

/**
 * Windows of `window` tokens a side, from the picture's upper left corner; those at its right and
 * lower edge may be cut off.
 */
export function windowGeometry(
  { merge }: NativeVisionSpec,
  window: number,
  grid: PoolingSpec,
): WindowGeometry {
  const square = merge * merge;
  // A window wider than the picture is no larger than it.
  const side = Math.min(window, Math.max(grid.rows, grid.columns));
  const size = side * side * square;
  const across = Math.ceil(grid.columns / side);
  const windows = Math.ceil(grid.rows / side) * across;
  const gather = new Int32Array(windows * size);
  const filled = new Uint8Array(windows * size);
  const scatter = new Int32Array(grid.rows * grid.columns * square);
  for (let place = 0; place < scatter.length; place++) {
    const token = Math.floor(place / square);
    const row = Math.floor(token / grid.columns);
    const column = token % grid.columns;
    const window = Math.floor(row / side) * across + Math.floor(column / side);
    const inWindow = ((row % side) * side + (column % side)) * square + (place % square);
    const at = window * size + inWindow;
    gather[at] = place;
    filled[at] = 1;
    scatter[place] = at;
  }
  return { windows, size, gather, scatter, filled };
}
