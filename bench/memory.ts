import { readFileSync } from "node:fs";

/** Anonymous resident memory of this process in bytes: mapped weight files do not count. Linux only. */
export function anonymousBytes(): number {
  const status = readFileSync("/proc/self/status", "utf8");
  const found = status.match(/^RssAnon:\s+(\d+) kB$/m);
  return found === null ? Number.NaN : Number(found[1]) * 1024;
}

/** Samples anonymous memory; `peak` is the largest value seen at a sample. */
export class PeakMemory {
  #peak = 0;

  sample(): void {
    this.#peak = Math.max(this.#peak, anonymousBytes());
  }

  get peak(): number {
    return this.#peak;
  }
}
