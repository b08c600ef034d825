import { deflateSync } from "node:zlib";
import { pillowResize } from "./pillow-resize.ts";
import type { RgbImage } from "./types.ts";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Eight bits a channel, RGB, and the only methods there are. */
const FORMAT = [8, 2, 0, 0, 0];
/** PNG filter that keeps each byte's difference to the pixel on its left. */
const SUB = 1;
const CHANNELS = 3;

/**
 * A frame as a small PNG for the panel: see `smaller`. Format: PNG, third edition (W3C), no interlacing.
 */
export function encodePicture(frame: RgbImage, maxSide: number): Uint8Array {
  const { width, height, data } = smaller(frame, maxSide);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set(FORMAT, 8);
  const row = width * CHANNELS;
  const lines = Buffer.alloc(height * (row + 1));
  for (let y = 0; y < height; y++) {
    const to = y * (row + 1);
    lines[to] = SUB;
    for (let x = 0; x < row; x++) {
      const left = x < CHANNELS ? 0 : (data[y * row + x - CHANNELS] ?? 0);
      lines[to + 1 + x] = (data[y * row + x] ?? 0) - left;
    }
  }
  return Buffer.concat([
    Buffer.from(SIGNATURE),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(lines)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** The whole frame, its longer side scaled down to `maxSide` pixels (never up). */
export function smaller(frame: RgbImage, maxSide: number): RgbImage {
  const scale = maxSide / Math.max(frame.width, frame.height);
  if (scale >= 1) return { width: frame.width, height: frame.height, data: frame.data };
  const width = Math.max(1, Math.round(frame.width * scale));
  const height = Math.max(1, Math.round(frame.height * scale));
  return { width, height, data: pillowResize(frame, width, height, "box") };
}

function chunk(type: string, body: Uint8Array): Buffer {
  const typed = Buffer.concat([Buffer.from(type, "latin1"), body]);
  const framed = Buffer.alloc(typed.length + 8);
  framed.writeUInt32BE(body.length, 0);
  framed.set(typed, 4);
  framed.writeUInt32BE(crc(typed), typed.length + 4);
  return framed;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = (c & 1) === 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

/** CRC-32 as PNG's Annex D defines it; Node's own came only with version 22.2. */
function crc(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) c = (CRC_TABLE[(c ^ byte) & 0xff] ?? 0) ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}
