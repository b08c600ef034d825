import { ConfigReader } from "../engine/checkpoint/config.ts";
import { ModelError } from "../engine/errors.ts";
import type { Resample } from "./pillow-resize.ts";

/** Per channel: red, green, blue. */
export type Channels = readonly [number, number, number];

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** What a model's `preprocessor_config.json` does to a frame, in this order; null: left out. */
export interface ImageProcessorSpec {
  /** To this exact size, or until the shorter side has this length. */
  readonly resize: Size | { readonly shortestEdge: number } | null;
  readonly resample: Resample;
  /** The middle of the picture, with black around it where the picture is smaller. */
  readonly crop: Size | null;
  /** 8-bit values are multiplied by this. */
  readonly rescaleFactor: number | null;
  readonly normalize: { readonly mean: Channels; readonly std: Channels } | null;
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

/** CLIPImageProcessor's own values for keys that the file leaves out. */
const CLIP_SIZE = 224;
const CLIP_MEAN: Channels = [0.48145466, 0.4578275, 0.40821073];
const CLIP_STD: Channels = [0.26862954, 0.26130258, 0.27577711];

/**
 * Reads the content of a `preprocessor_config.json` with the meaning CLIPImageProcessor gives it.
 *
 * @param file named in errors
 * @throws ModelError naming the key and the value that cannot be used
 */
export function parseImageProcessor(json: unknown, file: string): ImageProcessorSpec {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new ModelError(`${file}: is not a JSON object; copy or download it again`);
  }
  const config = new ConfigReader(json as Record<string, unknown>, file);
  const type = config.has("image_processor_type")
    ? "image_processor_type"
    : "feature_extractor_type";
  if (config.has(type) && !PROCESSORS.has(config.text(type))) {
    throw config.refuse(type, `one of these is needed: ${[...PROCESSORS].join(", ")}`);
  }
  for (const [key, value] of Object.entries(json)) {
    const off = value === null || value === false;
    if (!KNOWN.has(key) && !off) throw config.refuse(key, "this step is not supported");
  }
  if (config.text(type, "").startsWith("LlavaImageProcessor") && config.flag("do_pad", false)) {
    throw config.refuse("do_pad", "padding to a square before the resize is not supported");
  }
  return {
    resize: config.flag("do_resize", true) ? readResize(config) : null,
    resample: readResample(config),
    crop: config.flag("do_center_crop", true) ? readCrop(config) : null,
    rescaleFactor: config.flag("do_rescale", true)
      ? config.number("rescale_factor", 1 / 255)
      : null,
    normalize: config.flag("do_normalize", true)
      ? { mean: readMean(config), std: readStd(config) }
      : null,
  };
}

function readResize(config: ConfigReader): NonNullable<ImageProcessorSpec["resize"]> {
  if (!config.has("size")) return { shortestEdge: CLIP_SIZE };
  if (typeof config.raw("size") === "number") return { shortestEdge: config.size("size") };
  const size = config.section("size");
  const keys = Object.keys(config.raw("size") as object);
  if (keys.length === 1 && size.has("shortest_edge")) {
    return { shortestEdge: size.size("shortest_edge") };
  }
  if (keys.length === 2 && size.has("height") && size.has("width")) {
    return { width: size.size("width"), height: size.size("height") };
  }
  throw config.refuse("size", 'a number, {"shortest_edge"} or {"height", "width"} is needed');
}

function readCrop(config: ConfigReader): Size {
  const side = config.has("crop_size") ? config.raw("crop_size") : CLIP_SIZE;
  if (typeof side === "number") {
    const checked = config.size("crop_size", CLIP_SIZE);
    return { width: checked, height: checked };
  }
  const crop = config.section("crop_size");
  return { width: crop.size("width"), height: crop.size("height") };
}

function readResample(config: ConfigReader): Resample {
  const resample = RESAMPLES[config.number("resample", RESAMPLES.indexOf("bicubic"))];
  if (resample === undefined) throw config.refuse("resample", "one of Pillow's 0 to 5 is needed");
  return resample;
}

function readMean(config: ConfigReader): Channels {
  return readChannels(config, "image_mean", CLIP_MEAN);
}

function readStd(config: ConfigReader): Channels {
  const std = readChannels(config, "image_std", CLIP_STD);
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
