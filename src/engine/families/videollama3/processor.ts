import type { ConfigReader } from "../../../common/config-reader.ts";
import { type AreaStep, type ProcessorRules, VIDEO_KEYS } from "../../../video/image-processor.ts";
import {
  AREA_KEYS,
  readAreaBounds,
  readEvenSampling,
  readPatchSize,
} from "../shared/area-processor.ts";
import { CLIP_NORMALIZATION, HALF_NORMALIZATION } from "../shared/clip-processor.ts";

/** Tokens of a frame at least, and of a clip at most, where VideoLLaMA3's own code is given none. */
const TOKENS = { min: 16, max: 16_384 };
/** Patches along the side of a video token of VideoLLaMA3. */
const MERGE = 2;

/** Frames sampled at most, where the file does not say. */
const MOST_FRAMES = 180;

/** VideoLLaMA3's video processor in transformers. */
export const VIDEOLLAMA3_PROCESSOR: ProcessorRules = {
  settings: "video",
  types: new Set(["VideoLlama3VideoProcessor"]),
  keys: [...VIDEO_KEYS, ...AREA_KEYS, "use_token_compression"],
  crop: null,
  resample: "bicubic",
  ...HALF_NORMALIZATION,
  resizes: (config) => (config.flag("do_resize", true) ? [readArea(config)] : []),
  sampling: (config) => readEvenSampling(config, 1, MOST_FRAMES),
  useTokenCompression: (config) => config.flag("use_token_compression", true),
};

/** The processor that VideoLLaMA3 is published with, which serves stills and videos. */
export const PUBLISHED_VIDEOLLAMA3_PROCESSOR: ProcessorRules = {
  settings: "stills",
  alone: true,
  types: new Set(["Videollama3ImageProcessor"]),
  keys: ["patch_size", "min_tokens", "max_tokens"],
  crop: null,
  resample: "bicubic",
  ...CLIP_NORMALIZATION,
  resizes: (config) => (config.flag("do_resize", true) ? [readPublishedArea(config)] : []),
  sampling: () => "spread",
  checkBeside: (config) => checkMerge(config, "video_merge_size"),
};

/** VideoLLaMA3 in transformers: the most pixels are those of all frames together. */
function readArea(config: ConfigReader): AreaStep {
  if (config.size("temporal_patch_size", 1) !== 1) {
    throw config.refuse("temporal_patch_size", "1 is supported");
  }
  checkMerge(config, "merge_size");
  const { minPixels, maxPixels } = readAreaBounds(config);
  const patchSize = readPatchSize(config);
  const multiple = patchSize * MERGE;
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
function readPublishedArea(config: ConfigReader): AreaStep {
  const patchSize = readPatchSize(config);
  const multiple = patchSize * MERGE;
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

/** @throws ModelError when tokens of a video are not made of 2 x 2 patches. */
function checkMerge(config: ConfigReader, key: string): void {
  if (config.size(key, MERGE) !== MERGE) {
    throw config.refuse(key, `${MERGE} is supported for videos`);
  }
}
