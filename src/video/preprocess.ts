import { InputError } from "../common/errors.ts";
import { type ClipResize, firstResizeOf } from "./first-resize.ts";
import { roundHalfToEven } from "./frame-indices.ts";
import type { AreaStep, ImageProcessorSpec, ResizeStep } from "./image-processor.ts";
import { type PixelRectangle, pillowResize } from "./pillow-resize.ts";
import type { RgbImage, Size } from "./types.ts";

/** Frames as the vision tower takes them. */
export interface PixelValues {
  /** Frame-major, then channel (red, green, blue), row, column. */
  readonly data: Float32Array;
  readonly shape: readonly [frames: number, channels: 3, height: number, width: number];
}

/** A rectangle in a frame's own pixels; fractions of a pixel matter. */
export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Prepares the frames of a clip for a model one by one, so that none has to be kept in its own size:
 * with the values that the model's processor gives (CLIPImageProcessor over Pillow; video processors
 * agree with it to a step of the 8-bit picture): resize, centre crop, rescale, normalise, each in the
 * processor's own precision.
 */
export class FramePreparer {
  readonly #settings: ImageProcessorSpec;
  readonly #count: number;
  #first: { readonly frame: Size; readonly spec: ImageProcessorSpec; readonly size: Size } | null =
    null;

  /** @param count frames of the clip, among which some processors share out a number of pixels */
  constructor(settings: ImageProcessorSpec, count: number) {
    this.#settings = settings;
    this.#count = count;
  }

  /**
   * Resizes and crops a frame to 8-bit RGB of the model's size.
   *
   * @throws InputError when it is too narrow for the model, or comes out in another size than the
   *   first, so that they make no one tensor
   */
  prepare(frame: RgbImage): RgbImage {
    const spec = this.#first?.spec ?? forClip(this.#settings, this.#count, frame);
    const size = outputSize(frame, spec);
    this.#first ??= { frame: { width: frame.width, height: frame.height }, spec, size };
    const { frame: first, size: wanted } = this.#first;
    if (size.width !== wanted.width || size.height !== wanted.height) {
      throw new InputError(
        `frames of ${first.width} x ${first.height} and ${frame.width} x ${frame.height} pixels become different sizes for this model; use frames of one size`,
      );
    }
    return { ...size, data: resizedAndCropped(frame, spec) };
  }
}

/**
 * The model's values for frames that a `FramePreparer` has prepared.
 *
 * @returns [N, 3, H, W]
 * @throws InputError when there are no frames
 */
export function pixelValues(
  prepared: readonly RgbImage[],
  settings: ImageProcessorSpec,
): PixelValues {
  const [first] = prepared;
  if (first === undefined) throw new InputError("there are no frames to prepare");
  const { width, height } = first;
  const plane = width * height;
  const data = new Float32Array(prepared.length * 3 * plane);
  for (const channel of [0, 1, 2]) {
    const table = valueTable(settings, channel);
    for (const [n, { data: pixels }] of prepared.entries()) {
      let to = (n * 3 + channel) * plane;
      for (let from = channel; from < pixels.length; from += 3) {
        data[to++] = table[pixels[from] as number] as number;
      }
    }
  }
  return { data, shape: [prepared.length, 3, height, width] };
}

/**
 * Prepares frames that are all at hand: `FramePreparer` and `pixelValues`.
 *
 * @returns [N, 3, H, W]
 * @throws InputError as those do
 */
export function preprocess(frames: readonly RgbImage[], settings: ImageProcessorSpec): PixelValues {
  const preparer = new FramePreparer(settings, frames.length);
  return pixelValues(
    frames.map((frame) => preparer.prepare(frame)),
    settings,
  );
}

/**
 * The part of a frame that the model sees, for drawing its grid of tokens over the frame. It reaches
 * beyond the frame where the processor adds black borders.
 */
export function cropRectangle(frame: Size, settings: ImageProcessorSpec): Rectangle {
  const spec = forClip(settings, 1, frame);
  const resized = resizedSize(frame, spec);
  const { left, top, width, height } = cropBox(resized, spec);
  const [scaleX, scaleY] = [frame.width / resized.width, frame.height / resized.height];
  return { x: left * scaleX, y: top * scaleY, width: width * scaleX, height: height * scaleY };
}

/**
 * Size of a frame of a clip of `frames` frames once it is prepared.
 *
 * @throws InputError when the frame is too narrow for the model
 */
export function preparedSize(frame: Size, spec: ImageProcessorSpec, frames: number): Size {
  return outputSize(frame, forClip(spec, frames, frame));
}

/**
 * The settings for one clip: with each frame's even share of what bounds all frames together, and the
 * reference's first resize as it follows from the first frame.
 */
function forClip(spec: ImageProcessorSpec, frames: number, first: Size): ImageProcessorSpec {
  const resize = spec.resize.map((step): ResizeStep => {
    if ("longestAtMost" in step) return firstResizeOf(first, step);
    if (!("multiple" in step) || step.clipPixels === undefined) return step;
    const { minPixels, maxPixels, clipPixels, minPixelsPolicy } = step;
    const share = Math.min(maxPixels, Math.floor(clipPixels / frames));
    const raised = Math.max(share, Math.trunc(minPixels * 1.05));
    return { ...step, maxPixels: minPixelsPolicy === undefined ? raised : share };
  });
  return { ...spec, resize };
}

/** Size after every resize. */
function resizedSize(frame: Size, { resize }: ImageProcessorSpec): Size {
  return resize.reduce(sizeAfter, { width: frame.width, height: frame.height });
}

function sizeAfter({ width, height }: Size, step: ResizeStep): Size {
  if ("width" in step) return { width: step.width, height: step.height };
  if ("shortestEdge" in step) return toShortestEdge({ width, height }, step.shortestEdge);
  if ("longestAtMost" in step) throw new Error("a first resize is settled by a clip's first frame");
  if ("edge" in step) {
    const { width: across, height: down } = keptOf(
      toShortestEdge({ width, height }, step.edge),
      step,
    );
    return { width: across, height: down };
  }
  if ("multiple" in step) return wholeMultiples({ width, height }, step);
  const { longestEdge: edge } = step;
  // Divided by the aspect ratio here, as this reference does.
  const even = (length: number) => Math.max(1, length + (length % 2));
  const ratio = width / height;
  return width >= height
    ? { width: edge, height: even(Math.trunc(edge / ratio)) }
    : { width: even(Math.trunc(edge * ratio)), height: edge };
}

/** Multiplied before it is divided, and cut, as the reference does. */
function toShortestEdge({ width, height }: Size, edge: number): Size {
  const other = (long: number, short: number) => Math.trunc((edge * long) / short);
  return width <= height
    ? { width: edge, height: other(height, width) }
    : { width: other(width, height), height: edge };
}

/** What the reference's first resize keeps of a resized frame. */
function keptOf({ width, height }: Size, { along, from, to }: ClipResize): PixelRectangle {
  return along === "width"
    ? { left: from, top: 0, width: Math.min(to, width) - from, height }
    : { left: 0, top: from, width, height: Math.min(to, height) - from };
}

/** Longest side to shortest, from which on Qwen2-VL's processor refuses a picture. */
const NARROWEST = 200;

/**
 * Sides of whole multiples, nearly in shape, the area within bounds: Qwen2-VL's `smart_resize`; where
 * the least area wins, VideoLLaMA3's own `simple_batched_resize`.
 */
function wholeMultiples(
  { width, height }: Size,
  { multiple, minPixels, maxPixels, minPixelsPolicy }: AreaStep,
): Size {
  if (Math.max(width, height) / Math.min(width, height) > NARROWEST) {
    throw new InputError(
      `frames of ${width} x ${height} pixels are too narrow for this model; their sides may differ by a factor of ${NARROWEST}`,
    );
  }
  const sides = (of: (length: number) => number): Size => ({
    width: of(width),
    height: of(height),
  });
  const grown = () => {
    const grow = Math.sqrt(minPixels / (height * width));
    return sides((side) => Math.ceil((side * grow) / multiple) * multiple);
  };
  const nearest = sides((side) => roundHalfToEven(side / multiple) * multiple);
  if (area(nearest) > maxPixels) {
    const shrink = Math.sqrt((height * width) / maxPixels);
    const shrunk = sides((side) => Math.floor(side / shrink / multiple) * multiple);
    if (minPixelsPolicy === "enforced") return area(shrunk) < minPixels ? grown() : shrunk;
    return { width: Math.max(multiple, shrunk.width), height: Math.max(multiple, shrunk.height) };
  }
  return area(nearest) < minPixels ? grown() : nearest;
}

function area({ width, height }: Size): number {
  return width * height;
}

/** The crop in the resized picture; a negative left or top is a border of that width. */
function cropBox(
  resized: Size,
  { crop }: ImageProcessorSpec,
): Size & { left: number; top: number } {
  const { width, height } = crop ?? resized;
  const left = Math.floor((resized.width - width) / 2);
  const top = Math.floor((resized.height - height) / 2);
  return { left, top, width, height };
}

function outputSize(frame: Size, spec: ImageProcessorSpec): Size {
  return spec.crop ?? resizedSize(frame, spec);
}

/** 8-bit RGB of the processor's output size. Only what the crop keeps is resized. */
function resizedAndCropped(frame: RgbImage, spec: ImageProcessorSpec): Uint8Array {
  const resized = resizedSize(frame, spec);
  const box = cropBox(resized, spec);
  const left = Math.max(0, box.left);
  const top = Math.max(0, box.top);
  const width = Math.min(box.width, resized.width);
  const height = Math.min(box.height, resized.height);
  const window = { left, top, width, height };
  const source = spec.resize.reduce((picture: RgbImage, step, i) => {
    if ("edge" in step) return firstResized(picture, step);
    if (i === spec.resize.length - 1) return picture;
    const { width, height } = sizeAfter(picture, step);
    return { width, height, data: pillowResize(picture, width, height, spec.resample) };
  }, frame);
  const pixels = pillowResize(source, resized.width, resized.height, spec.resample, window);
  if (width === box.width && height === box.height) return pixels;
  const bordered = new Uint8Array(box.width * box.height * 3);
  for (let y = 0; y < height; y++) {
    const to = ((y + top - box.top) * box.width + left - box.left) * 3;
    bordered.set(pixels.subarray(y * width * 3, (y + 1) * width * 3), to);
  }
  return bordered;
}

/** The reference's first resize; its filter is bicubic whatever the checkpoint's own is. */
function firstResized(picture: RgbImage, step: ClipResize): RgbImage {
  const { width, height } = toShortestEdge(picture, step.edge);
  const kept = keptOf({ width, height }, step);
  return { ...kept, data: pillowResize(picture, width, height, "bicubic", kept) };
}

/** The model's value for each 8-bit value of a channel, rounded to 32-bit floats where NumPy does. */
function valueTable(spec: ImageProcessorSpec, channel: number): Float32Array {
  const { rescaleFactor, normalize } = spec;
  return Float32Array.from({ length: 256 }, (_, byte) => {
    const value = Math.fround(rescaleFactor === null ? byte : byte * rescaleFactor);
    if (normalize === null) return value;
    const centred = Math.fround(value - Math.fround(normalize.mean[channel] as number));
    return centred / Math.fround(normalize.std[channel] as number);
  });
}
