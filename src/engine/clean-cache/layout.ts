// As a namespace: a Node before 20.15 has no such function, and would refuse its name.
import * as zlib from "node:zlib";

/** Extents of a clean run: what is kept of it is float32. */
export interface CleanLayout {
  /** S, rows. */
  readonly length: number;
  /** d, of the residual stream. */
  readonly width: number;
  /** kv_heads · head_dim, of keys and values. */
  readonly kvWidth: number;
  /** L, decoder layers. */
  readonly layers: number;
}

/** A file of a clean run begins with so many bytes that say what it holds. */
export const HEADER_BYTES = 4096;
const FORMAT = "flowprobe-clean-run";
const VERSION = 1;
const FLOAT = 4;

/** Blocks of a layer: its residual rows before it, keys, values. */
export const BLOCKS_PER_LAYER = 3;

/** Where the blocks of a file stand: for each layer residual rows, keys, values; the last rows. */
export function blockOffsets({ length, width, kvWidth, layers }: CleanLayout): number[] {
  const offsets = [HEADER_BYTES];
  const sizes = [width, kvWidth, kvWidth].map((columns) => FLOAT * length * columns);
  for (let i = 0; i <= BLOCKS_PER_LAYER * layers; i++) {
    offsets.push((offsets[i] ?? 0) + (sizes[i % BLOCKS_PER_LAYER] ?? 0));
  }
  return offsets;
}

/** Bytes of a whole file: header, blocks, and a checksum of each and of the header. */
export function fileBytes(layout: CleanLayout): number {
  const offsets = blockOffsets(layout);
  return (offsets.at(-1) ?? 0) + FLOAT * offsets.length;
}

/** What a file says of itself; two runs that differ in anything have other headers. */
export function headerOf(key: string, layout: CleanLayout): Buffer {
  const header = Buffer.alloc(HEADER_BYTES, " ");
  header.write(`${JSON.stringify({ format: FORMAT, version: VERSION, key, layout })}\n`);
  return header;
}

/** CRC-32 of a block's bytes. */
export function checksum(bytes: Uint8Array): number {
  return zlib.crc32(bytes);
}

/** Whether this Node can make checksums quickly (20.15 and later): without, nothing is kept. */
export const CAN_KEEP = typeof zlib.crc32 === "function";

/** The bytes of an array. */
export function bytesOf({
  buffer,
  byteOffset,
  byteLength,
}: Float32Array | Uint32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
