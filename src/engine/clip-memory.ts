import { InputError } from "../common/errors.ts";
import { formatBytes } from "../common/format-size.ts";
import { type ModelSpec, tokenGrid } from "./families/shared/spec.ts";
import type { ClipShape } from "./prepare.ts";

const FLOAT = 4;
/** Arrays of a row for every video token that exist at once: features, embeddings, two residual streams. */
const ROWS_AT_ONCE = 4;

/**
 * Bytes that a clip takes whatever is asked of it: its prepared pixels, and a row for each of its
 * tokens. What experiments need comes on top, and is cut up to fit the memory budget.
 */
export function clipBytes(spec: ModelSpec, { frames, picture }: ClipShape): number {
  const grid = tokenGrid(spec, frames, picture);
  const tokens = grid.frames * grid.rows * grid.columns;
  const pixels = frames * 3 * picture.width * picture.height;
  return FLOAT * (pixels + ROWS_AT_ONCE * tokens * spec.decoder.hiddenSize);
}

/** @throws InputError when the clip alone does not fit the memory budget: with the forecast. */
export function requireClipFits(spec: ModelSpec, shape: ClipShape, budgetBytes: number): void {
  const needed = clipBytes(spec, shape);
  if (needed <= budgetBytes) return;
  const { width, height } = shape.picture;
  throw new InputError(
    `${shape.frames} frames of ${width} x ${height} pixels and their tokens need ${formatBytes(needed)}, ` +
      `but the memory budget is ${formatBytes(budgetBytes)}: ask for fewer frames, or allow more memory ` +
      "(--memory-budget, or the setting of this name)",
  );
}
