import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { throwIfCancelled } from "../common/errors.ts";
import { readRegularFile } from "../common/regular-file.ts";
import type { CachedRepository } from "./cache.ts";
import type { HubFile } from "./client.ts";

/*
 * A file of the right size may still hold wrong bytes: a disk error, a download of another tool that
 * was cut short and padded. Each is read once and checked against its checksum; that it was, and the
 * state of the file then, is noted beside the blobs, so that nobody waits for it twice.
 */

/** Bytes of a note. */
const MAX_NOTE_BYTES = 200;

function noteOf(repository: CachedRepository, hash: string): string {
  return join(repository.folder, "flowprobe-verified", hash);
}

/** What changes when a file's content is written anew: its size, and when that was. */
async function stateOf(path: string): Promise<{ size: number; ms: number } | undefined> {
  return stat(path).then(
    (stats) => (stats.isFile() ? { size: stats.size, ms: stats.mtimeMs } : undefined),
    () => undefined,
  );
}

/** Copies keep a file's time to about this. */
const SAME_TIME_MS = 2;

/** Notes that a file's content was found to have its checksum. Without the note it is checked again. */
export async function noteVerified(
  repository: CachedRepository,
  hash: string,
  path: string,
): Promise<void> {
  const state = await stateOf(path);
  if (state === undefined) return;
  const note = noteOf(repository, hash);
  try {
    await mkdir(dirname(note), { recursive: true });
    await writeFile(note, `${state.size} ${state.ms}`);
  } catch {
    // A cache that only others may write is checked each time.
  }
}

/** Whether a file was checked, and has not been written since. */
export async function isVerified(
  repository: CachedRepository,
  hash: string,
  path: string,
): Promise<boolean> {
  const state = await stateOf(path);
  if (state === undefined) return false;
  const note = await readRegularFile(noteOf(repository, hash), MAX_NOTE_BYTES).then(
    String,
    () => "",
  );
  const [size, ms] = note.split(" ").map(Number);
  return size === state.size && Math.abs((ms ?? Number.NaN) - state.ms) <= SAME_TIME_MS;
}

/** A hash under way, of a file of the hub. Git hashes a file's length before its content. */
export function freshHash({ algorithm, size }: HubFile) {
  return algorithm === "sha256"
    ? createHash("sha256")
    : createHash("sha1").update(`blob ${size}\0`);
}

/**
 * Reads a whole file and compares its checksum; a right one is noted.
 *
 * @param tell receives the bytes read so far.
 * @throws CancelledError; the system's error when the file cannot be read.
 */
export async function hasChecksum(
  repository: CachedRepository,
  file: HubFile,
  path: string,
  tell: (done: number) => void,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const hash = freshHash(file);
  let done = 0;
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) {
    throwIfCancelled(signal);
    hash.update(piece as Buffer);
    done += (piece as Buffer).length;
    tell(done);
  }
  if (hash.digest("hex") !== file.hash) return false;
  await noteVerified(repository, file.hash, path);
  return true;
}
