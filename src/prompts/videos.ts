import { readdir, stat } from "node:fs/promises";
import { dirname, isAbsolute, join, parse, relative, resolve } from "node:path";
import { leavesForNetwork } from "../common/network-path.ts";
import { MVBENCH_FOLDERS, mvbenchFolder } from "./mvbench.ts";

/** Folders of a benchmark's clips that are looked into; the published layouts have about twenty. */
const MAX_FOLDERS = 500;
/** How deep clips lie below `video/` in the published layouts ("star/Charades_v1_480"). */
const MAX_VIDEO_DEPTH = 3;
/** Clips of one name that a message lists. */
const MAX_NAMED = 5;

/** A clip named by a prompt file. */
export interface FoundVideo {
  /** Absolute; where it should be when it is not there. */
  readonly path: string;
  readonly found: boolean;
  /** Why it is not taken, where there is more to say than that it is missing. */
  readonly problem?: string;
}

/** Where a benchmark's clips can lie. */
interface ClipFolders {
  /** The folders that belong to the list, the likelier first: a clip there is the list's. */
  readonly own: readonly string[];
  /** All others: what is found there is the list's only if nothing says otherwise. */
  readonly others: readonly string[];
  /** Whether the list has a folder of its own: then another folder's clip is another clip. */
  readonly settled: boolean;
}

/**
 * Finds the clips that a prompt file names: relative to the file's folder, or, for a benchmark's
 * list (`json/<task>.json` beside `video/`), in the clip folders beside the list's own: the task's
 * folder (TVBench), the source that MVBench's table gives, or, where the layout is neither, wherever
 * exactly one clip of that name lies. Clips of different sources share names, so a clip of another
 * task's folder is never taken, nor one of several.
 */
export class VideoFinder {
  readonly #folder: string;
  readonly #stem: string;
  readonly #benchmark: boolean;
  readonly #mayReachOut: boolean;
  #clipFolders: Promise<ClipFolders> | undefined;

  /** @param mayReachOut whether a path on another computer may be looked at: see `leavesForNetwork`. */
  constructor(promptFile: string, benchmark: boolean, mayReachOut = true) {
    this.#mayReachOut = mayReachOut;
    this.#folder = dirname(resolve(promptFile));
    this.#stem = parse(promptFile).name;
    this.#benchmark = benchmark;
  }

  async find(video: string): Promise<FoundVideo> {
    const path = isAbsolute(video) ? video : join(this.#folder, video);
    // Taken as it stands: whoever analyzes it, asks for it.
    if (!this.#mayReachOut && leavesForNetwork(path, this.#folder)) return { path, found: true };
    if (await exists(path)) return { path, found: true };
    if (!this.#benchmark || isAbsolute(video)) return { path, found: false };
    this.#clipFolders ??= clipFolders(join(this.#folder, "..", "video"), this.#stem);
    const { own, others, settled } = await this.#clipFolders;
    for (const folder of own) {
      const candidate = join(folder, video);
      if (await exists(candidate)) return { path: candidate, found: true };
    }
    const [expected = path] = settled ? own.map((folder) => join(folder, video)) : [];
    const namesakes = await existing(others.map((folder) => join(folder, video)));
    const [first, second] = namesakes;
    if (first === undefined) return { path: expected, found: false };
    if (!settled && second === undefined) return { path: first, found: true };
    return { path: expected, found: false, problem: this.#namesakes(namesakes, settled) };
  }

  #namesakes(paths: readonly string[], settled: boolean): string {
    const shown = paths.slice(0, MAX_NAMED).map((path) => relative(dirname(this.#folder), path));
    const more = paths.length > MAX_NAMED ? ` and ${paths.length - MAX_NAMED} more` : "";
    const places = `${shown.join(", ")}${more}`;
    return settled
      ? `a clip of that name is in another task's folder (${places}), and may be another clip`
      : `several clips have that name (${places}); write the path of the one that is meant`;
  }
}

async function clipFolders(root: string, stem: string): Promise<ClipFolders> {
  const all = [root];
  for (let at = 0; at < all.length && all.length < MAX_FOLDERS; at++) {
    const folder = all[at] ?? root;
    const depth = relative(root, folder).split(/[\\/]/).filter(Boolean).length;
    if (depth < MAX_VIDEO_DEPTH) all.push(...(await foldersIn(folder)));
  }
  all.length = Math.min(all.length, MAX_FOLDERS);
  const has = (folder: string) => isFolder(join(root, folder));
  const source = mvbenchFolder(stem);
  // MVBench's layout is told by any of its sources: the list's own may not have been downloaded.
  const isMvbench = async () => (await Promise.all(MVBENCH_FOLDERS.map(has))).includes(true);
  const named = (await has(stem)) ? [stem] : source && (await isMvbench()) ? [source] : [];
  const own = [...named.map((folder) => join(root, folder)), root];
  return {
    own,
    others: all.filter((folder) => !own.includes(folder)).sort(),
    settled: named.length > 0,
  };
}

async function existing(paths: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) if (await exists(path)) found.push(path);
  return found;
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  // A data set's folders are often links to a disk with room for them.
  const found: string[] = [];
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() || (entry.isSymbolicLink() && (await isFolder(path)))) found.push(path);
  }
  return found;
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
