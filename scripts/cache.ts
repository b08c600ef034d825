import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository: the extension under development. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url)).replace(/[\\/]$/, "");

/** Where tools are kept that only some commands need. */
export const CACHE = join(ROOT, "node_modules", ".cache", "flowprobe");

/**
 * A folder of the cache, filled on first use: aside, and then renamed, so that a stopped installation
 * is never taken for a whole one, and two at once do not meet.
 *
 * @param name of the folder; another one when what it holds changes.
 * @param what is told while it is filled.
 * @param fill puts what belongs there into an empty npm project.
 */
export function cached(name: string, what: string, fill: (project: string) => void): string {
  const folder = join(CACHE, name);
  if (existsSync(folder)) return folder;
  console.error(`installing ${what} …`);
  mkdirSync(CACHE, { recursive: true });
  const building = mkdtempSync(join(CACHE, "building-"));
  try {
    writeFileSync(join(building, "package.json"), '{"private":true}');
    fill(building);
    if (!existsSync(folder)) renameSync(building, folder);
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
  return folder;
}
