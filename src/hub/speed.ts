/** Older readings do not count: a connection's speed changes. */
const WINDOW_MS = 15_000;
const MOMENT_MS = 200;
/** Before that, the speed is a guess. */
const LEAST_MS = 1_000;

/** Tells how long the rest takes, from how fast bytes came of late. */
export class Speedometer {
  #readings: { readonly at: number; readonly bytes: number }[] = [];

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** What is there without having been downloaded just now: nothing to measure a speed by. */
  startAt(bytes: number): void {
    const last = this.#readings.at(-1);
    if (last === undefined) return;
    const shift = bytes - last.bytes;
    if (shift !== 0) {
      this.#readings = this.#readings.map(({ at, bytes: seen }) => ({ at, bytes: seen + shift }));
    }
  }

  /** So many bytes are there now. */
  reached(bytes: number): void {
    const at = this.now();
    const before = this.#readings.at(-2);
    // Pieces come by the thousand: the last of a moment stands for it.
    if (before !== undefined && at - before.at < MOMENT_MS) this.#readings.pop();
    this.#readings.push({ at, bytes });
    while (this.#readings.length > 2 && at - (this.#readings[0]?.at ?? at) > WINDOW_MS) {
      this.#readings.shift();
    }
  }

  /** Seconds that so many more bytes take; undefined until the speed is known. */
  secondsFor(bytes: number): number | undefined {
    const first = this.#readings[0];
    const last = this.#readings.at(-1);
    if (first === undefined || last === undefined || last.at - first.at < LEAST_MS)
      return undefined;
    const perMs = (last.bytes - first.bytes) / (last.at - first.at);
    return perMs <= 0 ? undefined : bytes / perMs / 1000;
  }
}
