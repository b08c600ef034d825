import assert from "node:assert/strict";
import type { RgbImage } from "../../src/video/types.ts";

/** What an independent decoder gives (`told` of test/unit/data/make_clips.py). */
export interface Measured {
  /** Means of the quarters (upper left, upper right, lower left, lower right), each R, G, B. */
  readonly quarters: readonly number[];
  readonly pixels?: readonly Pixel[] | undefined;
}

/** x, y, R, G, B */
export type Pixel = readonly [number, number, number, number, number];

function quartersOf({ width, height, data }: RgbImage): number[] {
  const sums = new Array<number>(12).fill(0);
  const counts = new Array<number>(4).fill(0);
  const [halfWidth, halfHeight] = [width >> 1, height >> 1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const quarter = (y < halfHeight ? 0 : 2) + (x < halfWidth ? 0 : 1);
      counts[quarter] = (counts[quarter] ?? 0) + 1;
      for (let c = 0; c < 3; c++) {
        const at = quarter * 3 + c;
        sums[at] = (sums[at] ?? 0) + (data[(y * width + x) * 3 + c] ?? 0);
      }
    }
  }
  return sums.map((sum, i) => sum / (counts[Math.floor(i / 3)] ?? 0));
}

/** Sees to it that a picture is the measured one: means within 0.6, pixels within `tolerance` levels. */
export function assertPicture(
  image: RgbImage,
  expected: Measured,
  tolerance: number,
  what: string,
): void {
  for (const [i, mean] of quartersOf(image).entries()) {
    const wanted = expected.quarters[i] ?? Number.NaN;
    assert.ok(Math.abs(mean - wanted) <= 0.6, `${what}: mean ${i} is ${mean}, not ${wanted}`);
  }
  for (const [x, y, ...rgb] of expected.pixels ?? []) {
    const at = (y * image.width + x) * 3;
    const found = [...image.data.subarray(at, at + 3)];
    const worst = Math.max(...rgb.map((value, c) => Math.abs(value - (found[c] ?? 0))));
    assert.ok(worst <= tolerance, `${what}: pixel ${x},${y} is ${found}, not ${rgb}`);
  }
}
