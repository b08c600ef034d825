import type { ConfigReader } from "../../../common/config-reader.ts";
import { LIMITS } from "../../../common/limits.ts";
import { type AreaStep, type ProcessorRules, VIDEO_KEYS } from "../../../video/image-processor.ts";
import {
  AREA_KEYS,
  readAreaBounds,
  readEvenSampling,
  readPatchSize,
} from "../shared/area-processor.ts";
import { CLIP_NORMALIZATION } from "../shared/clip-processor.ts";

/** Frames that one token of Qwen2-VL covers. */
const TOKEN_FRAMES = 2;
/** Frames sampled at most, where the file does not say. */
const MOST_FRAMES = 768;

export const QWEN2_5_VL_PROCESSOR: ProcessorRules = {
  settings: "video",
  types: new Set(["Qwen2VLVideoProcessor", "Qwen2_5_VLVideoProcessor"]),
  keys: [...VIDEO_KEYS, ...AREA_KEYS],
  crop: null,
  resample: "bicubic",
  ...CLIP_NORMALIZATION,
  resizes: (config) => (config.flag("do_resize", true) ? [readArea(config)] : []),
  sampling: (config) => readEvenSampling(config, TOKEN_FRAMES, MOST_FRAMES),
};

/** Qwen2-VL: sides of whole tokens, as many pixels as a frame may have. */
function readArea(config: ConfigReader): AreaStep {
  const frames = config.size("temporal_patch_size", TOKEN_FRAMES);
  if (frames !== TOKEN_FRAMES) throw config.refuse("temporal_patch_size", "2 is supported");
  const patchSize = readPatchSize(config);
  const multiple = patchSize * config.size("merge_size", 2, LIMITS.gridSide);
  const step = { patchSize, multiple, ...readAreaBounds(config) };
  if (!config.flag("cap_pixels_per_frame", false)) return step;
  // Nine tenths of the context, as pixels; a token covers this many frames.
  const pixels = Math.trunc(config.size("max_video_tokens", 128_000) * multiple * multiple * 0.9);
  return { ...step, clipPixels: pixels * frames };
}
