import { InputError } from "../common/errors.ts";
import type { AreaStep } from "./any-size.ts";
import { roundHalfToEven } from "./frame-indices.ts";
import type { ImageProcessorSpec, ResizeStep, Size } from "./image-processor.ts";
import { pillowResize } from "./pillow-resize.ts";
import type { RgbImage } from "./types.ts";

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
 * Prepares frames for a model, with the values its own processor gives (CLIPImageProcessor over
 * Pillow; video processors agree with it to a step of the 8-bit picture): resize, centre crop,
 * rescale, normalise, each in the processor's own precision.
 *
 * @returns [N, 3, H, W]
 * @throws InputError when frames of different sizes come out different, and so make no one tensor
 */
export function preprocess(frames: readonly RgbImage[], settings: ImageProcessorSpec): PixelValues {
  const [first] = frames;
  if (first === undefined) throw new InputError("there are no frames to prepare");
  const spec = forClip(settings, frames.length);
  const { width, height } = outputSize(first, spec);
  const plane = width * height;
  const data = new Float32Array(frames.length * 3 * plane);
  const tables = [0, 1, 2].map((channel) => valueTable(spec, channel));
  for (const [n, frame] of frames.entries()) {
    const size = outputSize(frame, spec);
    if (size.width !== width || size.height !== height) {
      throw new InputError(
        `frames of ${first.width} x ${first.height} and ${frame.width} x ${frame.height} pixels become different sizes for this model; use frames of one size`,
      );
    }
    const pixels = resizedAndCropped(frame, spec);
    for (const [channel, table] of tables.entries()) {
      let to = (n * 3 + channel) * plane;
      for (let from = channel; from < pixels.length; from += 3) {
        data[to++] = table[pixels[from] as number] as number;
      }
    }
  }
  return { data, shape: [frames.length, 3, height, width] };
}

/**
 * The part of a frame that the model sees, for drawing its grid of tokens over the frame. It reaches
 * beyond the frame where the processor adds black borders.
 */
export function cropRectangle(frame: Size, spec: ImageProcessorSpec): Rectangle {
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
  return outputSize(frame, forClip(spec, frames));
}

/** The settings with each frame's even share of what bounds all frames together. */
function forClip(spec: ImageProcessorSpec, frames: number): ImageProcessorSpec {
  const resize = spec.resize.map((step): ResizeStep => {
    if (!("multiple" in step) || step.clipPixels === undefined) return step;
    const { minPixels, maxPixels, clipPixels, least } = step;
    const share = Math.min(maxPixels, Math.floor(clipPixels / frames));
    const raised = Math.max(share, Math.trunc(minPixels * 1.05));
    return { ...step, maxPixels: least === undefined ? raised : share };
  });
  return { ...spec, resize };
}

/** Size after every resize. */
function resizedSize(frame: Size, { resize }: ImageProcessorSpec): Size {
  return resize.reduce(sizeAfter, { width: frame.width, height: frame.height });
}

function sizeAfter({ width, height }: Size, step: ResizeStep): Size {
  if ("width" in step) return { width: step.width, height: step.height };
  // Multiplied before it is divided, and cut, as the reference does.
  const other = (edge: number, long: number, short: number) => Math.trunc((edge * long) / short);
  if ("shortestEdge" in step) {
    const { shortestEdge: edge } = step;
    return width <= height
      ? { width: edge, height: other(edge, height, width) }
      : { width: other(edge, width, height), height: edge };
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

/** Longest side to shortest, from which on Qwen2-VL's processor refuses a picture. */
const NARROWEST = 200;

/**
 * Sides of whole multiples, nearly in shape, the area within bounds: Qwen2-VL's `smart_resize`; where
 * the least area wins, VideoLLaMA3's own `simple_batched_resize`.
 */
function wholeMultiples(
  { width, height }: Size,
  { multiple, minPixels, maxPixels, least }: AreaStep,
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
    if (least === "wins") return area(shrunk) < minPixels ? grown() : shrunk;
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
  const source = spec.resize.slice(0, -1).reduce((picture: RgbImage, step) => {
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
