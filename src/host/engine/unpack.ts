import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { XzReadableStream } from "xz-decompress";

/** Ending of a native module that was packed for the extension's package. */
const PACKED = ".xz";

/**
 * Unpacks the native modules that came compressed with the extension, beside their packed files: the
 * video decoder is 170 MB of code, and a package's own compression leaves too much of it. Does
 * nothing when that was done before, or in a checkout, where nothing is packed.
 *
 * @param modules `dist/node_modules` of the installed extension.
 * @throws Error when the extension's folder cannot be written.
 */
export async function unpackNativeModules(modules: string): Promise<void> {
  const scope = join(modules, "@seydx");
  for (const name of await readdir(scope).catch(() => [])) {
    const folder = join(scope, name);
    for (const file of await readdir(folder).catch(() => [])) {
      if (!file.endsWith(PACKED)) continue;
      const target = join(folder, file.slice(0, -PACKED.length));
      if (!existsSync(target)) await unpack(join(folder, file), target);
    }
  }
}

/** Two windows may do this at once: each writes a file of its own and moves it into place whole. */
async function unpack(packed: string, target: string): Promise<void> {
  const own = `${target}.${process.pid}`;
  try {
    const bytes = new XzReadableStream(Readable.toWeb(createReadStream(packed)));
    await pipeline(Readable.fromWeb(bytes), createWriteStream(own, { mode: 0o755 }));
    await rename(own, target);
  } catch (error) {
    await rm(own, { force: true });
    throw error;
  }
}
