import {
  type ProcessorRules,
  resizeOnce,
  square,
  VIDEO_KEYS,
} from "../../../video/image-processor.ts";
import { CLIP_NORMALIZATION } from "../shared/clip-processor.ts";

export const LLAVA_ONEVISION_PROCESSOR: ProcessorRules = {
  settings: "video",
  types: new Set(["LlavaOnevisionVideoProcessor"]),
  // The last two say something of stills alone.
  keys: [...VIDEO_KEYS, "num_image_tokens", "vision_feature_select_strategy"],
  crop: null,
  resample: "bicubic",
  ...CLIP_NORMALIZATION,
  resizes: resizeOnce(square(384)),
};
