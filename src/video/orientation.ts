import type { RgbImage } from "./types.ts";

/**
 * How a stored picture must be turned to stand upright: first mirrored over its main diagonal
 * (rows become columns) if `transpose`, then flipped in the result's x and y.
 */
export interface Orientation {
  readonly transpose: boolean;
  readonly flipX: boolean;
  readonly flipY: boolean;
}

export const UPRIGHT: Orientation = { transpose: false, flipX: false, flipY: false };

/** 1.0 in the matrix's 16.16 fixed-point numbers. */
const ONE = 0x10000;

/**
 * Reads a display matrix (ISO/IEC 14496-12, 8.3.2: nine 32-bit numbers, of which a, b, c, d turn the
 * picture by x' = a x + c y, y' = b x + d y). Quarter turns and mirrors are understood; any other
 * matrix (a slanted picture) leaves the picture as it is stored.
 *
 * @param matrix 36 bytes in the machine's byte order, or null where the file has none
 */
export function orientationOf(matrix: Buffer | null): Orientation {
  if (matrix === null || matrix.length < 36) return UPRIGHT;
  const unit = (i: number) => {
    const value = (matrix.readInt32LE(i * 4) || 0) / ONE;
    return Math.abs(value) < 0.01 ? 0 : Math.abs(Math.abs(value) - 1) < 0.01 ? Math.sign(value) : 2;
  };
  const [a, b, c, d] = [unit(0), unit(1), unit(3), unit(4)];
  if (Math.abs(a) === 1 && Math.abs(d) === 1 && b === 0 && c === 0) {
    return { transpose: false, flipX: a < 0, flipY: d < 0 };
  }
  if (Math.abs(b) === 1 && Math.abs(c) === 1 && a === 0 && d === 0) {
    return { transpose: true, flipX: c < 0, flipY: b < 0 };
  }
  return UPRIGHT;
}

/** Turns a picture upright; gives the same object back when there is nothing to turn. */
export function upright(image: RgbImage, { transpose, flipX, flipY }: Orientation): RgbImage {
  if (!transpose && !flipX && !flipY) return image;
  const width = transpose ? image.height : image.width;
  const height = transpose ? image.width : image.height;
  const data = new Uint8Array(width * height * 3);
  // Bytes from one pixel of the source to the one that lands right of it, or below it.
  const alongX = (transpose ? image.width * 3 : 3) * (flipX ? -1 : 1);
  const alongY = (transpose ? 3 : image.width * 3) * (flipY ? -1 : 1);
  const origin = (flipX ? -alongX * (width - 1) : 0) + (flipY ? -alongY * (height - 1) : 0);
  let to = 0;
  for (let y = 0; y < height; y++) {
    let from = origin + y * alongY;
    for (let x = 0; x < width; x++, from += alongX, to += 3) {
      data[to] = image.data[from] ?? 0;
      data[to + 1] = image.data[from + 1] ?? 0;
      data[to + 2] = image.data[from + 2] ?? 0;
    }
  }
  return { width, height, data };
}
