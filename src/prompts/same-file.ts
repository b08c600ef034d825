import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { leavesForNetwork } from "../common/network-path.ts";

/** A path without symbolic links, in the file system's own spelling; as given where nothing is there. */
export function realPath(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    return resolve(path);
  }
}

/**
 * Whether two paths lead to one file, also through symbolic links; links of another computer are not
 * followed.
 */
export function isSameFile(a: string, b: string): boolean {
  if (resolve(a) === resolve(b)) return true;
  if (leavesForNetwork(a, b) || leavesForNetwork(b, a)) return false;
  return realPath(a) === realPath(b);
}
