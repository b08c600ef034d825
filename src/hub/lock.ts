import { mkdir, open, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../common/errors.ts";
import { fileFailure, systemCode } from "../common/file-failure.ts";

/** A lock's time is renewed this often; one that is much older was left by a program that died. */
const RENEWED_MS = 5_000;
const STALE_MS = 30_000;

/** The right to write a model's files, held by one program at a time. */
export interface Lock {
  release(): Promise<void>;
}

/**
 * Takes a model's lock, so that two windows or command lines do not write the same parts.
 *
 * @throws InputError when another download of the model is running, or the folder cannot be written.
 */
export async function holdLock(folder: string, name: string): Promise<Lock> {
  const place = join(folder, `models--${name.replaceAll("/", "--")}`);
  const file = join(place, "flowprobe.lock");
  try {
    await mkdir(place, { recursive: true });
    await create(file, name);
  } catch (error) {
    throw error instanceof InputError ? error : fileFailure(file, "cannot be written", error);
  }
  const timer = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => undefined);
  }, RENEWED_MS);
  timer.unref();
  return {
    release: async () => {
      clearInterval(timer);
      await rm(file, { force: true });
    },
  };
}

async function create(file: string, name: string): Promise<void> {
  for (;;) {
    try {
      await (await open(file, "wx")).close();
      return;
    } catch (error) {
      if (systemCode(error) !== "EEXIST") throw error;
    }
    const age = await stat(file).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => undefined,
    );
    if (age !== undefined && age < STALE_MS) {
      throw new InputError(
        `${name} is being downloaded by another window or command already; wait for it, ` +
          `or, if it is gone, ${Math.ceil((STALE_MS - age) / 1000)} s`,
      );
    }
    await rm(file, { force: true });
  }
}
