import { randomUUID } from "node:crypto";
import { open, readFile, rm, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { CancelledError } from "../common/errors.ts";
import { fileFailure, systemCode } from "../common/file-failure.ts";
import { makeFolder } from "../common/folders.ts";

/** Stands after a run file's name; the lock lies beside the file. */
export const LOCK_SUFFIX = ".lock";

/** A lock's time is renewed this often … */
const RENEWED_MS = 5_000;
/** … and one whose time stands still for so long was left behind, where its holder cannot be looked up. */
const STALE_MS = 30_000;
/** How often a waiting program looks. */
const LOOK_MS = 100;
/** Removing a lock that was left behind takes far less. */
const TAKEOVER_STALE_MS = 10_000;

/** The right to write a run file. */
export interface RunLock {
  /**
   * Why the file could not be locked, as on a file system without locks or in a folder that cannot be
   * written: the work goes on, and the user should know. Undefined: the file is locked.
   */
  readonly problem: string | undefined;
  release(): Promise<void>;
}

export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told once, when another program holds the lock. */
  readonly onWait?: ((message: string) => void) | undefined;
  /** For tests: how long a lock must stand still. */
  readonly staleMs?: number;
}

interface Holder {
  readonly pid: number;
  readonly host: string;
  readonly token: string;
}

/**
 * Takes the lock of a run file, so that one program at a time appends to it; waits while another has
 * it. The lock of a program that died is taken over.
 *
 * @throws CancelledError when stopped while waiting.
 */
export async function lockRun(path: string, options: LockOptions = {}): Promise<RunLock> {
  const file = path + LOCK_SUFFIX;
  const token = randomUUID();
  const text = JSON.stringify({ pid: process.pid, host: hostname(), token } satisfies Holder);
  let told = false;
  const seen = { state: "", since: 0 };
  try {
    await makeFolder(dirname(file));
    while (!(await create(file, text))) {
      if (options.signal?.aborted === true) throw new CancelledError();
      const state = await stateOf(file);
      if (state === undefined) continue;
      if (state.text !== seen.state) Object.assign(seen, { state: state.text, since: Date.now() });
      const stoodStill = Date.now() - seen.since > (options.staleMs ?? STALE_MS);
      if (stoodStill || isDead(state.holder)) {
        await removeStale(file, state.text);
        continue;
      }
      if (!told) options.onWait?.(waitingFor(path, state.holder));
      told = true;
      await pause(LOOK_MS);
    }
  } catch (error) {
    if (error instanceof CancelledError) throw error;
    const failed = "cannot be locked, so do not write it from two programs at once";
    return { problem: fileFailure(path, failed, error).message, release: async () => {} };
  }
  const timer = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => {});
  }, RENEWED_MS);
  timer.unref();
  return {
    problem: undefined,
    release: async () => {
      clearInterval(timer);
      // One that was taken over is another's by now.
      if ((await stateOf(file))?.holder?.token === token) await rm(file, { force: true });
    },
  };
}

/** @returns false when the lock exists. */
async function create(file: string, text: string): Promise<boolean> {
  try {
    const handle = await open(file, "wx");
    try {
      await handle.writeFile(text);
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  }
}

/** A lock's content and time as one text, and who holds it; undefined when it is gone. */
async function stateOf(
  file: string,
): Promise<{ readonly text: string; readonly holder: Holder | undefined } | undefined> {
  try {
    const [content, { mtimeMs }] = await Promise.all([readFile(file, "utf8"), stat(file)]);
    return { text: `${mtimeMs} ${content}`, holder: holderOf(content) };
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function holderOf(content: string): Holder | undefined {
  try {
    const value = JSON.parse(content) as Partial<Holder> | null;
    const { pid, host, token } = value ?? {};
    const known =
      Number.isSafeInteger(pid) && typeof host === "string" && typeof token === "string";
    return known ? { pid: pid as number, host, token } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a lock's holder is known to be gone: a process of this machine that no longer runs. */
function isDead(holder: Holder | undefined): boolean {
  if (holder === undefined || holder.host !== hostname() || holder.pid <= 0) return false;
  try {
    process.kill(holder.pid, 0);
    return false;
  } catch (error) {
    return systemCode(error) === "ESRCH";
  }
}

/**
 * Removes a lock that was left behind, unless it has changed since it was seen. One program at a time
 * may remove locks, so that none removes the new lock of another.
 */
async function removeStale(file: string, seen: string): Promise<void> {
  const guard = `${file}.takeover`;
  if (!(await create(guard, ""))) {
    const age = await stat(guard).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    if (age > TAKEOVER_STALE_MS) await rm(guard, { force: true });
    await pause(LOOK_MS);
    return;
  }
  try {
    if ((await stateOf(file))?.text === seen) await rm(file, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}

function waitingFor(path: string, holder: Holder | undefined): string {
  const who =
    holder === undefined
      ? "another program"
      : holder.host === hostname()
        ? `another window or command (process ${holder.pid})`
        : `a program on ${holder.host} (process ${holder.pid})`;
  return `${path}: is being written by ${who}; waiting until it is done`;
}

/** Takes the lock of a run file unless another program holds it now; undefined then. */
export async function tryLockRun(path: string): Promise<RunLock | undefined> {
  const held = new AbortController();
  try {
    return await lockRun(path, { signal: held.signal, onWait: () => held.abort() });
  } catch (error) {
    if (error instanceof CancelledError) return undefined;
    throw error;
  }
}
