import { readdir, stat } from "node:fs/promises";
import { dirname, isAbsolute, join, parse, resolve } from "node:path";

/** Folders of a benchmark's clips that are looked into; the published layouts have about twenty. */
const MAX_FOLDERS = 500;
/** How deep clips lie below `video/` in the published layouts ("star/Charades_v1_480"). */
const MAX_VIDEO_DEPTH = 3;

/** A clip named by a prompt file. */
export interface FoundVideo {
  /** Absolute; where it should be when it is not there. */
  readonly path: string;
  readonly found: boolean;
}

/**
 * Finds the clips that a prompt file names: relative to the file's folder, or, for a benchmark's
 * list (`json/<task>.json` beside `video/`), in the clip folders beside the list's own.
 */
export class VideoFinder {
  readonly #folder: string;
  readonly #stem: string;
  readonly #benchmark: boolean;
  #clipFolders: Promise<string[]> | undefined;

  constructor(promptFile: string, benchmark: boolean) {
    this.#folder = dirname(resolve(promptFile));
    this.#stem = parse(promptFile).name;
    this.#benchmark = benchmark;
  }

  async find(video: string): Promise<FoundVideo> {
    const path = isAbsolute(video) ? video : join(this.#folder, video);
    if (await exists(path)) return { path, found: true };
    if (this.#benchmark && !isAbsolute(video)) {
      for (const folder of await this.#candidates()) {
        const candidate = join(folder, video);
        if (await exists(candidate)) return { path: candidate, found: true };
      }
    }
    return { path, found: false };
  }

  /** The folder of the list's own task first: clips of two tasks may share a name. */
  #candidates(): Promise<string[]> {
    this.#clipFolders ??= (async () => {
      const root = join(this.#folder, "..", "video");
      const folders = [join(root, this.#stem), root];
      for (let at = 1; at < folders.length && folders.length < MAX_FOLDERS; at++) {
        const folder = folders[at] ?? root;
        const depth = folder.split(/[\\/]/).length - root.split(/[\\/]/).length;
        if (depth < MAX_VIDEO_DEPTH) folders.push(...(await foldersIn(folder)));
      }
      return folders;
    })();
    return this.#clipFolders;
  }
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name));
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
