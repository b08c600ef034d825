import { type ProcessorRules, VIDEO_KEYS } from "../../../video/image-processor.ts";
import { CLIP_PROCESSOR } from "../shared/clip-processor.ts";

export const LLAVA_NEXT_VIDEO_PROCESSOR: ProcessorRules = {
  ...CLIP_PROCESSOR,
  settings: "video",
  types: new Set(["LlavaNextVideoVideoProcessor", "LlavaNextVideoImageProcessor"]),
  keys: VIDEO_KEYS,
};
