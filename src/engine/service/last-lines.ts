/** First lines that are kept: a program that does not start says so at once. */
const FIRST = 3;
/** Last lines that are kept. */
const LAST = 6;
/** Lines in between that say why. */
const REASONS = 2;
/** Frames of a stack that are kept: the rest is for the log. */
const FRAMES = 2;
/** Longest line. */
const MAX_LINE = 500;

/** A line of a stack, of JavaScript's ("    at f (file:1:2)") or a native one (" 1: 0xb8d0a1 …"). */
const FRAME = /^\s+at |^\s*\d+: 0x[0-9a-f]+/;
/** Lines that tell a cause, as Node, V8, the C++ library and the loader of libraries print them. */
const REASON =
  /\b\w*(?:Error|Exception)\b.*:|\b(?:FATAL|terminate called|what\(\)|bad_alloc|out of memory|cannot allocate|failed to allocate|cannot open shared object)\b/i;

/**
 * The few lines of a process's stderr that its last message shows: the first and the last ones, of
 * those between the ones that say why, and of a stack the top only. A bound holds for any output.
 */
export class LastLines {
  readonly #first: string[] = [];
  readonly #reasons: string[] = [];
  readonly #last: string[] = [];
  #frames = 0;
  #leftOut = 0;

  add(line: string): void {
    if (line.trim() === "") return;
    this.#frames = FRAME.test(line) ? this.#frames + 1 : 0;
    if (this.#frames > FRAMES) return;
    const kept = line.slice(0, MAX_LINE);
    if (this.#first.length < FIRST) this.#first.push(kept);
    else this.#last.push(kept);
    if (this.#last.length > LAST) this.#leaveOut(this.#last.shift() ?? "");
  }

  /** What is shown, in the order in which it was printed. */
  get lines(): readonly string[] {
    const gap = this.#leftOut > 0 ? [`… ${this.#leftOut} lines more`] : [];
    return [...this.#first, ...gap, ...this.#reasons, ...this.#last];
  }

  #leaveOut(line: string): void {
    if (REASON.test(line)) this.#reasons.push(line);
    else this.#leftOut++;
    if (this.#reasons.length <= REASONS) return;
    this.#reasons.shift();
    this.#leftOut++;
  }
}
