import { ModelError } from "../../common/errors.ts";
import { failureReason } from "../../common/file-failure.ts";
import { openRegular } from "../../common/regular-file.ts";
import { HeaderError, parseHeaderJson } from "./header-json.ts";

/** Element types of the safetensors format that a weight may have here. */
export type TensorDtype = "F32" | "F16" | "BF16";

/** Bits of an element, of every type that the official reader knows. */
const BITS_PER_ELEMENT: Readonly<Record<string, number>> = {
  ...{ F4: 4, F6_E2M3: 6, F6_E3M2: 6 },
  ...{ BOOL: 8, U8: 8, I8: 8 },
  ...{ F8_E4M3: 8, F8_E5M2: 8, F8_E8M0: 8, F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8 },
  ...{ I16: 16, U16: 16, F16: 16, BF16: 16 },
  ...{ I32: 32, U32: 32, F32: 32 },
  ...{ F64: 64, I64: 64, U64: 64, C64: 64 },
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
 * Reads the header of a safetensors file and checks every claim it makes, as the official reader does:
 * byte ranges against shapes, and that the tensors fill the rest of the file without holes.
 * Format: 8-byte little-endian header length, JSON header, data.
 *
 * @throws ModelError naming the file, the tensor and the figures that do not fit.
 */
export async function readSafetensorsHeader(file: string): Promise<Map<string, TensorEntry>> {
  const { handle, size } = await openRegular(file).catch((error: unknown) => {
    throw new ModelError(`${file}: cannot be read: ${failureReason(error)}`);
  });
  try {
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
  const { __metadata__: metadata, ...tensors } = parsed(file, text);
  if (metadata !== undefined && metadata !== null && !isTextMap(metadata)) {
    throw new ModelError(
      `${file}: "__metadata__" of the header does not map texts to texts; ${DAMAGED}`,
    );
  }
  const dataStart = SAFETENSORS_PREFIX_BYTES + text.length;
  const entries = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(tensors)) {
    entries.set(name, parseEntry(file, name, value, dataStart, fileSize));
  }
  checkCover(file, entries, dataStart, fileSize);
  return entries;
}

function parsed(file: string, text: Buffer): Record<string, unknown> {
  try {
    return parseHeaderJson(text);
  } catch (error) {
    if (error instanceof HeaderError) {
      throw new ModelError(`${file}: the header ${error.message}; ${DAMAGED}`);
    }
    throw error;
  }
}

const DAMAGED = "the file is damaged: copy or download it again";

function isTextMap(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((item) => typeof item === "string")
  );
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
    const bits = BITS_PER_ELEMENT[dtype];
    if (bits === undefined) throw new Error(`unknown dtype ${dtype}`);
    const begin = end;
    end += shape.reduce((product, extent) => product * extent, bits) / 8;
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
    const shown = range.slice(0, 4).join(", ");
    throw new ModelError(`${file}: tensor "${name}" has the byte range [${shown}]`);
  }
  if (dataStart + end > fileSize) {
    throw new ModelError(
      `${file}: tensor "${name}" ends at byte ${dataStart + end}, but the file has ${fileSize}; ` +
        "it is truncated: copy or download it again",
    );
  }
  const bits = Object.hasOwn(BITS_PER_ELEMENT, dtype) ? BITS_PER_ELEMENT[dtype] : undefined;
  if (bits === undefined) {
    throw new ModelError(`${file}: tensor "${name}" has the unknown dtype "${dtype}"`);
  }
  const needed = bytesOf(shape, bits);
  if (needed !== end - begin) {
    throw new ModelError(
      `${file}: tensor "${name}" (${dtype} ${shapeText(shape)}) needs ` +
        `${needed ?? "more than any file's"} bytes, but its byte range holds ${end - begin}`,
    );
  }
  return { name, dtype, shape, offset: dataStart + begin, length: end - begin };
}

const MOST = 1n << 64n;

/**
 * Bytes of a tensor; undefined where its elements or bits are no 64-bit number, in the order in which
 * the official reader multiplies, or no whole bytes.
 */
function bytesOf(shape: readonly number[], bits: number): number | undefined {
  let product = 1n;
  for (const extent of [...shape, bits]) {
    product *= BigInt(extent);
    if (product >= MOST) return undefined;
  }
  return product % 8n === 0n ? Number(product / 8n) : undefined;
}

/** A shape for messages, which a damaged file must not fill. */
export function shapeText(shape: readonly number[]): string {
  const more = shape.length > 8 ? `, … (${shape.length} extents)` : "";
  return `[${shape.slice(0, 8).join(", ")}${more}]`;
}

/** Tensors follow one another from the header's end to the file's: no byte is shared, none is left. */
function checkCover(
  file: string,
  entries: ReadonlyMap<string, TensorEntry>,
  dataStart: number,
  fileSize: number,
): void {
  const ordered = [...entries.values()].sort((a, b) => a.offset - b.offset || a.length - b.length);
  let end = dataStart;
  let previous: TensorEntry | undefined;
  for (const entry of ordered) {
    if (entry.offset < end) {
      throw new ModelError(`${file}: tensors "${previous?.name}" and "${entry.name}" share bytes`);
    }
    if (entry.offset > end) {
      throw new ModelError(
        `${file}: ${entry.offset - end} bytes before tensor "${entry.name}" belong to none; ${DAMAGED}`,
      );
    }
    end = entry.offset + entry.length;
    previous = entry;
  }
  if (end !== fileSize) {
    throw new ModelError(
      `${file}: ${fileSize - end} bytes after the last tensor belong to none; ${DAMAGED}`,
    );
  }
}

/** Sizes as the format has them, up to the largest whole number that is exact here. */
function isCountList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}
