import { existsSync } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { systemCode } from "./file-failure.ts";

/**
 * Makes a folder and those that lead to it. Node's own recursive `mkdir` never returns where the
 * system answers "no such file" for a folder whose parent exists, as under /proc.
 *
 * @throws the system's error when it cannot be made.
 */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    const found = await stat(folder).catch(() => undefined);
    if (found?.isDirectory() === true) return;
    if (found !== undefined) throw Object.assign(new Error(), { code: "ENOTDIR" });
    const parent = dirname(folder);
    if (systemCode(error) !== "ENOENT" || parent === folder || existsSync(parent)) throw error;
    await makeFolder(parent);
    // Another process may have made it meanwhile.
    await makeFolder(folder);
  }
}
