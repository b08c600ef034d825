import { createHash, randomUUID } from "node:crypto";
import { type FileHandle, open, rename, rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder } from "../../common/folders.ts";
import { encodeSafetensorsHeader, type TensorLayout } from "../checkpoint/safetensors.ts";
import { pruneFolder, type StoreLimits } from "./prune.ts";

const LIMITS: StoreLimits = { bytes: 2e9, entries: 1_000 };

const ENTRY = /^[0-9a-f]{64}\.safetensors$/;
/** An entry that is being written, and what remains of one whose process was killed. */
const PART = /^[0-9a-f]{64}\.[0-9a-f-]{36}\.part$/;
const CHECKSUM_BYTES = 32;
/** What one call to the system reads at most. */
const MAX_READ_BYTES = 1 << 30;

/** Video tokens [count, width] and how many frames, rows and columns of them there are. */
export interface FeatureLayout {
  readonly count: number;
  readonly width: number;
  readonly grid: readonly [frames: number, rows: number, columns: number];
}

/** What the store has under a key. */
export type FoundFeatures =
  | { readonly kind: "found"; readonly tokens: Float32Array }
  | { readonly kind: "absent" }
  | { readonly kind: "damaged" };

/**
 * Video features in a folder, one safetensors file an entry: `tokens` F32 [count, width], `grid` I32
 * [3], `sha256` U8 [32] over all of that. Several processes may use one folder: entries appear whole
 * or not at all, and one that is damaged is found out when it is read.
 */
export class FeatureStore {
  readonly folder: string;
  readonly #limits: StoreLimits;

  constructor(folder: string, limits: StoreLimits = LIMITS) {
    this.folder = folder;
    this.#limits = limits;
  }

  /** Reads an entry and checks it against its checksum and the layout it must have. Never throws. */
  async read(key: string, layout: FeatureLayout): Promise<FoundFeatures> {
    const path = this.#path(key);
    let file: FileHandle;
    try {
      file = await open(path, "r");
    } catch {
      // A folder that is wrong is told of when it cannot be written.
      return { kind: "absent" };
    }
    try {
      const tokens = await readEntry(file, key, layout);
      if (tokens === undefined) return { kind: "damaged" };
      const now = new Date();
      // When it was last used: systems that do not note reading are common.
      await utimes(path, now, now).catch(() => {});
      return { kind: "found", tokens };
    } catch {
      return { kind: "damaged" };
    } finally {
      await file.close();
    }
  }

  /**
   * Keeps an entry, and drops those used least recently when the store grows beyond its limits.
   *
   * @throws the system's error when the folder cannot be written.
   */
  async write(key: string, layout: FeatureLayout, tokens: Float32Array): Promise<void> {
    if (tokens.byteLength > this.#limits.bytes) return;
    await makeFolder(this.folder);
    const part = join(this.folder, `${key}.${randomUUID()}.part`);
    try {
      const file = await open(part, "wx", 0o600);
      try {
        for (const bytes of encodeEntry(key, layout, tokens)) await file.writeFile(bytes);
      } finally {
        await file.close();
      }
      await rename(part, this.#path(key));
    } catch (error) {
      await rm(part, { force: true }).catch(() => {});
      throw error;
    }
    await pruneFolder(this.folder, { entry: ENTRY, part: PART }, this.#limits, this.#path(key));
  }

  #path(key: string): string {
    return join(this.folder, `${key}.safetensors`);
  }
}

function layoutOf({ count, width, grid }: FeatureLayout): TensorLayout[] {
  return [
    { name: "tokens", dtype: "F32", shape: [count, width] },
    { name: "grid", dtype: "I32", shape: [grid.length] },
    { name: "sha256", dtype: "U8", shape: [CHECKSUM_BYTES] },
  ];
}

function encodeEntry(key: string, layout: FeatureLayout, tokens: Float32Array): Uint8Array[] {
  if (tokens.length !== layout.count * layout.width) {
    throw new Error(`${tokens.length} numbers for ${layout.count} x ${layout.width} features`);
  }
  const header = encodeSafetensorsHeader(layoutOf(layout));
  const data = bytesOf(tokens);
  const grid = bytesOf(Int32Array.from(layout.grid));
  return [header, data, grid, checksum(key, header, data, grid)];
}

/** The tokens of an entry; undefined when it is not, to the byte, what was written. */
async function readEntry(
  file: FileHandle,
  key: string,
  layout: FeatureLayout,
): Promise<Float32Array | undefined> {
  const expected = encodeSafetensorsHeader(layoutOf(layout));
  const header = new Uint8Array(expected.length);
  const tokens = new Float32Array(layout.count * layout.width);
  const data = bytesOf(tokens);
  const grid = bytesOf(new Int32Array(layout.grid.length));
  const sum = new Uint8Array(CHECKSUM_BYTES);
  const parts = [header, data, grid, sum];
  const length = parts.reduce((total, part) => total + part.length, 0);
  if ((await file.stat()).size !== length) return undefined;
  for (const part of parts) await fill(file, part);
  const whole =
    expected.equals(header) &&
    checksum(key, header, data, grid).equals(sum) &&
    bytesOf(Int32Array.from(layout.grid)).every((byte, i) => byte === grid[i]);
  return whole ? tokens : undefined;
}

/** Reads on from where the file stands until the array is full. */
async function fill(file: FileHandle, into: Uint8Array): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await file.read(into, done, Math.min(into.length - done, MAX_READ_BYTES));
    if (bytesRead === 0) throw new Error("the file has become shorter");
    done += bytesRead;
  }
}

function checksum(key: string, ...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash("sha256").update(key);
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array | Int32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
