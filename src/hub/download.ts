import { mkdir, realpath, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { InputError, throwIfCancelled } from "../common/errors.ts";
import { fileFailure } from "../common/file-failure.ts";
import { formatBytes } from "../common/format-size.ts";
import { CachedRepository, type MakeLink, sizeOf } from "./cache.ts";
import type { HubClient, HubFile } from "./client.ts";
import { holdLock } from "./lock.ts";
import type { DownloadPlan } from "./plan.ts";
import { Speedometer } from "./speed.ts";
import { transferFile } from "./transfer.ts";
import { hasChecksum, isVerified } from "./verified.ts";

/** How far a download is. */
export interface DownloadProgress {
  /** Whether bytes arrive, or what an earlier download left is read back to check it. */
  readonly phase: "download" | "check";
  /** The file in work. */
  readonly file: string;
  /** Bytes of all files that are there, and all there are. */
  readonly done: number;
  readonly total: number;
  /** Undefined until the speed is known. */
  readonly secondsLeft: number | undefined;
}

/** Disk space that is left to others. */
const SPARE_BYTES = 100_000_000;

/**
 * Downloads what a plan lists into the cache, and shows it as a snapshot once all of it is there and
 * right: no other program ever sees half a model.
 *
 * @param makeLink makes the snapshot's symbolic links; the system's own by default.
 * @returns the snapshot's folder.
 * @throws HubError, InputError when the disk is too small or refuses, CancelledError. What has
 *   arrived by then stays, and the next download of the model goes on from there.
 */
export async function download(
  client: HubClient,
  plan: DownloadPlan,
  tell: (progress: DownloadProgress) => void = () => undefined,
  signal?: AbortSignal,
  makeLink?: MakeLink,
): Promise<string> {
  const { model, files, folder } = plan;
  const repository = new CachedRepository(client.requests.settings.cache, model.name);
  if (!plan.complete) {
    await refuseFullDisk(repository.cache, plan.missingBytes);
    const lock = await holdLock(join(repository.cache, ".locks"), model.name);
    try {
      await fetchAll(client, repository, plan, tell, signal);
      throwIfCancelled(signal);
      for (const { hash, name } of files) await repository.show(hash, model.commit, name, makeLink);
    } catch (error) {
      throw isSystemError(error) ? fileFailure(folder, "cannot be written", error) : error;
    } finally {
      await lock.release();
    }
  }
  await repository.setRef(model.revision, model.commit).catch((error) => {
    throw fileFailure(repository.folder, "cannot be written", error);
  });
  return folder;
}

async function fetchAll(
  client: HubClient,
  repository: CachedRepository,
  { model, files, folder, bytes: total }: DownloadPlan,
  tell: (progress: DownloadProgress) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const speed = new Speedometer();
  let before = 0;
  for (const file of files) {
    throwIfCancelled(signal);
    const check = (done: number) => {
      speed.startAt(before + done);
      const secondsLeft = undefined;
      tell({ phase: "check", file: file.name, done: before + done, total, secondsLeft });
    };
    if (!(await isThere(repository, folder, file, check, signal))) {
      await transferFile(
        ...([client, repository, model, file] as const),
        ({ phase, done }) => {
          if (phase === "download") speed.reached(before + done);
          else speed.startAt(before + done);
          const secondsLeft = speed.secondsFor(total - before - done);
          tell({ phase, file: file.name, done: before + done, total, secondsLeft });
        },
        signal,
      );
    }
    before += file.size;
    speed.startAt(before);
  }
}

/**
 * Whether a file's whole content is in the cache, as a blob or in the snapshot itself: of the right
 * size, and with the right checksum, which is looked at once. Content that has another is removed.
 */
async function isThere(
  repository: CachedRepository,
  folder: string,
  file: HubFile,
  tell: (done: number) => void,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { name, hash, size } = file;
  for (const path of [join(folder, name), repository.blob(hash)]) {
    if ((await sizeOf(path)) !== size) continue;
    if (await isVerified(repository, hash, path)) return true;
    if (await hasChecksum(repository, file, path, tell, signal)) return true;
    await rm(await realpath(path), { force: true });
    await rm(path, { force: true });
  }
  return false;
}

/** @throws InputError when the cache's disk has no room for as many bytes. */
async function refuseFullDisk(cache: string, needed: number): Promise<void> {
  await mkdir(cache, { recursive: true }).catch((error) => {
    throw fileFailure(cache, "the folder of the model cache cannot be made", error);
  });
  const free = await freeBytes(cache);
  if (free === undefined || free >= needed + SPARE_BYTES) return;
  throw new InputError(
    `${cache}: the download needs ${formatBytes(needed)}, but its disk has ${formatBytes(free)} free; ` +
      "make room, or name a folder on another disk in HF_HOME",
  );
}

/** Free bytes of the disk that a folder is on; undefined where the system does not tell. */
async function freeBytes(folder: string): Promise<number | undefined> {
  return statfs(folder).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => undefined,
  );
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}
