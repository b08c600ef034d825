import { ConfigReader } from "../common/config-reader.ts";
import { ModelError } from "../common/errors.ts";
import { LIMITS } from "../common/limits.ts";
import {
  type AreaStep,
  readPublishedArea,
  readQwenArea,
  readQwenSampling,
  readVideoLlama3Area,
  readVideoLlama3Sampling,
} from "./any-size.ts";
import type { EvenSampling } from "./even-indices.ts";
import type { ClipResize, FirstResize } from "./first-resize.ts";
import type { FrameProcessor } from "./frame-processor.ts";
import type { Resample } from "./pillow-resize.ts";

/** Per channel: red, green, blue. */
export type Channels = readonly [number, number, number];

export interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * To this exact size; until the shorter side has this length; until the longer one has; nearly in
 * its shape to sides of whole multiples and an area within bounds; or as the reference's processor
 * begins.
 */
export type ResizeStep =
  | Size
  | { readonly shortestEdge: number }
  | {
      /** The shorter side follows, an odd length made even by one more pixel. */
      readonly longestEdge: number;
    }
  | AreaStep
  | FirstResize
  | ClipResize;

/** What a model's `preprocessor_config.json` does to a frame, in this order; null: left out. */
export interface ImageProcessorSpec {
  /** To these sizes, one after another: none, one, or two where the processor resizes twice. */
  readonly resize: readonly ResizeStep[];
  readonly resample: Resample;
  /** The middle of the picture, with black around it where the picture is smaller. */
  readonly crop: Size | null;
  /** 8-bit values are multiplied by this. */
  readonly rescaleFactor: number | null;
  readonly normalize: { readonly mean: Channels; readonly std: Channels } | null;
  /**
   * The processor's own rule for choosing frames, "spread" being from the first to the last; absent:
   * the paper's for PLLaVA.
   */
  readonly sampling?: EvenSampling | "spread";
  /** Whether tokens that show what the frame before showed are left out, where this file says it. */
  readonly useTokenCompression?: boolean;
}

/** Processors that treat a frame alike; the LLaVA ones cut stills into tiles besides, frames never. */
const PROCESSORS = new Set([
  "CLIPImageProcessor",
  "CLIPImageProcessorFast",
  "CLIPImageProcessorPil",
  "CLIPFeatureExtractor",
  "LlavaImageProcessor",
  "LlavaImageProcessorFast",
  "LlavaNextImageProcessor",
  "LlavaNextImageProcessorFast",
]);

/** Pillow's numbers for its filters. */
const RESAMPLES: readonly Resample[] = [
  "nearest",
  "lanczos",
  "bilinear",
  "bicubic",
  "box",
  "hamming",
];

/** Keys that say nothing about the values of a frame, or are read below. */
const KNOWN = new Set([
  "image_processor_type",
  "feature_extractor_type",
  "processor_class",
  "auto_map",
  "_valid_processor_keys",
  "do_resize",
  "size",
  "resample",
  "default_to_square",
  "do_center_crop",
  "crop_size",
  "do_rescale",
  "rescale_factor",
  "do_normalize",
  "image_mean",
  "image_std",
  "do_convert_rgb",
  "do_pad",
  "aspect_ratio_setting",
  "image_grid_pinpoints",
  "image_seq_length",
  "data_format",
  "input_data_format",
  "return_tensors",
  "disable_grouping",
  "device",
]);

/** Keys of video processors that say nothing about a frame's values: frames are sampled by us. */
const SAMPLING = [
  "video_processor_type",
  "do_sample_frames",
  "num_frames",
  "fps",
  "video_metadata",
  "return_metadata",
];
/** Keys of Qwen2-VL's video processor; those of its still-image processor are among them. */
const QWEN_KEYS = [
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
/** Keys that say something of stills alone, in files that stand in for a video processor's. */
const VIDEO_KNOWN: Readonly<Record<FrameProcessor, ReadonlySet<string>>> = {
  clip: new Set(),
  pllava: new Set(),
  "llava-next-video": new Set(SAMPLING),
  "llava-onevision": new Set([...SAMPLING, "num_image_tokens", "vision_feature_select_strategy"]),
  internvl: new Set([
    ...SAMPLING,
    "initial_shift",
    "crop_to_patches",
    "min_patches",
    "max_patches",
  ]),
  smolvlm: new Set([
    ...SAMPLING,
    "video_sampling",
    "max_image_size",
    "do_image_splitting",
    "return_row_col_info",
  ]),
  "qwen2-5-vl": new Set([...SAMPLING, ...QWEN_KEYS]),
  "video-llama-3": new Set([...SAMPLING, ...QWEN_KEYS, "use_token_compression"]),
  videollama3: new Set(["patch_size", "min_tokens", "max_tokens"]),
};
/** Processors of still images, which frames are given to one by one. */
const STILLS: ReadonlySet<FrameProcessor> = new Set(["clip", "pllava", "videollama3"]);
/** Longer side that the reference's processor first brings a frame to. */
const PLLAVA_LONGEST = 640;
/** Side of the square that SmolVLM's class squeezes a frame into. */
const SMOLVLM_SIDE = 364;

/** What a processor's class does when its file does not say. */
interface Defaults {
  /** Values of `image_processor_type`, or of `video_processor_type` for a video processor. */
  readonly types: ReadonlySet<string>;
  /** Or what reads it, where it follows an area. */
  readonly size: ResizeStep | ((config: ConfigReader) => AreaStep);
  /** Middle part that is kept; null: no part is cut off. */
  readonly crop: Size | null;
  readonly resample: Resample;
  readonly mean: Channels;
  readonly std: Channels;
  readonly sampling?: (config: ConfigReader) => EvenSampling | "spread";
}

const CLIP_MEAN: Channels = [0.48145466, 0.4578275, 0.40821073];
const CLIP_STD: Channels = [0.26862954, 0.26130258, 0.27577711];
const HALVES: Channels = [0.5, 0.5, 0.5];

function square(side: number): Size {
  return { width: side, height: side };
}

const CLIP_DEFAULTS: Defaults = {
  types: PROCESSORS,
  size: { shortestEdge: 224 },
  crop: square(224),
  resample: "bicubic",
  mean: CLIP_MEAN,
  std: CLIP_STD,
};

const DEFAULTS: Readonly<Record<FrameProcessor, Defaults>> = {
  clip: CLIP_DEFAULTS,
  pllava: CLIP_DEFAULTS,
  "llava-next-video": {
    types: new Set(["LlavaNextVideoVideoProcessor", "LlavaNextVideoImageProcessor"]),
    size: { shortestEdge: 224 },
    crop: square(224),
    resample: "bicubic",
    mean: CLIP_MEAN,
    std: CLIP_STD,
  },
  "llava-onevision": {
    types: new Set(["LlavaOnevisionVideoProcessor"]),
    size: square(384),
    crop: null,
    resample: "bicubic",
    mean: CLIP_MEAN,
    std: CLIP_STD,
  },
  internvl: {
    types: new Set(["InternVLVideoProcessor"]),
    size: square(384),
    crop: null,
    resample: "bicubic",
    mean: CLIP_MEAN,
    std: CLIP_STD,
  },
  smolvlm: {
    types: new Set(["SmolVLMVideoProcessor"]),
    size: { longestEdge: 4 * 364 },
    crop: null,
    resample: "lanczos",
    mean: HALVES,
    std: HALVES,
  },
  "qwen2-5-vl": {
    types: new Set(["Qwen2VLVideoProcessor", "Qwen2_5_VLVideoProcessor"]),
    size: readQwenArea,
    crop: null,
    resample: "bicubic",
    mean: CLIP_MEAN,
    std: CLIP_STD,
    sampling: readQwenSampling,
  },
  "video-llama-3": {
    types: new Set(["VideoLlama3VideoProcessor"]),
    size: readVideoLlama3Area,
    crop: null,
    resample: "bicubic",
    mean: HALVES,
    std: HALVES,
    sampling: readVideoLlama3Sampling,
  },
  videollama3: {
    types: new Set(["Videollama3ImageProcessor"]),
    size: readPublishedArea,
    crop: null,
    resample: "bicubic",
    mean: CLIP_MEAN,
    std: CLIP_STD,
    sampling: () => "spread",
  },
};

/**
 * Reads a processor's settings with the meaning its class gives them: the content of a
 * `preprocessor_config.json` for CLIP's image processor, of a video processor's file for the others.
 *
 * @param file named in errors
 * @param processor whose rules; CLIPImageProcessor's by default
 * @throws ModelError naming the key and the value that cannot be used
 */
export function parseImageProcessor(
  json: unknown,
  file: string,
  processor: FrameProcessor = "clip",
): ImageProcessorSpec {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new ModelError(`${file}: is not a JSON object; copy or download it again`);
  }
  const config = new ConfigReader(json as Record<string, unknown>, file);
  const defaults = DEFAULTS[processor];
  checkType(config, processor, defaults);
  for (const [key, value] of Object.entries(json)) {
    const off = value === null || value === false;
    if (!KNOWN.has(key) && !VIDEO_KNOWN[processor].has(key) && !off) {
      throw config.refuse(key, "this step is not supported");
    }
  }
  const crops = config.flag("do_center_crop", defaults.crop !== null);
  return {
    resize: readResizes(config, processor, defaults),
    resample: readResample(config, defaults),
    crop: crops ? readCrop(config, defaults) : null,
    rescaleFactor: config.flag("do_rescale", true)
      ? config.number("rescale_factor", 1 / 255)
      : null,
    normalize: config.flag("do_normalize", true)
      ? { mean: readChannels(config, "image_mean", defaults.mean), std: readStd(config, defaults) }
      : null,
    ...(defaults.sampling === undefined ? {} : { sampling: defaults.sampling(config) }),
    ...(processor === "video-llama-3"
      ? { useTokenCompression: config.flag("use_token_compression", true) }
      : {}),
  };
}

/**
 * A file of a still-image processor may stand in for a video processor's, which then takes its
 * numbers; a file of another video processor may not.
 */
function checkType(config: ConfigReader, processor: FrameProcessor, { types }: Defaults): void {
  if (!STILLS.has(processor)) {
    const type = "video_processor_type";
    if (config.has(type) && !types.has(config.text(type))) {
      throw config.refuse(type, `one of these is needed: ${[...types].join(", ")}`);
    }
    return;
  }
  const type = config.has("image_processor_type")
    ? "image_processor_type"
    : "feature_extractor_type";
  if (config.has(type) && !types.has(config.text(type))) {
    throw config.refuse(type, `one of these is needed: ${[...types].join(", ")}`);
  }
  if (config.text(type, "").startsWith("LlavaImageProcessor") && config.flag("do_pad", false)) {
    throw config.refuse("do_pad", "padding to a square before the resize is not supported");
  }
}

function readResizes(
  config: ConfigReader,
  processor: FrameProcessor,
  defaults: Defaults,
): ResizeStep[] {
  const { size } = defaults;
  const resizes = config.flag("do_resize", true);
  if (processor === "pllava" && typeof size !== "function") {
    const own = readResize(config, size);
    // The reference cannot take a size of another form: such a checkpoint is none of its own.
    if (!("shortestEdge" in own)) return resizes ? [own] : [];
    const first = { longestAtMost: PLLAVA_LONGEST, shortest: own.shortestEdge };
    return resizes ? [first, own] : [first];
  }
  if (!resizes) return [];
  if (typeof size === "function") return [size(config)];
  if (processor !== "smolvlm") return [readResize(config, size)];
  // SmolVLM's video processor resizes, then squeezes into a square. Its class lets the size of stills
  // win over the one among the sampling rules where a file has both, as published ones do.
  const sampling = config.section("video_sampling");
  const first =
    !config.has("size") && sampling.has("video_size")
      ? readResize(sampling, size, "video_size")
      : readResize(config, size);
  const side = config.has("max_image_size")
    ? config.section("max_image_size").size("longest_edge", undefined, LIMITS.pictureSide)
    : SMOLVLM_SIDE;
  const step = "longestEdge" in first ? { longestEdge: Math.min(first.longestEdge, 4096) } : first;
  return [step, square(side)];
}

function readResize(config: ConfigReader, usual: ResizeStep, key = "size"): ResizeStep {
  if (!config.has(key)) return usual;
  if (typeof config.raw(key) === "number") {
    const length = config.size(key, undefined, LIMITS.pictureSide);
    return "shortestEdge" in usual ? { shortestEdge: length } : square(length);
  }
  const size = config.section(key);
  const keys = Object.entries(config.raw(key) as object).filter(([, value]) => value !== null);
  if (keys.length === 1 && size.has("shortest_edge")) {
    return { shortestEdge: side(size, "shortest_edge") };
  }
  if (keys.length === 1 && size.has("longest_edge") && "longestEdge" in usual) {
    return { longestEdge: side(size, "longest_edge") };
  }
  if (keys.length === 2 && size.has("height") && size.has("width")) {
    return { width: side(size, "width"), height: side(size, "height") };
  }
  throw config.refuse(key, 'a number, {"shortest_edge"} or {"height", "width"} is needed');
}

function readCrop(config: ConfigReader, { crop }: Defaults): Size {
  if (!config.has("crop_size") && crop !== null) return crop;
  if (typeof config.raw("crop_size") === "number") return square(side(config, "crop_size"));
  const size = config.section("crop_size");
  return { width: side(size, "width"), height: side(size, "height") };
}

/** A side of a picture, in pixels. */
function side(config: ConfigReader, key: string): number {
  return config.size(key, undefined, LIMITS.pictureSide);
}

function readResample(config: ConfigReader, defaults: Defaults): Resample {
  const resample = RESAMPLES[config.number("resample", RESAMPLES.indexOf(defaults.resample))];
  if (resample === undefined) throw config.refuse("resample", "one of Pillow's 0 to 5 is needed");
  return resample;
}

function readStd(config: ConfigReader, defaults: Defaults): Channels {
  const std = readChannels(config, "image_std", defaults.std);
  if (std.some((value) => value <= 0)) throw config.refuse("image_std", "must be above 0");
  return std;
}

function readChannels(config: ConfigReader, key: string, fallback: Channels): Channels {
  if (!config.has(key)) return fallback;
  const value = config.raw(key);
  const [r, g, b, ...rest]: unknown[] = Array.isArray(value) ? value : [value, value, value];
  const finite = (x: unknown): x is number => typeof x === "number" && Number.isFinite(x);
  if (!finite(r) || !finite(g) || !finite(b) || rest.length > 0) {
    throw config.refuse(key, "a number, or one for each of red, green and blue, is needed");
  }
  return [r, g, b];
}
