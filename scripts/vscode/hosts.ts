import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

const LOOK_MS = 1_000;

/** How often in a row a host may be found without a new sign of life: about so many seconds. */
export const PATIENCE_LOOKS = 20;

interface Seen {
  sign: string;
  /** Looks since the last new sign. */
  silent: number;
}

/**
 * Watches the extension hosts of a server by the signs of life that they leave in a folder
 * (`guard.cjs`), and tells once of each that answers no more. Looks are counted, not time: a machine
 * that sleeps stops both.
 *
 * @param tell gets the host's process id.
 * @returns ends the watch.
 */
export function watchHosts(
  folder: string,
  tell: (pid: number) => void,
  patience = PATIENCE_LOOKS,
): () => void {
  const seen = new Map<string, Seen>();
  const timer = setInterval(() => {
    const there = signs(folder);
    for (const pid of seen.keys()) if (!there.has(pid)) seen.delete(pid);
    for (const [pid, sign] of there) {
      const before = seen.get(pid);
      if (before === undefined || before.sign !== sign) seen.set(pid, { sign, silent: 0 });
      else if (++before.silent === patience) tell(Number(pid));
    }
  }, LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Ends the hosts that outlive their server: one that is blocked does not notice. */
export function endHosts(folder: string): void {
  for (const pid of signs(folder).keys()) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** The latest sign of each host whose process is there. */
function signs(folder: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const pid of namesIn(folder)) {
    try {
      process.kill(Number(pid), 0);
      found.set(pid, readFileSync(join(folder, pid), "utf8"));
    } catch {
      // It has ended, by a signal perhaps; its number may come again.
      rmSync(join(folder, pid), { force: true });
    }
  }
  return found;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
