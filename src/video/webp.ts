/**
 * Animated WebP, which the decoder cannot read: its first picture, as Pillow gives it. Format: WebP
 * Container Specification (RFC 9649, 2.7).
 */
import type { RgbImage, Size } from "./types.ts";

/** The first picture of an animation, as a file of its own, and where it stands. */
export interface FirstPicture {
  /** Pixels of the whole picture. */
  readonly canvas: Size;
  readonly left: number;
  readonly top: number;
  /** A WebP file of this picture alone. */
  readonly bytes: Buffer;
}

/** Chunks before the first picture that are looked at. */
const MAX_CHUNKS = 1000;
const ANIMATION = 0x02;
const HAS_ALPHA = 0x10;
/** Before a picture's own chunks: its place, size, duration and flags. */
const PLACE_BYTES = 16;

/**
 * Finds the first picture of an animated WebP.
 *
 * @param head at least the file's first 30 bytes, where it has so many
 * @param read bytes from a position on, as many as there are
 * @returns null where the file is no animation, or has no whole first picture
 */
export async function firstPicture(
  head: Buffer,
  read: (position: number, length: number) => Promise<Buffer>,
): Promise<FirstPicture | null> {
  if (head.length < 30 || head.toString("latin1", 12, 16) !== "VP8X") return null;
  if (((head[20] ?? 0) & ANIMATION) === 0) return null;
  const canvas = { width: head.readUIntLE(24, 3) + 1, height: head.readUIntLE(27, 3) + 1 };
  let at = 12;
  for (let i = 0; i < MAX_CHUNKS; i++) {
    const chunk = await read(at, 8);
    if (chunk.length < 8) return null;
    const size = chunk.readUInt32LE(4);
    if (chunk.toString("latin1", 0, 4) === "ANMF") {
      const place = await read(at + 8, PLACE_BYTES);
      if (place.length < PLACE_BYTES || size <= PLACE_BYTES) return null;
      const [left, top] = [place.readUIntLE(0, 3) * 2, place.readUIntLE(3, 3) * 2];
      const [across, down] = [place.readUIntLE(6, 3), place.readUIntLE(9, 3)];
      if (left + across + 1 > canvas.width || top + down + 1 > canvas.height) return null;
      const picture = await read(at + 8 + PLACE_BYTES, size - PLACE_BYTES);
      if (picture.length < size - PLACE_BYTES) return null;
      return { canvas, left, top, bytes: alone(picture, across, down) };
    }
    at += 8 + size + (size % 2);
  }
  return null;
}

/** A file of one picture's chunks: with an alpha channel beside a lossy picture in the extended form. */
function alone(chunks: Buffer, across: number, down: number): Buffer {
  const extended = Buffer.alloc(18);
  extended.write("VP8X", "latin1");
  extended.writeUInt32LE(10, 4);
  extended[8] = HAS_ALPHA;
  extended.writeUIntLE(across, 12, 3);
  extended.writeUIntLE(down, 15, 3);
  const body = chunks.toString("latin1", 0, 4) === "ALPH" ? [extended, chunks] : [chunks];
  const header = Buffer.alloc(12);
  header.write("RIFF", "latin1");
  header.writeUInt32LE(4 + Buffer.concat(body).length, 4);
  header.write("WEBP", 8, "latin1");
  return Buffer.concat([header, ...body]);
}

/** The picture where it stands, with black around it: the background is transparent. */
export function placed(picture: RgbImage, { canvas, left, top }: FirstPicture): RgbImage {
  const { width, height } = canvas;
  if (picture.width === width && picture.height === height) return picture;
  const data = new Uint8Array(width * height * 3);
  const rows = Math.min(picture.height, height - top);
  const row = Math.min(picture.width, width - left) * 3;
  for (let y = 0; y < rows; y++) {
    const from = y * picture.width * 3;
    data.set(picture.data.subarray(from, from + row), ((y + top) * width + left) * 3);
  }
  return { width, height, data };
}
