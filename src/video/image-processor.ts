import { ConfigReader } from "../common/config-reader.ts";
import { ModelError } from "../common/errors.ts";
import { LIMITS } from "../common/limits.ts";
import type { EvenSampling } from "./even-indices.ts";
import type { ClipResize, FirstResize } from "./first-resize.ts";
import type { Resample } from "./pillow-resize.ts";
import type { Size } from "./types.ts";

/** Per channel: red, green, blue. */
export type Channels = readonly [number, number, number];

/** Nearly in its shape to sides of whole multiples and an area within bounds. */
export interface AreaStep {
  /** Pixels along the side of a patch, and of the square that a side is a whole multiple of. */
  readonly patchSize: number;
  readonly multiple: number;
  readonly minPixels: number;
  readonly maxPixels: number;
  /** Further bound on all frames together; none when absent. */
  readonly clipPixels?: number;
  /**
   * What becomes of the least area where a frame's share of `clipPixels` is below it: it is "capped"
   * at the share, or "enforced" over it; absent: the share is raised above it.
   */
  readonly minPixelsPolicy?: "capped" | "enforced";
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

/** What a family's processor does: where its settings stand, and what they mean when left out. */
export interface ProcessorRules {
  /**
   * The settings' file: that of still images, which frames are given to one by one; or a video
   * processor's, which one of still images may stand in for.
   */
  readonly settings: "stills" | "video";
  /** The file is the one of still images alone, never a part of processor_config.json. */
  readonly alone?: boolean;
  /** Values of `image_processor_type`, or of `video_processor_type` for a video processor. */
  readonly types: ReadonlySet<string>;
  /** Keys it knows beside those of every processor. */
  readonly keys: readonly string[];
  /** Middle part that is kept where the file does not say; null: no part is cut off. */
  readonly crop: Size | null;
  readonly resample: Resample;
  readonly mean: Channels;
  readonly std: Channels;
  /** The sizes that a frame is brought to, one after another. */
  resizes(config: ConfigReader): ResizeStep[];
  sampling?(config: ConfigReader): EvenSampling | "spread";
  useTokenCompression?(config: ConfigReader): boolean;
  /** @throws ModelError when the processor_config.json beside the settings cannot be used. */
  checkBeside?(config: ConfigReader): void;
}

/** Keys of video processors that say nothing about a frame's values: frames are sampled by us. */
export const VIDEO_KEYS: readonly string[] = [
  "video_processor_type",
  "do_sample_frames",
  "num_frames",
  "fps",
  "video_metadata",
  "return_metadata",
];

export function square(side: number): Size {
  return { width: side, height: side };
}

/** One resize, as the file says, else to the usual size. */
export function resizeOnce(usual: ResizeStep): ProcessorRules["resizes"] {
  return (config) => (config.flag("do_resize", true) ? [readResize(config, usual)] : []);
}

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

/**
 * Reads a processor's settings with the meaning its class gives them: the content of a
 * `preprocessor_config.json` for a processor of still images, of a video processor's file for the
 * others.
 *
 * @param file named in errors
 * @throws ModelError naming the key and the value that cannot be used
 */
export function parseImageProcessor(
  json: unknown,
  file: string,
  rules: ProcessorRules,
): ImageProcessorSpec {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new ModelError(`${file}: is not a JSON object; copy or download it again`);
  }
  const config = new ConfigReader(json as Record<string, unknown>, file);
  checkType(config, rules);
  for (const [key, value] of Object.entries(json)) {
    const off = value === null || value === false;
    if (!KNOWN.has(key) && !rules.keys.includes(key) && !off) {
      throw config.refuse(key, "this step is not supported");
    }
  }
  const crops = config.flag("do_center_crop", rules.crop !== null);
  const { sampling, useTokenCompression } = rules;
  return {
    resize: rules.resizes(config),
    resample: readResample(config, rules),
    crop: crops ? readCrop(config, rules) : null,
    rescaleFactor: config.flag("do_rescale", true)
      ? config.number("rescale_factor", 1 / 255)
      : null,
    normalize: config.flag("do_normalize", true)
      ? { mean: readChannels(config, "image_mean", rules.mean), std: readStd(config, rules) }
      : null,
    ...(sampling === undefined ? {} : { sampling: sampling(config) }),
    ...(useTokenCompression === undefined
      ? {}
      : { useTokenCompression: useTokenCompression(config) }),
  };
}

/**
 * A file of a still-image processor may stand in for a video processor's, which then takes its
 * numbers; a file of another video processor may not.
 */
function checkType(config: ConfigReader, { settings, types }: ProcessorRules): void {
  if (settings === "video") {
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

/**
 * A resize as the file says it.
 *
 * @param usual where it does not; which forms are taken follows from it.
 */
export function readResize(config: ConfigReader, usual: ResizeStep, key = "size"): ResizeStep {
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

function readCrop(config: ConfigReader, { crop }: ProcessorRules): Size {
  if (!config.has("crop_size") && crop !== null) return crop;
  if (typeof config.raw("crop_size") === "number") return square(side(config, "crop_size"));
  const size = config.section("crop_size");
  return { width: side(size, "width"), height: side(size, "height") };
}

/** A side of a picture, in pixels. */
function side(config: ConfigReader, key: string): number {
  return config.size(key, undefined, LIMITS.pictureSide);
}

function readResample(config: ConfigReader, rules: ProcessorRules): Resample {
  const resample = RESAMPLES[config.number("resample", RESAMPLES.indexOf(rules.resample))];
  if (resample === undefined) throw config.refuse("resample", "one of Pillow's 0 to 5 is needed");
  return resample;
}

function readStd(config: ConfigReader, rules: ProcessorRules): Channels {
  const std = readChannels(config, "image_std", rules.std);
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
