import type { ConfigReader } from "../../../common/config-reader.ts";
import { LIMITS } from "../../../common/limits.ts";
import type { EvenSampling } from "../../../video/even-indices.ts";
import type { AreaStep } from "../../../video/image-processor.ts";

/** Keys of Qwen2-VL's video processor; those of its still-image processor are among them. */
export const AREA_KEYS: readonly string[] = [
  "min_pixels",
  "max_pixels",
  "patch_size",
  "temporal_patch_size",
  "merge_size",
  "min_frames",
  "max_frames",
  "cap_pixels_per_frame",
  "max_video_tokens",
];

/** Bounds of area where the classes of Qwen2-VL and VideoLLaMA3 are given none. */
const PIXELS = { min: 128 * 28 * 28, max: 768 * 28 * 28 };
/** Bounds of area, by either pair of keys. */
export function readAreaBounds(config: ConfigReader): Pick<AreaStep, "minPixels" | "maxPixels"> {
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

/** Pixels along the side of a patch. */
export function readPatchSize(config: ConfigReader): number {
  return config.size("patch_size", 14, LIMITS.patchSide);
}

/**
 * The rule of Qwen2-VL's video processor for choosing frames.
 *
 * @param multiple frames that a token covers
 * @param most frames at most, where the file does not say
 */
export function readEvenSampling(
  config: ConfigReader,
  multiple: number,
  most: number,
): EvenSampling {
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
