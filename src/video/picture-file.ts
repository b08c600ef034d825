import { type FileHandle, open } from "node:fs/promises";
import { InputError } from "../common/errors.ts";
import { checkPictureSize, MediaInput } from "./ffmpeg.ts";
import { unreadable } from "./file-errors.ts";
import { orientationOf, upright } from "./orientation.ts";
import type { RgbImage, Size } from "./types.ts";
import { firstPicture, placed } from "./webp.ts";

/** Bytes of a picture file at most: an uncompressed picture of the largest size, and some more. */
const MAX_BYTES = 1 << 29;

/**
 * Decodes one image (PNG, JPEG, WebP or BMP; of an animated WebP its first picture), upright (EXIF),
 * transparency dropped.
 *
 * @throws InputError when it is no such image, is damaged or too large
 */
export async function readPicture(path: string): Promise<RgbImage> {
  const file = await open(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  try {
    const { size } = await file.stat();
    if (size > MAX_BYTES) {
      throw new InputError(`${path}: the image file is too large: ${size} bytes`);
    }
    const head = await bytesAt(file, 0, HEAD_BYTES);
    const demuxer = demuxerOf(path, head);
    if (demuxer === "webp_pipe") {
      const first = await firstPicture(head, (at, length) => bytesAt(file, at, length));
      if (first !== null) {
        checkPictureSize(path, first.canvas);
        const input = await MediaInput.openBytes(path, first.bytes, { only: demuxer });
        return placed(await decode(path, input), first);
      }
    }
    const stated = await sizeOf(demuxer, head, file);
    if (stated !== null) checkPictureSize(path, stated);
    return await decode(path, await MediaInput.open(path, { only: demuxer }));
  } finally {
    await file.close();
  }
}

/** Holds the size in all formats but JPEG. */
const HEAD_BYTES = 32;

type Demuxer = "png_pipe" | "jpeg_pipe" | "webp_pipe" | "bmp_pipe";

/** FFmpeg's demuxer for one image, by how the file begins; its name may lie. */
function demuxerOf(path: string, head: Buffer): Demuxer {
  const text = head.toString("latin1");
  if (text.startsWith("\x89PNG")) return "png_pipe";
  if (text.startsWith("\xff\xd8\xff")) return "jpeg_pipe";
  if (text.startsWith("RIFF") && text.slice(8, 12) === "WEBP") return "webp_pipe";
  if (text.startsWith("BM")) return "bmp_pipe";
  throw new InputError(`${path}: not a PNG, JPEG, WebP or BMP image`);
}

/**
 * The size that the file's first bytes tell; null where they are too few. Looked at before decoding,
 * whose memory is spent by then.
 */
async function sizeOf(demuxer: Demuxer, head: Buffer, file: FileHandle): Promise<Size | null> {
  if (demuxer === "jpeg_pipe") return jpegSize(file);
  if (head.length < HEAD_BYTES) return null;
  switch (demuxer) {
    case "png_pipe":
      return { width: head.readUInt32BE(16), height: head.readUInt32BE(20) };
    case "bmp_pipe":
      return { width: head.readUInt32LE(18), height: Math.abs(head.readInt32LE(22)) };
    case "webp_pipe":
      return webpSize(head);
  }
}

/** By the first chunk of a WebP: the extended form's canvas, or a lossy or lossless picture's header. */
function webpSize(head: Buffer): Size | null {
  switch (head.toString("latin1", 12, 16)) {
    case "VP8X":
      return { width: head.readUIntLE(24, 3) + 1, height: head.readUIntLE(27, 3) + 1 };
    case "VP8 ":
      return { width: head.readUInt16LE(26) & 0x3fff, height: head.readUInt16LE(28) & 0x3fff };
    case "VP8L": {
      const sides = head.readUInt32LE(21);
      return { width: (sides & 0x3fff) + 1, height: ((sides >>> 14) & 0x3fff) + 1 };
    }
    default:
      return null;
  }
}

/** Segments before a JPEG's size that are looked at: colour profiles come in up to 255 of them. */
const MAX_SEGMENTS = 1000;

/** By its first frame header (ITU-T T.81, B.2.2). */
async function jpegSize(file: FileHandle): Promise<Size | null> {
  let at = 2;
  for (let i = 0; i < MAX_SEGMENTS; i++) {
    const segment = await bytesAt(file, at, 9);
    if (segment.length < 9 || segment[0] !== 0xff) return null;
    const marker = segment[1] ?? 0;
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return { width: segment.readUInt16BE(7), height: segment.readUInt16BE(5) };
    at += marker === 0xff ? 1 : 2 + segment.readUInt16BE(2);
  }
  return null;
}

async function decode(path: string, input: MediaInput | null): Promise<RgbImage> {
  const damaged = new InputError(`${path}: the image is damaged or cut off`);
  if (input === null) throw damaged;
  try {
    if (input.stream() === null || input.nextPacket() === null) throw damaged;
    input.openDecoder("still");
    for (const what of ["packet", "end"] as const) {
      for (const frame of input.decode(what)) {
        return upright(frame.rgb(), orientationOf(frame.displayMatrix()));
      }
    }
    throw damaged;
  } finally {
    input.close();
  }
}

async function bytesAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}
