import type { PixelValues } from "./preprocess.ts";

/** A token goes where its square changed by no more than this, of 255 and on normalised values. */
const THRESHOLD = 0.1;

/**
 * The cells whose tokens VideoLLaMA3 keeps (its "differential frame pruner", arXiv 2501.13106, section
 * 3.2): of the first frame all; of each later one those whose square of pixels differs, in the mean of
 * absolute differences, from the same square of the frame just before it. A frame that does not differ
 * at all keeps its first token.
 *
 * @param side of a token's square in pixels; width and height are whole multiples of it.
 * @returns cells counted row by row and frame by frame, ascending.
 */
export function changedCells({ data, shape }: PixelValues, side: number): number[] {
  const [frames, channels, height, width] = shape;
  const [rows, columns] = [height / side, width / side];
  const perFrame = rows * columns;
  const kept = Array.from({ length: Math.min(frames, 1) * perFrame }, (_, cell) => cell);
  const frameLength = channels * height * width;
  const count = channels * side * side;
  for (let frame = 1; frame < frames; frame++) {
    const sums = new Float64Array(perFrame);
    for (let line = 0; line < channels * height; line++) {
      const firstCell = Math.floor((line % height) / side) * columns;
      const from = frame * frameLength + line * width;
      for (let x = 0; x < width; x++) {
        const cell = firstCell + Math.floor(x / side);
        const change = (data[from + x] ?? 0) - (data[from - frameLength + x] ?? 0);
        sums[cell] = (sums[cell] ?? 0) + Math.abs(Math.fround(change));
      }
    }
    const known = kept.length;
    for (let cell = 0; cell < perFrame; cell++) {
      if (((sums[cell] ?? 0) / count) * 255 > THRESHOLD) kept.push(frame * perFrame + cell);
    }
    if (kept.length === known) kept.push(frame * perFrame);
  }
  return kept;
}
