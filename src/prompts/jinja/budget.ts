import { Float, isDict, isList, Stream, Tuple, type Value } from "./values.ts";

/**
 * Characters of one value, or of the whole text. A prompt of 100,000 tokens has about 400,000; a
 * template that doubles a text in a loop is stopped here.
 */
export const MAX_SIZE = 1_000_000;
/** Work of one rendering, in characters and items handled: under two seconds. */
const MAX_WORK = 30_000_000;
/** What one turn of a loop counts: its names are made anew. */
export const TURN = 60;
/** What looking at one node of the tree counts, beside the sizes of what it handles. */
const STEP = 12;
/** Macros and expressions inside one another. */
const MAX_DEPTH = 100;

/** Bounds a rendering's work, sizes and depth; what hit a bound is named. */
export class Budget {
  readonly #sizes = new WeakMap<object, number>();
  readonly #within: string[] = [];
  #work = 0;
  #depth = 0;

  /** Counts one step that handles values of these sizes. */
  spend(size = 0): void {
    this.#work += STEP + size;
    if (this.#work > MAX_WORK) throw this.#exceeded("it works for too long");
  }

  /** Refuses what would be larger than a value may be; called before it is made. */
  allow(size: number): void {
    if (size > MAX_SIZE) {
      throw this.#exceeded(
        `it makes a value of more than ${MAX_SIZE.toLocaleString("en")} characters`,
      );
    }
  }

  /** Counts a value that was made, and gives it back. */
  made<T extends Value>(value: T): T {
    const size = this.sizeOf(value);
    this.allow(size);
    this.spend(size);
    return value;
  }

  /** Does something inside a loop, macro or filter that a message can name. */
  inside<T>(name: string, work: () => T): T {
    if (this.#depth >= MAX_DEPTH) throw this.#exceeded("it calls itself, or nests, too deeply");
    this.#depth++;
    this.#within.push(name);
    try {
      return work();
    } finally {
      this.#depth--;
      this.#within.pop();
    }
  }

  /** Characters and items of a value, those inside it included as often as they stand in it. */
  sizeOf(value: Value): number {
    if (typeof value === "string") return value.length;
    if (value === null || typeof value !== "object" || value instanceof Float) return 1;
    if (value instanceof Stream) return value.size;
    const items = isDict(value)
      ? [...value.keys(), ...value.values()]
      : value instanceof Tuple
        ? value.items
        : isList(value)
          ? value
          : undefined;
    if (items === undefined) return 1;
    const known = this.#sizes.get(value);
    if (known !== undefined) return known;
    const size = items.reduce<number>((sum, item) => sum + 2 + this.sizeOf(item), 1);
    this.#sizes.set(value, size);
    return size;
  }

  #exceeded(what: string): Error {
    const [place] = this.#within.slice(-1);
    return new Error(place === undefined ? what : `${what} (in ${place})`);
  }
}
