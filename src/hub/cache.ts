import {
  copyFile,
  lstat,
  mkdir,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { readRegularFile } from "../common/regular-file.ts";

/*
 * The cache layout of the Hugging Face libraries, so that what one tool has downloaded the others find:
 * models--OWNER--NAME/{blobs/HASH, refs/REVISION, snapshots/COMMIT/FILE}; FILE is a symbolic link to
 * its blob, or the file itself on systems without such links.
 */

/** A model that is in the cache. */
export interface CachedModel {
  /** Its name on the hub. */
  readonly name: string;
  /** Its snapshot's folder: a model folder like any other. */
  readonly folder: string;
}

async function names(folder: string): Promise<string[]> {
  return (await readdir(folder).catch((): string[] => [])).sort();
}

/** Size in bytes of the file at a path, through links; undefined when there is none. */
export async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    (stats) => (stats.isFile() ? stats.size : undefined),
    () => undefined,
  );
}

/** Bytes of a file that holds a commit. */
const MAX_REF_BYTES = 1_000;

/** What a ref says; empty when there is none. */
async function readRef(file: string): Promise<string> {
  return readRegularFile(file, MAX_REF_BYTES).then(String, () => "");
}

/** Snapshot of a cached repository: the one `refs/main` names, else the newest on disk. */
async function currentSnapshot(repository: string): Promise<string | undefined> {
  const snapshots = join(repository, "snapshots");
  const revisions = await names(snapshots);
  const main = await readRef(join(repository, "refs", "main"));
  if (revisions.includes(main.trim())) return join(snapshots, main.trim());
  const dated = await Promise.all(
    revisions.map(async (revision) => {
      const folder = join(snapshots, revision);
      const time = await stat(folder).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      );
      return { folder, time };
    }),
  );
  return dated.sort((a, b) => b.time - a.time)[0]?.folder;
}

/** Models of a cache that have been downloaded as far as their config.json. */
export async function cachedModels(cache: string): Promise<CachedModel[]> {
  const found: CachedModel[] = [];
  for (const entry of await names(cache)) {
    if (!entry.startsWith("models--")) continue;
    const folder = await currentSnapshot(join(cache, entry));
    if (folder === undefined || !(await names(folder)).includes("config.json")) continue;
    found.push({ name: entry.slice("models--".length).replaceAll("--", "/"), folder });
  }
  return found;
}

/** Makes a symbolic link at a path; rejects where the system does not allow it. */
export type MakeLink = (target: string, path: string) => Promise<void>;

/** Without links, smaller files are copied, as two names may share their content. */
const COPIED_BYTES = 20_000_000;

/** Copies a file with the time of its content, by which a checked file is known. */
async function copyWithTime(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  const { atimeMs, mtimeMs } = await stat(from);
  await utimes(to, atimeMs / 1000, mtimeMs / 1000);
}

/** One model's place in the cache. */
export class CachedRepository {
  readonly folder: string;

  /** @param name the model's name on the hub, as `repositoryName` gives it. */
  constructor(
    readonly cache: string,
    readonly name: string,
  ) {
    this.folder = join(cache, `models--${name.replaceAll("/", "--")}`);
  }

  snapshot(commit: string): string {
    return join(this.folder, "snapshots", commit);
  }

  /** Where a file's content lies, by its hash. */
  blob(hash: string): string {
    return join(this.folder, "blobs", hash);
  }

  /** Where a file's content grows while it is downloaded; the other tools go on from it, too. */
  part(hash: string): string {
    return `${this.blob(hash)}.incomplete`;
  }

  /** The commit that a branch or tag had when it was downloaded, or a commit itself. */
  async commitOf(revision: string): Promise<string | undefined> {
    const commits = await names(join(this.folder, "snapshots"));
    if (commits.includes(revision)) return revision;
    const text = await readRef(join(this.folder, "refs", revision));
    return commits.find((commit) => commit === text.trim());
  }

  /** Notes which commit a branch or tag is. */
  async setRef(revision: string, commit: string): Promise<void> {
    if (revision === commit) return;
    const file = join(this.folder, "refs", revision);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, commit);
  }

  /** Shows a blob as a file of a snapshot: a link, or the file itself where links are not allowed. */
  async show(
    hash: string,
    commit: string,
    name: string,
    makeLink: MakeLink = symlink,
  ): Promise<void> {
    const path = join(this.snapshot(commit), name);
    await mkdir(dirname(path), { recursive: true });
    if (await lstat(path).catch(() => undefined)) {
      if ((await sizeOf(path)) !== undefined) return;
      await rm(path);
    }
    const blob = this.blob(hash);
    try {
      await makeLink(relative(dirname(path), blob), path);
    } catch {
      // Windows without developer mode, and file systems without links.
      const small = ((await sizeOf(blob)) ?? 0) < COPIED_BYTES;
      await (small ? copyWithTime(blob, path) : rename(blob, path));
    }
  }
}
