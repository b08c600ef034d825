import type { ImageProcessorSpec } from "../video/image-processor.ts";
import { smaller } from "../video/pictures.ts";
import { FramePreparer } from "../video/preprocess.ts";
import type { KeepFrames, RgbImage, Size } from "../video/types.ts";

/** Longer side of the frames' pictures in a run, in pixels. */
export const PICTURE_SIDE = 160;

/** What is kept of a frame that the model is shown; its own size is the clip's. */
export interface ShownFrame extends Size {
  readonly index: number;
  readonly timestampSeconds: number | null;
  /** As the model takes it, in 8 bits. */
  readonly prepared: RgbImage;
  /** The whole frame, small enough for a run's pictures. */
  readonly picture: RgbImage;
}

/** Prepares each frame for the model as soon as it is decoded: full-size frames are not kept. */
export function keepShown(images: ImageProcessorSpec): KeepFrames<ShownFrame> {
  return (count) => {
    const preparer = new FramePreparer(images, count);
    return (frame) => ({
      index: frame.index,
      timestampSeconds: frame.timestampSeconds,
      width: frame.width,
      height: frame.height,
      prepared: preparer.prepare(frame),
      picture: smaller(frame, PICTURE_SIDE),
    });
  };
}
