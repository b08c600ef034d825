import { existsSync } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { systemCode } from "./file-failure.ts";

/**
 * Makes a folder and those that lead to it; others may make the same ones at the same time. Node's own
 * recursive `mkdir` never returns where the system answers "no such file" for a folder whose parent
 * exists, as under /proc.
 *
 * @throws the system's error when it cannot be made.
 */
export async function makeFolder(folder: string): Promise<void> {
  const error = await makeOne(folder);
  if (error === undefined) return;
  const parent = dirname(folder);
  if (systemCode(error) !== "ENOENT" || parent === folder) throw error;
  // One that is there now was made meanwhile, or is such a one as under /proc: trying again tells.
  if (!existsSync(parent)) await makeFolder(parent);
  const again = await makeOne(folder);
  if (again !== undefined) throw again;
}

/** Makes a folder in one that exists; the system's error, unless it is there then. */
async function makeOne(folder: string): Promise<unknown> {
  try {
    await mkdir(folder);
    return undefined;
  } catch (error) {
    const found = await stat(folder).catch(() => undefined);
    if (found?.isDirectory() === true) return undefined;
    return found === undefined ? error : Object.assign(new Error(), { code: "ENOTDIR" });
  }
}
