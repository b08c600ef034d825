import type { ConfigReader } from "../common/config-reader.ts";
import { LIMITS } from "../common/limits.ts";
import type { EvenSampling } from "./even-indices.ts";

/** Nearly in its shape to sides of whole multiples and an area within bounds. */
export interface AreaStep {
  /** Pixels along the side of a patch, and of the square that a side is a whole multiple of. */
  readonly patchSize: number;
  readonly multiple: number;
  readonly minPixels: number;
  readonly maxPixels: number;
  /** Further bound on all frames together; none when absent. */
  readonly clipPixels?: number;
  /**
   * What becomes of the least area where a frame's share of `clipPixels` is below it: it is "capped"
   * at the share, or "enforced" over it; absent: the share is raised above it.
   */
  readonly minPixelsPolicy?: "capped" | "enforced";
}

/** Frames that one token of Qwen2-VL covers. */
const QWEN_FRAMES = 2;
/** Bounds of area where the classes of Qwen2-VL and VideoLLaMA3 are given none. */
const PIXELS = { min: 128 * 28 * 28, max: 768 * 28 * 28 };
/** Tokens of a frame at least, and of a clip at most, where VideoLLaMA3's own code is given none. */
const TOKENS = { min: 16, max: 16_384 };
/** Patches along the side of a video token of VideoLLaMA3. */
const VIDEOLLAMA3_MERGE = 2;

/** Qwen2-VL: sides of whole tokens, as many pixels as a frame may have. */
export function readQwenArea(config: ConfigReader): AreaStep {
  const frames = config.size("temporal_patch_size", QWEN_FRAMES);
  if (frames !== QWEN_FRAMES) throw config.refuse("temporal_patch_size", "2 is supported");
  const patchSize = readPatchSize(config);
  const multiple = patchSize * config.size("merge_size", 2, LIMITS.gridSide);
  const step = { patchSize, multiple, ...readBounds(config) };
  if (!config.flag("cap_pixels_per_frame", false)) return step;
  // Nine tenths of the context, as pixels; a token covers this many frames.
  const pixels = Math.trunc(config.size("max_video_tokens", 128_000) * multiple * multiple * 0.9);
  return { ...step, clipPixels: pixels * frames };
}

/** VideoLLaMA3 in transformers: the most pixels are those of all frames together. */
export function readVideoLlama3Area(config: ConfigReader): AreaStep {
  if (config.size("temporal_patch_size", 1) !== 1) {
    throw config.refuse("temporal_patch_size", "1 is supported");
  }
  checkMerge(config, "merge_size");
  const { minPixels, maxPixels } = readBounds(config);
  const patchSize = readPatchSize(config);
  const multiple = patchSize * VIDEOLLAMA3_MERGE;
  return {
    patchSize,
    multiple,
    minPixels,
    maxPixels,
    clipPixels: maxPixels,
    minPixelsPolicy: "capped",
  };
}

/** VideoLLaMA3 as published: bounds in tokens, of a frame at least and of all together at most. */
export function readPublishedArea(config: ConfigReader): AreaStep {
  const patchSize = readPatchSize(config);
  const multiple = patchSize * VIDEOLLAMA3_MERGE;
  const pixels = (key: string, fallback: number) =>
    config.size(key, fallback) * multiple * multiple;
  const maxPixels = pixels("max_tokens", TOKENS.max);
  const minPixels = pixels("min_tokens", TOKENS.min);
  return {
    patchSize,
    multiple,
    minPixels,
    maxPixels,
    clipPixels: maxPixels,
    minPixelsPolicy: "enforced",
  };
}

function readPatchSize(config: ConfigReader): number {
  return config.size("patch_size", 14, LIMITS.patchSide);
}

/** @throws ModelError when tokens of a video are not made of 2 x 2 patches. */
export function checkMerge(config: ConfigReader, key: string): void {
  if (config.size(key, VIDEOLLAMA3_MERGE) !== VIDEOLLAMA3_MERGE) {
    throw config.refuse(key, `${VIDEOLLAMA3_MERGE} is supported for videos`);
  }
}

/** Bounds of area, by either pair of keys. */
function readBounds(config: ConfigReader): Pick<AreaStep, "minPixels" | "maxPixels"> {
  const size = config.section("size");
  if (config.has("size") && !(size.has("shortest_edge") && size.has("longest_edge"))) {
    throw config.refuse("size", '{"shortest_edge", "longest_edge"}, in pixels of area, is needed');
  }
  const bound = (key: string, edge: string, fallback: number) =>
    config.has(key)
      ? config.size(key, undefined, LIMITS.pixels)
      : size.size(edge, fallback, LIMITS.pixels);
  return {
    minPixels: bound("min_pixels", "shortest_edge", PIXELS.min),
    maxPixels: bound("max_pixels", "longest_edge", PIXELS.max),
  };
}

/** The rule of Qwen2-VL's video processor, whose tokens cover two frames. */
export function readQwenSampling(config: ConfigReader): EvenSampling {
  return readSampling(config, QWEN_FRAMES, 768);
}

/** The same rule in VideoLLaMA3's video processor of transformers. */
export function readVideoLlama3Sampling(config: ConfigReader): EvenSampling {
  return readSampling(config, 1, 180);
}

function readSampling(config: ConfigReader, multiple: number, most: number): EvenSampling {
  const frames = config.has("num_frames")
    ? config.size("num_frames", undefined, LIMITS.frames)
    : undefined;
  const perSecond = config.has("fps") ? config.number("fps") : undefined;
  if (frames !== undefined && perSecond !== undefined) {
    throw config.refuse("num_frames", '"fps" is given too; only one of them can be used');
  }
  if (perSecond !== undefined && !(perSecond > 0)) throw config.refuse("fps", "must be above 0");
  return {
    ...(frames === undefined ? {} : { frames }),
    ...(perSecond === undefined ? {} : { perSecond }),
    least: config.size("min_frames", 4, LIMITS.frames),
    most: config.size("max_frames", most, LIMITS.frames),
    multiple,
  };
}
