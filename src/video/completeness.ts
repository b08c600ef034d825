import { type FileHandle, open } from "node:fs/promises";
import { InputError } from "../common/errors.ts";
import { unreadable } from "./file-errors.ts";

/** What the outermost structure of a file says is missing at its end. */
export interface Shortfall {
  /** Bytes, at least; 0 where something else stands in their place. */
  readonly bytes: number;
  /** Whether frames are among them for certain; else only the packets can tell. */
  readonly certain: boolean;
}

/**
 * Compares a file's size with what its container says: boxes of MP4 and MOV (ISO/IEC 14496-12), the
 * Segment of Matroska and WebM (RFC 9559), RIFF chunks of AVI, blocks of GIF89a. A length that is too large is a slip of
 * many writers, and whole files have it: whether frames are missing is for the packets to say (`judge`
 * in damage.ts). Other files pass.
 *
 * @returns null where nothing is missing that could hold frames
 * @throws InputError where an MP4's index is missing, or a file ends before its first frame could begin
 */
export async function shortfallOf(path: string): Promise<Shortfall | null> {
  const file = await open(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  try {
    const { size } = await file.stat();
    const head = await bytesAt(file, 0, 12);
    const fourcc = head.toString("latin1", 4, 8);
    if (MP4_FIRST_BOXES.has(fourcc)) return await boxes(path, file, size);
    if (head.length >= 4 && head.readUInt32BE(0) === EBML) return await segment(path, file, size);
    if (head.toString("latin1", 0, 4) === "RIFF" && head.toString("latin1", 8) === "AVI ") {
      return await chunks(file, size);
    }
    if (head.toString("latin1", 0, 3) === "GIF") return await blocks(file, size);
    return null;
  } finally {
    await file.close();
  }
}

const MP4_FIRST_BOXES = new Set(["ftyp", "styp", "moov", "mdat", "free", "skip", "wide", "pnot"]);
/** Boxes that hold frames, or say where they are; all others may break off without harm. */
const MP4_FRAMES = new Set(["moov", "moof", "mdat"]);
const EBML = 0x1a45dfa3;
const SEGMENT = 0x18538067;
const CLUSTER = 0x1f43b675;
/** Boxes or elements that are looked at: more would be a clip of days. */
const MAX_ELEMENTS = 1_000_000;

async function boxes(path: string, file: FileHandle, size: number): Promise<Shortfall | null> {
  let indexed = false;
  let shortfall: Shortfall | null = null;
  for (let at = 0, i = 0; at + 8 <= size && i < MAX_ELEMENTS; i++) {
    const head = await bytesAt(file, at, 16);
    const type = head.toString("latin1", 4, 8);
    let length = head.readUInt32BE(0);
    if (length === 0) length = size - at;
    if (length === 1) length = head.length < 16 ? 16 : Number(head.readBigUInt64BE(8));
    if (length < 8) break;
    at += length;
    const whole = at <= size;
    if (type === "moov") indexed ||= whole || (await tracksAreWhole(file, at - length, size));
    if (!whole && MP4_FRAMES.has(type)) {
      shortfall = { bytes: at - size, certain: type === "moof" };
    }
  }
  if (!indexed) {
    throw new InputError(
      `${path}: the index of the video ("moov") is missing, so the recording or download was cut off; copy it again`,
    );
  }
  return shortfall;
}

/** Whether an index that breaks off has all its tracks before that: only tags are missing then. */
async function tracksAreWhole(file: FileHandle, moov: number, size: number): Promise<boolean> {
  let tracks = 0;
  for (let at = moov + 8, i = 0; i < MAX_ELEMENTS; i++) {
    const head = await bytesAt(file, at, 8);
    const type = head.toString("latin1", 4, 8);
    const end = at + (head.length < 8 ? 8 : head.readUInt32BE(0));
    if (end > size || end < at + 8) return tracks > 0 && type !== "trak" && head.length === 8;
    if (type === "trak") tracks += 1;
    at = end;
  }
  return false;
}

async function segment(path: string, file: FileHandle, size: number): Promise<Shortfall | null> {
  const header = elementSize(await bytesAt(file, 0, 64), 4);
  if (header === null) return null;
  const at = header.end + header.size;
  const head = await bytesAt(file, at, 12);
  if (head.length < 12) throw cutOff(path, at + 12 - size);
  if (head.readUInt32BE(0) !== SEGMENT) return null;
  const length = elementSize(head, 4);
  // A live recording does not know its length.
  if (length === null) return null;
  const end = at + length.end + length.size;
  if (end <= size) return null;
  const certain = await endsInCluster(file, at + length.end, size);
  return { bytes: end - size, certain };
}

/** Whether a Segment's file ends within a Cluster, which holds frames. */
async function endsInCluster(file: FileHandle, from: number, size: number): Promise<boolean> {
  let at = from;
  for (let i = 0; i < MAX_ELEMENTS && at < size; i++) {
    const head = await bytesAt(file, at, 12);
    const idWidth = Math.clz32(head[0] ?? 0) - 23;
    if (idWidth > 4 || head.length < idWidth + 1) return false;
    const id = head.readUIntBE(0, idWidth);
    const length = elementSize(head, idWidth);
    if (length === null) return false;
    at += length.end + length.size;
    if (at > size) return id === CLUSTER;
  }
  return false;
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

async function chunks(file: FileHandle, size: number): Promise<Shortfall | null> {
  // Large files are several RIFF chunks, one after the other (OpenDML).
  for (let at = 0; at + 8 <= size; ) {
    const head = await bytesAt(file, at, 8);
    if (head.toString("latin1", 0, 4) !== "RIFF") return null;
    const length = head.readUInt32LE(4);
    // A recorder that crashed leaves 0: it never came back to fill in the length.
    if (length === 0) return null;
    const end = at + 8 + length;
    if (end > size) return { bytes: end - size, certain: false };
    at = end + (length % 2);
  }
  return null;
}

const GIF_EXTENSION = 0x21;
const GIF_IMAGE = 0x2c;
const GIF_TRAILER = 0x3b;
/** Of blocks and their parts; a part has at most 255 bytes. */
const MAX_GIF_READS = 20_000_000;

async function blocks(file: FileHandle, size: number): Promise<Shortfall | null> {
  const reader = new Reader(file);
  const colours = (flags: number) => ((flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1));
  let at = 13 + colours(await reader.byte(10));
  for (let i = 0; i < MAX_GIF_READS && at < size; ) {
    const kind = await reader.byte(at);
    if (kind === GIF_EXTENSION) at += 2;
    else if (kind === GIF_IMAGE) at += 11 + colours(await reader.byte(at + 9));
    // A trailer, or the bytes of something else in its place.
    else return kind === GIF_TRAILER ? null : { bytes: 0, certain: false };
    for (let part = 1; part > 0 && at < size && i < MAX_GIF_READS; i++) {
      part = await reader.byte(at);
      at += 1 + part;
    }
    if (at > size) return { bytes: at - size, certain: true };
  }
  return null;
}

/** Single bytes of a file, read in large pieces. */
class Reader {
  readonly #file: FileHandle;
  #piece: Buffer = Buffer.alloc(0);
  #from = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** The byte at a position; 0 beyond the file's end. */
  async byte(position: number): Promise<number> {
    if (position < this.#from || position >= this.#from + this.#piece.length) {
      this.#piece = await bytesAt(this.#file, position, 1 << 16);
      this.#from = position;
    }
    return this.#piece[position - this.#from] ?? 0;
  }
}

/** The error for a file that lacks so many bytes at its end. */
export function cutOff(path: string, bytes: number): InputError {
  return new InputError(
    `${path}: the file is cut off: at least ${bytes} bytes are missing at its end; copy or download it again`,
  );
}

async function bytesAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}
