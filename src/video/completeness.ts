import { type FileHandle, open } from "node:fs/promises";
import { InputError } from "../common/errors.ts";
import { unreadable } from "./file-errors.ts";

/**
 * Refuses a file that is shorter than its container says: a download or recording that was cut off.
 * FFmpeg would decode what is there, and the chosen frames would silently be others.
 *
 * Looks at the outermost structure alone: boxes of MP4 and MOV (ISO/IEC 14496-12), the Segment of
 * Matroska and WebM (RFC 9559), RIFF chunks of AVI. Other files pass; opening them decides.
 *
 * @throws InputError naming how many bytes are missing, or a missing MP4 index
 */
export async function checkComplete(path: string): Promise<void> {
  const file = await open(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  try {
    const { size } = await file.stat();
    const head = await bytesAt(file, 0, 12);
    const fourcc = head.toString("latin1", 4, 8);
    if (MP4_FIRST_BOXES.has(fourcc)) await checkBoxes(path, file, size);
    else if (head.length >= 4 && head.readUInt32BE(0) === EBML) {
      await checkSegment(path, file, size);
    } else if (head.toString("latin1", 0, 4) === "RIFF" && head.toString("latin1", 8) === "AVI ") {
      await checkChunks(path, file, size);
    }
  } finally {
    await file.close();
  }
}

const MP4_FIRST_BOXES = new Set(["ftyp", "styp", "moov", "mdat", "free", "skip", "wide", "pnot"]);
const EBML = 0x1a45dfa3;
const SEGMENT = 0x18538067;

async function checkBoxes(path: string, file: FileHandle, size: number): Promise<void> {
  let indexed = false;
  for (let at = 0; at < size; ) {
    const head = await bytesAt(file, at, 16);
    if (head.length < 8) return refuse(path, at + 8 - size);
    const type = head.toString("latin1", 4, 8);
    // Bytes that are no box after the last one: players ignore them, and so do we.
    if (!/^[\x20-\x7e]{4}$/.test(type)) break;
    indexed ||= type === "moov";
    let length = head.readUInt32BE(0);
    if (length === 0) length = size - at;
    if (length === 1) length = head.length < 16 ? 16 : Number(head.readBigUInt64BE(8));
    if (length < 8) break;
    at += length;
    if (at > size) return refuse(path, at - size);
  }
  if (!indexed) {
    throw new InputError(
      `${path}: the index of the video ("moov") is missing, so the recording or download was cut off; copy it again`,
    );
  }
}

async function checkSegment(path: string, file: FileHandle, size: number): Promise<void> {
  const head = await bytesAt(file, 0, 64);
  const header = elementSize(head, 4);
  if (header === null) return;
  const at = header.end + header.size;
  const segment = await bytesAt(file, at, 12);
  if (segment.length < 12) return refuse(path, at + 12 - size);
  if (segment.readUInt32BE(0) !== SEGMENT) return;
  const length = elementSize(segment, 4);
  // A live recording does not know its length.
  if (length === null) return;
  const end = at + length.end + length.size;
  if (end > size) refuse(path, end - size);
}

/** An EBML variable-size number at `at` (RFC 8794, 4), or null where it means "unknown". */
function elementSize(bytes: Buffer, at: number): { size: number; end: number } | null {
  const first = bytes[at] ?? 0;
  const width = Math.clz32(first) - 23;
  if (width > 8 || at + width > bytes.length) return null;
  let size = BigInt(first & (0xff >> width));
  let unknown = size === BigInt(0xff >> width);
  for (let i = 1; i < width; i++) {
    const byte = bytes[at + i] ?? 0;
    unknown &&= byte === 0xff;
    size = (size << 8n) | BigInt(byte);
  }
  return unknown ? null : { size: Number(size), end: at + width };
}

async function checkChunks(path: string, file: FileHandle, size: number): Promise<void> {
  // Large files are several RIFF chunks, one after the other (OpenDML).
  for (let at = 0; at + 8 <= size; ) {
    const head = await bytesAt(file, at, 8);
    if (head.toString("latin1", 0, 4) !== "RIFF") return;
    const length = head.readUInt32LE(4);
    // A recorder that crashed leaves 0: it never came back to fill in the length.
    if (length === 0) return;
    const end = at + 8 + length;
    if (end > size) return refuse(path, end - size);
    at = end + (length % 2);
  }
}

function refuse(path: string, missing: number): never {
  throw new InputError(
    `${path}: the file is cut off: at least ${missing} bytes are missing at its end; copy or download it again`,
  );
}

async function bytesAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}
