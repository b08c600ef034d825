import type { RunTokens } from "./events.ts";

type Grid = RunTokens["grid"];

/** Where a video token lies: frame, row and column of the grid. */
export interface Cell {
  readonly frame: number;
  readonly row: number;
  readonly column: number;
}

/** How many video tokens have a cell of the grid. */
export function cellCount({ frames, rows, columns, cells }: Grid): number {
  return cells?.length ?? frames * rows * columns;
}

/** The cell of video token `token`, numbered frame-major, then row, then column. */
export function cellIndex({ cells }: Grid, token: number): number {
  return cells === undefined ? token : (cells[token] ?? -1);
}

/** The video token of a cell, or -1. */
export function tokenOfCell({ cells }: Grid, cell: number): number {
  return cells === undefined ? cell : cells.indexOf(cell);
}

/** Frame, row and column of a video token. */
export function cellOf(grid: Grid, token: number): Cell {
  const cell = cellIndex(grid, token);
  const perFrame = grid.rows * grid.columns;
  const inFrame = cell % perFrame;
  return {
    frame: Math.floor(cell / perFrame),
    row: Math.floor(inFrame / grid.columns),
    column: inFrame % grid.columns,
  };
}
