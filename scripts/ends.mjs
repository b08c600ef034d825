import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename } from "node:path";

/** Ctrl-C, an asked end, a closed terminal. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];
const LOOK_MS = 500;

/**
 * Calls back once, when this program should end: by a signal, or because the npm that started it is
 * gone, which a killed npm does not say.
 *
 * @param {(why: string) => void} end
 * @returns {() => void} listens no more.
 */
export function onEnd(end) {
  let ended = false;
  const once = (why) => {
    if (!ended) end(why);
    ended = true;
  };
  const handlers = SIGNALS.map((signal) => [signal, () => once(signal)]);
  for (const [signal, handler] of handlers) process.on(signal, handler);
  const starters = findStarters();
  const timer = setInterval(() => {
    if (starters.some(isGone)) once("npm is gone");
  }, LOOK_MS);
  timer.unref();
  return () => {
    for (const [signal, handler] of handlers) process.off(signal, handler);
    clearInterval(timer);
  };
}

/** The processes between this one and the npm that runs it as a script; none without npm. */
function findStarters() {
  if (process.env.npm_lifecycle_event === undefined) return [];
  const parent = process.ppid;
  const { command, parent: above } = lookUp(parent) ?? {};
  // npm may run a script by a shell that stays; its command line names this program.
  const byShell = command?.includes(basename(process.argv[1] ?? ""));
  return byShell ? [parent, above] : [parent];
}

function isGone(pid) {
  try {
    process.kill(pid, 0);
    // A zombie was killed, and what started it has not looked yet.
    return process.platform === "linux" && statusOf(pid, "State") === "Z";
  } catch (error) {
    return error.code === "ESRCH" || error.code === "ENOENT";
  }
}

/** A process's parent and command line; undefined where the system does not tell. */
function lookUp(pid) {
  try {
    if (process.platform === "linux") {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      return { parent: Number(statusOf(pid, "PPid")), command };
    }
    const args = ["-o", "ppid=,command=", "-p", String(pid)];
    const told = execFileSync("ps", args, { encoding: "utf8" });
    const [, parent, command] = /^\s*(\d+)\s+(.*)/.exec(told) ?? [];
    return { parent: Number(parent), command };
  } catch {
    return undefined;
  }
}

/** A field of a process's status on Linux. */
function statusOf(pid, field) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return new RegExp(`^${field}:\\s*(\\S+)`, "m").exec(status)?.[1];
}
