import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";

/** Bounds of a store on the disk; the entries used least recently go first. */
export interface StoreLimits {
  readonly bytes: number;
  /** Also many small entries must be looked through in no time. */
  readonly entries: number;
}

/** How a store's files are called. */
export interface StoreNames {
  readonly entry: RegExp;
  /** An entry that is being written, and what remains of one whose process was killed. */
  readonly part: RegExp;
}

/** A part that was not written to for so long has no writer. */
const PART_STALE_MS = 3_600_000;

/**
 * Drops what a store's folder holds beyond its limits: entries used least recently, and parts that
 * were left behind.
 *
 * @param kept the path of the entry that was just written.
 */
export async function pruneFolder(
  folder: string,
  { entry, part }: StoreNames,
  limits: StoreLimits,
  kept: string,
): Promise<void> {
  const names = await readdir(folder);
  const found = await Promise.all(
    names
      .filter((name) => entry.test(name) || part.test(name))
      .map(async (name) => {
        const path = join(folder, name);
        // Another process may have dropped it meanwhile.
        const stats = await stat(path).catch(() => undefined);
        if (stats === undefined) return [];
        return [{ path, isPart: part.test(name), size: stats.size, used: stats.mtimeMs }];
      }),
  );
  const rank = ({ path, used }: { path: string; used: number }) =>
    path === kept ? Number.POSITIVE_INFINITY : used;
  const newestFirst = found.flat().sort((a, b) => rank(b) - rank(a));
  let bytes = 0;
  let entries = 0;
  for (const { path, isPart, size, used } of newestFirst) {
    bytes += size;
    entries += isPart ? 0 : 1;
    const beyond = bytes > limits.bytes || entries > limits.entries;
    const goes = isPart ? Date.now() - used > PART_STALE_MS : beyond;
    // An entry that another process reads cannot be removed on Windows; it goes the next time.
    if (goes) await rm(path, { force: true }).catch(() => {});
  }
}
