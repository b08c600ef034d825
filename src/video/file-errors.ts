import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { InputError } from "../common/errors.ts";

/** Says what is at a path that can be read: a file, or a folder. @throws InputError */
export async function whatIsAt(path: string): Promise<"file" | "folder"> {
  try {
    const stats = await stat(path);
    await access(path, constants.R_OK);
    if (stats.isDirectory()) return "folder";
    if (stats.isFile()) {
      if (stats.size === 0) throw new InputError(`${path}: the file is empty`);
      return "file";
    }
  } catch (error) {
    throw error instanceof InputError ? error : unreadable(path, error);
  }
  throw new InputError(`${path}: neither a file nor a folder`);
}

/** The error for a path that the system refuses to open: missing, forbidden, or its own code. */
export function unreadable(path: string, error: unknown): InputError {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (code === "ENOENT" || code === "ENOTDIR") return new InputError(`${path}: no such file`);
  if (code === "EACCES" || code === "EPERM") {
    return new InputError(`${path}: no permission to read it`);
  }
  return new InputError(`${path}: cannot be read (${code ?? String(error)})`);
}
