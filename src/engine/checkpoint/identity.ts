import { createHash, type Hash } from "node:crypto";
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { ModelError } from "../../common/errors.ts";
import { systemCode } from "../../common/file-failure.ts";
import type { ModelIdentity } from "../../protocol/events.ts";
import type { LocatedTensor } from "./weights.ts";

/** Checkpoints up to this size are read whole: a tenth of a second. Larger ones are sampled. */
const WHOLE_BYTES = 128_000_000;
/** Pieces read of a tensor of a larger checkpoint, evenly spaced from its first byte to its last. */
const PIECES = 5;
const PIECE_BYTES = 4_096;
/** What is read at once. */
const READ_BYTES = 1 << 20;

/** Keys of a configuration that say how it was saved, and nothing of the model. */
const VOLATILE: ReadonlySet<string> = new Set([
  "_name_or_path",
  "_commit_hash",
  "transformers_version",
]);

/**
 * What tells a checkpoint from another, wherever its folder lies: its configuration and weights. The
 * bytes of a checkpoint of up to 128 MB are all read; of a larger one five pieces of every tensor
 * (tensors of up to 20 kB whole), so that a change of single values inside a large tensor shows only
 * in its files' times.
 *
 * @param config what the decoder is computed by: plain JSON.
 * @throws ModelError when a file of the weights cannot be read.
 */
export function modelIdentity(
  config: unknown,
  tensors: ReadonlyMap<string, LocatedTensor>,
): ModelIdentity {
  // By name: the hub's cache gives the files other names than a folder does.
  const sorted = [...tensors.values()].sort((a, b) => compare(a.name, b.name));
  const whole = sorted.reduce((sum, { length }) => sum + length, 0) <= WHOLE_BYTES;
  const weights = createHash("sha256").update(`${canonical(config)}\n`);
  const states: string[] = [];
  const open = new Map<string, number>();
  try {
    for (const { name, dtype, shape, file, offset, length } of sorted) {
      weights.update(`${JSON.stringify([name, dtype, shape])}\n`);
      try {
        let descriptor = open.get(file);
        if (descriptor === undefined) {
          descriptor = openSync(file, "r");
          open.set(file, descriptor);
          const { size, mtimeNs } = statSync(file, { bigint: true });
          states.push(`${basename(file)}\n${size}\n${mtimeNs}\n`);
        }
        for (const [start, end] of piecesOf(length, whole)) {
          hashBytes(weights, descriptor, offset + start, offset + end);
        }
      } catch (error) {
        throw new ModelError(
          `${file}: the weights cannot be read (${systemCode(error) ?? error}); check the folder's permissions and the disk`,
        );
      }
    }
  } finally {
    for (const descriptor of open.values()) closeSync(descriptor);
  }
  const files = createHash("sha256").update(states.sort().join(""));
  return { weights: weights.digest("hex"), whole, files: files.digest("hex") };
}

/**
 * The state of a model's folder: names, sizes and times of its files, links followed. Another one
 * means that a model opened before is no longer what the folder holds. Never throws.
 */
export async function folderStamp(folder: string): Promise<string> {
  const names = await readdir(folder).catch((): string[] => []);
  const states = await Promise.all(
    names.sort().map(async (name) => {
      const state = await stat(join(folder, name), { bigint: true }).catch(() => undefined);
      return state?.isFile() === true ? `${name} ${state.size} ${state.mtimeNs}` : name;
    }),
  );
  return states.join("\n");
}

/** The bytes of a tensor that are read, as half-open ranges. */
function piecesOf(length: number, whole: boolean): [start: number, end: number][] {
  if (whole || length <= PIECES * PIECE_BYTES) return [[0, length]];
  return Array.from({ length: PIECES }, (_, i) => {
    const start = Math.floor(((length - PIECE_BYTES) * i) / (PIECES - 1));
    return [start, start + PIECE_BYTES];
  });
}

function hashBytes(hash: Hash, descriptor: number, start: number, end: number): void {
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, end - start));
  for (let at = start; at < end; ) {
    const read = readSync(descriptor, buffer, 0, Math.min(buffer.length, end - at), at);
    if (read === 0) throw new Error("it is shorter than its header says");
    hash.update(buffer.subarray(0, read));
    at += read;
  }
}

/** JSON with sorted keys, without what says nothing of the model. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (key, part: unknown) => {
    if (VOLATILE.has(key)) return undefined;
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => compare(a, b)));
  });
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
