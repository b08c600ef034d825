import type { ConfigReader } from "../../../common/config-reader.ts";
import { LIMITS } from "../../../common/limits.ts";
import {
  type ProcessorRules,
  type ResizeStep,
  readResize,
  square,
  VIDEO_KEYS,
} from "../../../video/image-processor.ts";
import { HALF_NORMALIZATION } from "../shared/clip-processor.ts";

/** Side of the square that SmolVLM's class squeezes a frame into. */
const SIDE = 364;
/** Longer side that a frame is brought to at most. */
const LONGEST = 4096;

export const SMOLVLM_PROCESSOR: ProcessorRules = {
  settings: "video",
  types: new Set(["SmolVLMVideoProcessor"]),
  // The last two say something of stills alone.
  keys: [
    ...VIDEO_KEYS,
    "video_sampling",
    "max_image_size",
    "do_image_splitting",
    "return_row_col_info",
  ],
  crop: null,
  resample: "lanczos",
  ...HALF_NORMALIZATION,
  resizes: readResizes,
};

/**
 * SmolVLM's video processor resizes, then squeezes into a square. Its class lets the size of stills
 * win over the one among the sampling rules where a file has both, as published ones do.
 */
function readResizes(config: ConfigReader): ResizeStep[] {
  if (!config.flag("do_resize", true)) return [];
  const usual = { longestEdge: 4 * SIDE };
  const sampling = config.section("video_sampling");
  const first =
    !config.has("size") && sampling.has("video_size")
      ? readResize(sampling, usual, "video_size")
      : readResize(config, usual);
  const side = config.has("max_image_size")
    ? config.section("max_image_size").size("longest_edge", undefined, LIMITS.pictureSide)
    : SIDE;
  const step =
    "longestEdge" in first ? { longestEdge: Math.min(first.longestEdge, LONGEST) } : first;
  return [step, square(side)];
}
