import { Worker } from "node:worker_threads";

/**
 * The largest anonymous memory of this process so far, in bytes: mapped weight files do not count. A
 * thread of its own samples it, so that blocks which live inside one call of the runtime are seen.
 * Linux only: NaN elsewhere.
 */
export class PeakMemory {
  readonly #peak = new Float64Array(new SharedArrayBuffer(8));

  constructor() {
    if (process.platform !== "linux") {
      this.#peak[0] = Number.NaN;
      return;
    }
    const sampler = new URL("./memory-sampler.mjs", import.meta.url);
    new Worker(sampler, { workerData: this.#peak.buffer, execArgv: [] }).unref();
  }

  get peak(): number {
    return this.#peak[0] ?? Number.NaN;
  }
}
