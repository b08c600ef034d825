import { open } from "node:fs/promises";
import { ModelError } from "../../common/errors.ts";

/** Element types of the safetensors format that a weight may have here. */
export type TensorDtype = "F32" | "F16" | "BF16";

const BYTES_PER_ELEMENT: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
};

/** The reference implementation's own limit; a longer header is not a real checkpoint's. */
const MAX_HEADER_BYTES = 100_000_000;

/** One tensor of a shard: where its bytes lie in the file. */
export interface TensorEntry {
  readonly name: string;
  /** As written in the file; only `TensorDtype` values can be computed with. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** First byte in the file (not relative to the data section). */
  readonly offset: number;
  /** Length in bytes. */
  readonly length: number;
}

/** Whether the engine can compute with weights of this element type. */
export function isWeightDtype(dtype: string): dtype is TensorDtype {
  return dtype === "F32" || dtype === "F16" || dtype === "BF16";
}

/** Bytes before the header of a safetensors file: its length, little-endian. */
export const SAFETENSORS_PREFIX_BYTES = 8;

/**
 * Reads the header of a safetensors file and checks every claim it makes: lengths against the
 * file's size, byte ranges against shapes, and that no two tensors share bytes.
 * Format: 8-byte little-endian header length, JSON header, data.
 *
 * @throws ModelError naming the file, the tensor and the figures that do not fit.
 */
export async function readSafetensorsHeader(file: string): Promise<Map<string, TensorEntry>> {
  const handle = await open(file, "r");
  try {
    const { size } = await handle.stat();
    const prefix = Buffer.alloc(SAFETENSORS_PREFIX_BYTES);
    await handle.read(prefix, 0, prefix.length, 0);
    const header = Buffer.alloc(safetensorsHeaderBytes(file, prefix, size));
    await handle.read(header, 0, header.length, prefix.length);
    return parseSafetensorsHeader(file, header, size);
  } finally {
    await handle.close();
  }
}

/**
 * Length of a safetensors header, in bytes, as the file's first bytes claim it.
 *
 * @param prefix the first `SAFETENSORS_PREFIX_BYTES` bytes of the file.
 * @throws ModelError when a file of `fileSize` bytes cannot hold such a header.
 */
export function safetensorsHeaderBytes(file: string, prefix: Buffer, fileSize: number): number {
  if (fileSize < SAFETENSORS_PREFIX_BYTES || prefix.length < SAFETENSORS_PREFIX_BYTES) {
    throw new ModelError(
      `${file}: ${fileSize} bytes is too short for a safetensors file; copy or download it again`,
    );
  }
  const claimed = prefix.readBigUInt64LE();
  if (claimed > BigInt(Math.min(fileSize - SAFETENSORS_PREFIX_BYTES, MAX_HEADER_BYTES))) {
    throw new ModelError(
      `${file}: the header claims ${claimed} bytes, but the file has ${fileSize}; ` +
        "it is truncated or not a safetensors file",
    );
  }
  return Number(claimed);
}

/**
 * Checks a safetensors header (the JSON text alone) of a file of `fileSize` bytes.
 *
 * @throws ModelError naming the file, the tensor and the figures that do not fit.
 */
export function parseSafetensorsHeader(
  file: string,
  text: Buffer,
  fileSize: number,
): Map<string, TensorEntry> {
  let header: unknown;
  try {
    header = JSON.parse(text.toString("utf8"));
  } catch {
    throw new ModelError(`${file}: the header is not JSON; the file is damaged`);
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) {
    throw new ModelError(`${file}: the header is not a JSON object; the file is damaged`);
  }
  const dataStart = SAFETENSORS_PREFIX_BYTES + text.length;
  const entries = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    entries.set(name, parseEntry(file, name, value, dataStart, fileSize));
  }
  refuseOverlaps(file, entries);
  return entries;
}

/** A tensor to be written: its bytes follow the header, in the order of the list. */
export type TensorLayout = Pick<TensorEntry, "name" | "dtype" | "shape">;

/**
 * What stands before the data of a safetensors file of these tensors: the header's length, and the
 * header, padded with spaces so that the data begins at a multiple of 8 bytes.
 *
 * @throws Error when a dtype is unknown.
 */
export function encodeSafetensorsHeader(tensors: readonly TensorLayout[]): Buffer {
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const { name, dtype, shape } of tensors) {
    const elementBytes = BYTES_PER_ELEMENT[dtype];
    if (elementBytes === undefined) throw new Error(`unknown dtype ${dtype}`);
    const begin = end;
    end += shape.reduce((product, extent) => product * extent, elementBytes);
    header[name] = { dtype, shape, data_offsets: [begin, end] };
  }
  const text = JSON.stringify(header);
  const padded = text.padEnd(8 * Math.ceil(text.length / 8), " ");
  const bytes = Buffer.alloc(SAFETENSORS_PREFIX_BYTES + padded.length);
  bytes.writeBigUInt64LE(BigInt(padded.length));
  bytes.write(padded, SAFETENSORS_PREFIX_BYTES, "latin1");
  return bytes;
}

function parseEntry(
  file: string,
  name: string,
  value: unknown,
  dataStart: number,
  fileSize: number,
): TensorEntry {
  const { dtype, shape, data_offsets: range } = (value ?? {}) as Record<string, unknown>;
  if (typeof dtype !== "string" || !isCountList(shape) || !isCountList(range)) {
    throw new ModelError(`${file}: tensor "${name}" has no valid dtype, shape and data_offsets`);
  }
  const [begin, end] = range;
  if (range.length !== 2 || begin === undefined || end === undefined || end < begin) {
    throw new ModelError(`${file}: tensor "${name}" has the byte range [${range.join(", ")}]`);
  }
  if (dataStart + end > fileSize) {
    throw new ModelError(
      `${file}: tensor "${name}" ends at byte ${dataStart + end}, but the file has ${fileSize}; ` +
        "it is truncated: copy or download it again",
    );
  }
  const elementBytes = BYTES_PER_ELEMENT[dtype];
  if (elementBytes === undefined) {
    throw new ModelError(`${file}: tensor "${name}" has the unknown dtype "${dtype}"`);
  }
  const needed = shape.reduce((product, extent) => product * extent, elementBytes);
  if (needed !== end - begin) {
    throw new ModelError(
      `${file}: tensor "${name}" (${dtype} [${shape.join(", ")}]) needs ${needed} bytes, ` +
        `but its byte range holds ${end - begin}`,
    );
  }
  return { name, dtype, shape, offset: dataStart + begin, length: end - begin };
}

function refuseOverlaps(file: string, entries: ReadonlyMap<string, TensorEntry>): void {
  const ordered = [...entries.values()].sort((a, b) => a.offset - b.offset);
  let previous: TensorEntry | undefined;
  for (const entry of ordered) {
    if (entry.length === 0) continue;
    if (previous !== undefined && previous.offset + previous.length > entry.offset) {
      throw new ModelError(`${file}: tensors "${previous.name}" and "${entry.name}" share bytes`);
    }
    previous = entry;
  }
}

function isCountList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}
