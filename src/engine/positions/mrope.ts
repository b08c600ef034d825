import type { Positions } from "../families/shared/rope.ts";
import type { PoolingSpec, VideoPositions } from "../families/shared/spec.ts";

/** The video in a prompt, for the positions of its tokens. */
export interface PlacedVideo {
  /** S */
  readonly length: number;
  /** Positions of the video tokens in the prompt: time-major, then row, then column; one run. */
  readonly video: ArrayLike<number>;
  readonly grid: PoolingSpec;
  /** Seconds from one time step of the grid to the next. */
  readonly secondsPerStep: number;
}

/**
 * Positions of a prompt's rows by time, row and column (M-RoPE, Qwen2-VL, arXiv 2409.12191, section
 * 2.1; the scale of time: Qwen2.5-VL, arXiv 2502.13923, section 2.1.2). A text token has the same
 * position on all axes, one more than the token before. Video tokens count from where the text before
 * them ended: rows and columns by one, time by `tokensPerSecond` a second, cut to whole numbers, or by one
 * where there is no such rate. The
 * text after them goes on from the start by the larger of rows and columns, however long the clip.
 *
 * @returns [3][S]
 */
export function mropePositions(
  { tokensPerSecond }: VideoPositions,
  { length, video, grid, secondsPerStep }: PlacedVideo,
): Positions {
  const [times, rows, columns] = [0, 1, 2].map(() => new Int32Array(length)) as [
    Int32Array,
    Int32Array,
    Int32Array,
  ];
  const start = video[0] ?? length;
  const cells = grid.rows * grid.columns;
  // The step is a 32-bit float in the reference, and so is each product with it.
  const step =
    tokensPerSecond === undefined ? 1 : Math.fround(tokensPerSecond * Math.fround(secondsPerStep));
  for (let position = 0; position < length; position++) {
    const token = position - start;
    if (token >= 0 && token < video.length) {
      const cell = token % cells;
      times[position] = start + Math.trunc(Math.fround(Math.floor(token / cells) * step));
      rows[position] = start + Math.floor(cell / grid.columns);
      columns[position] = start + (cell % grid.columns);
    } else {
      const beyond = token - video.length;
      const text = token < 0 ? position : start + Math.max(grid.rows, grid.columns) + beyond;
      times[position] = rows[position] = columns[position] = text;
    }
  }
  return [times, rows, columns];
}
