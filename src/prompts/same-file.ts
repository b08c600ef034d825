import { realpathSync } from "node:fs";
import { resolve } from "node:path";

/** A path without symbolic links, in the file system's own spelling; as given where nothing is there. */
export function realPath(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    return resolve(path);
  }
}

/** Whether two paths lead to one file, also through symbolic links. */
export function isSameFile(a: string, b: string): boolean {
  return resolve(a) === resolve(b) || realPath(a) === realPath(b);
}
