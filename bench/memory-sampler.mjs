// Thread of PeakMemory: keeps the largest anonymous memory of this process in the shared value.
import { readFileSync } from "node:fs";
import { workerData } from "node:worker_threads";

const EVERY_MS = 20;

/** Kilobytes; mapped weight files do not count. Linux only. */
const ANONYMOUS = /^RssAnon:\s+(\d+) kB$/m;

const peak = new Float64Array(workerData);
const never = new Int32Array(new SharedArrayBuffer(4));
for (;;) {
  const found = ANONYMOUS.exec(readFileSync("/proc/self/status", "utf8"));
  peak[0] = found === null ? Number.NaN : Math.max(peak[0], 1024 * Number(found[1]));
  Atomics.wait(never, 0, 0, EVERY_MS);
}
