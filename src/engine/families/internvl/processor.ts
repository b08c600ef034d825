import {
  type ProcessorRules,
  resizeOnce,
  square,
  VIDEO_KEYS,
} from "../../../video/image-processor.ts";
import { CLIP_NORMALIZATION } from "../shared/clip-processor.ts";

export const INTERNVL_PROCESSOR: ProcessorRules = {
  settings: "video",
  types: new Set(["InternVLVideoProcessor"]),
  // What follows the first says something of stills alone.
  keys: [...VIDEO_KEYS, "initial_shift", "crop_to_patches", "min_patches", "max_patches"],
  crop: null,
  resample: "bicubic",
  ...CLIP_NORMALIZATION,
  resizes: resizeOnce(square(384)),
};
