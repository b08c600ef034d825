import { ModelError } from "../../../common/errors.ts";
import type { ImageProcessorSpec } from "../../../video/image-processor.ts";
import type { Size } from "../../../video/types.ts";
import { isNative, type ModelSpec } from "./spec.ts";

const ADVICE =
  "the processor is another model's, or was changed; take the one that the model was trained with";

/**
 * Refuses a processor whose pictures are not the model's, where its file already tells: transformers
 * refuses such pixels when they arrive, or cuts them into another grid.
 *
 * @param folder the model's, for messages.
 * @throws ModelError naming both sizes.
 */
export function checkProcessorFits(
  folder: string,
  spec: ModelSpec,
  images: ImageProcessorSpec,
): void {
  if (isNative(spec)) {
    const { patchSize, merge } = spec.vision;
    for (const step of images.resize) {
      if (!("multiple" in step)) continue;
      if (step.patchSize === patchSize && step.multiple === patchSize * merge) continue;
      throw new ModelError(
        `${folder}: the processor cuts frames into patches of ${step.patchSize} pixels a side and tokens ` +
          `of ${step.multiple}, but the model into ${patchSize} and ${patchSize * merge}; ${ADVICE}`,
      );
    }
    return;
  }
  const size = fixedSize(images);
  if (size !== undefined) checkPictureFits(folder, spec, size);
}

/**
 * Refuses prepared frames of another size than the model's.
 *
 * @throws ModelError naming both sizes.
 */
export function checkPictureFits(folder: string, spec: ModelSpec, { width, height }: Size): void {
  if (isNative(spec)) return;
  const { imageSize } = spec.vision;
  if (width === imageSize && height === imageSize) return;
  throw new ModelError(
    `${folder}: the processor prepares frames of ${width} x ${height} pixels, but the model takes ` +
      `${imageSize} x ${imageSize}; ${ADVICE}`,
  );
}

/** Size of every prepared frame; undefined where it follows the clip's. */
function fixedSize({ crop, resize }: ImageProcessorSpec): Size | undefined {
  const last = resize.at(-1);
  return crop ?? (last !== undefined && "width" in last ? last : undefined);
}
