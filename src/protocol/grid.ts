import type { RunTokens } from "./events.ts";

/** A run's grid, or one that is being laid out. */
type Grid = Omit<RunTokens["grid"], "cells"> & { readonly cells?: readonly number[] | undefined };

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

/** The video token of each cell, of the grids that leave some out. */
const tokensByCell = new WeakMap<readonly number[], ReadonlyMap<number, number>>();

/** The video token of a cell, or -1 where the model left it out. */
export function tokenOfCell({ cells }: Grid, cell: number): number {
  if (cells === undefined) return cell;
  let tokens = tokensByCell.get(cells);
  if (tokens === undefined) {
    tokens = new Map(cells.map((each, token) => [each, token]));
    tokensByCell.set(cells, tokens);
  }
  return tokens.get(cell) ?? -1;
}

/**
 * The video token that a step over the grid leads to: of the cell `move` cells on or, where that one
 * has none, of the next one that has, in strides of `stride`; -1 when there is none before the grid ends.
 */
export function tokenAfter(grid: Grid, cell: number, move: number, stride = move): number {
  const cells = grid.frames * grid.rows * grid.columns;
  for (let next = cell + move; next >= 0 && next < cells; next += stride) {
    const token = tokenOfCell(grid, next);
    if (token >= 0 || stride === 0) return token;
  }
  return -1;
}

/** "8 frames of 12 x 12 tokens", or how many of the cells have one. */
export function gridInWords(grid: Grid): string {
  const { frames, rows, columns } = grid;
  const count = cellCount(grid);
  const cells = frames * rows * columns;
  const extents = `${frames} frames of ${rows} x ${columns}`;
  return count === cells
    ? `${extents} tokens`
    : `${extents} cells, ${count} of ${cells} with a token`;
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
