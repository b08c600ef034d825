import type { RgbImage } from "./types.ts";

/** Pillow's resampling filters, by its names. */
export type Resample = "nearest" | "lanczos" | "bilinear" | "bicubic" | "box" | "hamming";

/** A rectangle of whole pixels. */
export interface PixelRectangle {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Resizes as Pillow's `Image.resize` does for 8-bit RGB, byte for byte: each output pixel is a
 * weighted sum over the filter's support, stretched when shrinking; first along rows, then along
 * columns, in 22-bit fixed point, rounded and clipped to 8 bits after each direction. "nearest" picks
 * the pixel under each output pixel's centre.
 *
 * @param window the part of the resized picture that is wanted; the rest is not computed
 * @returns `window.height * window.width * 3` bytes
 */
export function pillowResize(
  image: RgbImage,
  width: number,
  height: number,
  resample: Resample,
  window: PixelRectangle = { left: 0, top: 0, width, height },
): Uint8Array {
  if (image.width === width && image.height === height) return cut(image, window);
  if (resample === "nearest") return nearest(image, width, height, window);
  const filter = FILTERS[resample];
  const across = weights(image.width, width, window.left, window.width, filter);
  const down = weights(image.height, height, window.top, window.height, filter);
  // Pillow leaves a direction alone that does not change; one weight of 1 does the same.
  const firstRow = down.first[0] ?? 0;
  const lastRow = (down.first[window.height - 1] ?? 0) + (down.count[window.height - 1] ?? 0);
  const rows = resizeRows(image, firstRow, lastRow, across);
  return resizeColumns(rows, firstRow, window.width, down);
}

interface Filter {
  /** Half the filter's width, in input pixels when not shrinking. */
  readonly support: number;
  readonly at: (x: number) => number;
}

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

const FILTERS: Record<Exclude<Resample, "nearest">, Filter> = {
  box: { support: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: {
    support: 1,
    at: (x) => (Math.abs(x) >= 1 ? 0 : sinc(x) * (0.54 + 0.46 * Math.cos(x * Math.PI))),
  },
  bicubic: { support: 2, at: (x) => cubic(Math.abs(x)) },
  lanczos: { support: 3, at: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** The cubic convolution kernel (Keys 1981) with a = -0.5. */
function cubic(x: number): number {
  const a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/** 32 bits less 8 for the pixel and 2 for sums above 1. */
const PRECISION = 22;

/** For each output pixel: the first input pixel, how many, and their fixed-point weights. */
interface Weights {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** Weights of output pixel i begin at `i * stride`. */
  readonly values: Int32Array;
  readonly stride: number;
}

function weights(
  inSize: number,
  outSize: number,
  from: number,
  length: number,
  { support, at }: Filter,
): Weights {
  const scale = inSize / outSize;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  const stride = Math.ceil(reach) * 2 + 1;
  const first = new Int32Array(length);
  const count = new Int32Array(length);
  const values = new Int32Array(length * stride);
  const raw = new Float64Array(stride);
  for (let i = 0; i < length; i++) {
    if (inSize === outSize) {
      first[i] = from + i;
      count[i] = 1;
      values[i * stride] = 1 << PRECISION;
      continue;
    }
    const centre = (from + i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - reach + 0.5));
    const stop = Math.min(inSize, Math.trunc(centre + reach + 0.5));
    let sum = 0;
    for (let x = start; x < stop; x++) {
      const weight = at((x - centre + 0.5) * (1 / stretch));
      raw[x - start] = weight;
      sum += weight;
    }
    first[i] = start;
    count[i] = stop - start;
    for (let x = 0; x < stop - start; x++) {
      const weight = ((raw[x] ?? 0) / (sum === 0 ? 1 : sum)) * (1 << PRECISION);
      values[i * stride + x] = Math.trunc(weight + (weight < 0 ? -0.5 : 0.5));
    }
  }
  return { first, count, values, stride };
}

/** 8 bits from a fixed-point sum; typed arrays would wrap where Pillow clips. */
function clip(sum: number): number {
  const value = sum >> PRECISION;
  return (value & ~255) === 0 ? value : value < 0 ? 0 : 255;
}

const HALF = 1 << (PRECISION - 1);

function resizeRows(image: RgbImage, from: number, to: number, across: Weights): Uint8Array {
  const { first, count, values, stride } = across;
  const { data } = image;
  const out = new Uint8Array((to - from) * first.length * 3);
  let at = 0;
  for (let y = from; y < to; y++) {
    const row = y * image.width;
    for (let x = 0; x < first.length; x++) {
      let r = HALF;
      let g = HALF;
      let b = HALF;
      let pixel = (row + (first[x] as number)) * 3;
      const begin = x * stride;
      const end = begin + (count[x] as number);
      for (let k = begin; k < end; k++, pixel += 3) {
        const weight = values[k] as number;
        r = (r + Math.imul(data[pixel] as number, weight)) | 0;
        g = (g + Math.imul(data[pixel + 1] as number, weight)) | 0;
        b = (b + Math.imul(data[pixel + 2] as number, weight)) | 0;
      }
      out[at++] = clip(r);
      out[at++] = clip(g);
      out[at++] = clip(b);
    }
  }
  return out;
}

/** @param rows the picture after `resizeRows`, of which row 0 is the input's row `firstRow` */
function resizeColumns(
  rows: Uint8Array,
  firstRow: number,
  width: number,
  { first, count, values, stride }: Weights,
): Uint8Array {
  const bytes = width * 3;
  const out = new Uint8Array(first.length * bytes);
  const sums = new Int32Array(bytes);
  for (let y = 0; y < first.length; y++) {
    sums.fill(HALF);
    for (let k = 0; k < (count[y] as number); k++) {
      const weight = values[y * stride + k] as number;
      const row = ((first[y] as number) - firstRow + k) * bytes;
      for (let x = 0; x < bytes; x++) {
        sums[x] = (sums[x] as number) + Math.imul(rows[row + x] as number, weight);
      }
    }
    for (let x = 0; x < bytes; x++) out[y * bytes + x] = clip(sums[x] as number);
  }
  return out;
}

function nearest(
  image: RgbImage,
  width: number,
  height: number,
  window: PixelRectangle,
): Uint8Array {
  const columns = centres(image.width, width).subarray(window.left, window.left + window.width);
  const rows = centres(image.height, height).subarray(window.top, window.top + window.height);
  const out = new Uint8Array(window.width * window.height * 3);
  let at = 0;
  for (const row of rows) {
    for (const column of columns) {
      const from = (row * image.width + column) * 3;
      out[at++] = image.data[from] as number;
      out[at++] = image.data[from + 1] as number;
      out[at++] = image.data[from + 2] as number;
    }
  }
  return out;
}

/** The input pixel under each output pixel's centre, stepping as Pillow does (sums, not products). */
function centres(inSize: number, outSize: number): Int32Array {
  const scale = inSize / outSize;
  const out = new Int32Array(outSize);
  let at = scale * 0.5;
  for (let i = 0; i < outSize; i++, at += scale) out[i] = Math.trunc(at);
  return out;
}

function cut(image: RgbImage, { left, top, width, height }: PixelRectangle): Uint8Array {
  const out = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * 3;
    out.set(image.data.subarray(from, from + width * 3), y * width * 3);
  }
  return out;
}
