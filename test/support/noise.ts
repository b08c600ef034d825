import type { RgbImage } from "../../src/video/types.ts";

/** The noise of data/make_resize.py and data/make_pllava.py. */
export function noise(width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++) {
    const c = i % 3;
    const x = Math.floor(i / 3) % width;
    const y = Math.floor(i / 3 / width);
    const mixed = Math.imul(x, 73856093) ^ Math.imul(y, 19349663) ^ Math.imul(c, 83492791);
    data[i] = Math.imul(mixed, 2654435761) >>> 24;
  }
  return { width, height, data };
}
