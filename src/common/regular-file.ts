import { constants, type Stats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { formatBytes } from "./format-size.ts";

/** A path that is no regular file, or a file that is larger than its kind can be. */
export class UnfitFileError extends Error {
  override readonly name = "UnfitFileError";
}

/** What a path that cannot be read as a file is, in a user's words. */
function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return "it is a folder";
  if (stats.isFIFO()) return "it is a pipe, not a file";
  if (stats.isSocket()) return "it is a socket, not a file";
  return "it is a device, not a file";
}

/**
 * Opens a regular file for reading. A pipe or a device, which may never answer, is refused at once.
 *
 * @throws UnfitFileError when the path is no regular file; the system's error when it is refused.
 */
export async function openRegular(path: string): Promise<{ handle: FileHandle; size: number }> {
  // Without O_NONBLOCK, opening a pipe waits for a program that writes to it.
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new UnfitFileError(kindOf(stats));
    return { handle, size: stats.size };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * The content of a regular file of at most `most` bytes.
 *
 * @throws UnfitFileError when it is no regular file or larger; the system's error when it is refused.
 */
export async function readRegularFile(path: string, most: number): Promise<Buffer> {
  const { handle, size } = await openRegular(path);
  try {
    if (size > most) {
      throw new UnfitFileError(
        `it has ${formatBytes(size)}; at most ${formatBytes(most)} are expected`,
      );
    }
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}
