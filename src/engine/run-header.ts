import { basename } from "node:path";
import type { RunEventOf } from "../protocol/events.ts";
import type { AnalysisJob, ClipSource } from "../protocol/requests.ts";
import type { ImageProcessorSpec } from "../video/image-processor.ts";
import { cropRectangle, type PixelValues } from "../video/preprocess.ts";
import type { VideoInfo } from "../video/types.ts";
import type { PoolingSpec } from "./families/shared/spec.ts";
import type { LoadedModel } from "./prepare.ts";
import type { ShownFrame } from "./shown-frames.ts";
import { pixelsHash } from "./vision-cache/key.ts";

/** What the model that ships with Flowprobe is called in runs. */
const EMBEDDED_NAME = "Flowprobe embedded";

/** What a run's first event says of the model. */
export function runModel(
  { folder, open: { spec, precision }, dtype, identity }: LoadedModel,
  job: AnalysisJob,
  grid: PoolingSpec,
): RunEventOf<"run.started">["model"] {
  const { decoder } = spec;
  return {
    name: job.embedded ? EMBEDDED_NAME : basename(folder),
    folder,
    embedded: job.embedded,
    family: spec.family,
    layers: decoder.layers.length,
    heads: decoder.heads,
    kvHeads: decoder.kvHeads,
    hiddenSize: decoder.hiddenSize,
    vocabSize: decoder.vocabSize,
    dtype,
    precision,
    tokensPerFrame: grid.rows * grid.columns,
    identity,
  };
}

/** What a run's first event says of the clip and the frames that the model is shown. */
export function runVideo(
  { info }: { readonly info: VideoInfo },
  frames: readonly ShownFrame[],
  clip: ClipSource,
  images: ImageProcessorSpec,
  pixels: PixelValues,
): RunEventOf<"run.started">["video"] {
  const [first] = frames;
  const size = first ?? { width: info.width, height: info.height };
  return {
    path: info.path,
    width: info.width,
    height: info.height,
    frameCount: info.frameCount,
    fps: info.fps,
    durationSeconds: info.durationSeconds,
    codec: info.codec,
    ...(clip.startSeconds === undefined ? {} : { start: clip.startSeconds }),
    ...(clip.endSeconds === undefined ? {} : { end: clip.endSeconds }),
    ...(clip.order === undefined ? {} : { order: clip.order }),
    ...(clip.frames === undefined ? {} : { framesAsked: clip.frames }),
    frames: frames.map(({ index, timestampSeconds }) => ({ index, timestampSeconds })),
    crop: cropRectangle(size, images),
    pixels: pixelsHash(pixels),
  };
}
