import type { PromptTokens } from "../prompts/groups.ts";
import type { ImageProcessorSpec } from "../video/image-processor.ts";
import type { PixelValues } from "../video/preprocess.ts";
import { changedCells } from "../video/token-compression.ts";
import {
  isNative,
  type ModelSpec,
  type NativeModelSpec,
  tokenGrid,
  tokenSide,
} from "./families/shared/spec.ts";

/** Whether tokens that show what the frame before showed are left out: one of two files says it. */
export function usesTokenCompression(
  { useTokenCompression }: NativeModelSpec,
  images: ImageProcessorSpec,
): boolean {
  return useTokenCompression ?? images.useTokenCompression ?? false;
}

/**
 * The cells whose tokens the model keeps of a clip; undefined where it keeps all.
 *
 * @throws ModelError when the pictures cannot be cut into whole tokens.
 */
export function keptCells(
  spec: ModelSpec,
  images: ImageProcessorSpec,
  pixels: PixelValues,
): readonly number[] | undefined {
  if (!isNative(spec) || !usesTokenCompression(spec, images)) return undefined;
  const [frames, , height, width] = pixels.shape;
  tokenGrid(spec, frames, { width, height });
  return changedCells(pixels, tokenSide(spec.vision));
}

/**
 * Puts a video's tokens into the embeddings [S, d] of a prompt, in the place of their placeholders'.
 *
 * @param video [video tokens, d], or those of all cells of the grid, of which the prompt has `kept`.
 */
export function placeVideo(
  embeddings: Float32Array,
  tokens: PromptTokens,
  video: Float32Array,
  kept?: readonly number[],
): void {
  const width = embeddings.length / tokens.length;
  const [rows, places] = [video.length / width, tokens.video.length];
  const fits = kept === undefined ? rows === places : kept.length === places;
  if (!fits) throw new Error(`${kept?.length ?? rows} video tokens for ${places} places`);
  tokens.video.forEach((position, i) => {
    const row = kept?.[i] ?? i;
    embeddings.set(video.subarray(row * width, (row + 1) * width), position * width);
  });
}
