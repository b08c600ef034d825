import { type ProcessorRules, resizeOnce, square } from "../../../video/image-processor.ts";

/** CLIP's mean and deviation of each channel, and those of towers that take values from -1 to 1. */
export const CLIP_NORMALIZATION: Pick<ProcessorRules, "mean" | "std"> = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
};
export const HALF_NORMALIZATION: Pick<ProcessorRules, "mean" | "std"> = {
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
};

/**
 * CLIP's processor of still images, which frames are given to one by one. The LLaVA ones cut stills
 * into tiles besides, frames never.
 */
export const CLIP_PROCESSOR: ProcessorRules = {
  settings: "stills",
  types: new Set([
    "CLIPImageProcessor",
    "CLIPImageProcessorFast",
    "CLIPImageProcessorPil",
    "CLIPFeatureExtractor",
    "LlavaImageProcessor",
    "LlavaImageProcessorFast",
    "LlavaNextImageProcessor",
    "LlavaNextImageProcessorFast",
  ]),
  keys: [],
  crop: square(224),
  resample: "bicubic",
  ...CLIP_NORMALIZATION,
  resizes: resizeOnce({ shortestEdge: 224 }),
};
