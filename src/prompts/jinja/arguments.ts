import { type Arguments, typeName, type Value } from "./values.ts";

export const NO_ARGUMENTS: Arguments = { positional: [], named: new Map() };

/** Takes a call's arguments by place or name, and refuses what is left over. */
export class ArgumentReader {
  readonly #function: string;
  readonly #names: readonly string[];
  readonly #given: Arguments;

  /** @param names the parameters in their order. */
  constructor(name: string, names: readonly string[], given: Arguments) {
    this.#function = name;
    this.#names = names;
    this.#given = given;
    const surplus = given.positional.length > names.length;
    const unknown = [...given.named.keys()].find((key) => {
      const at = names.indexOf(key);
      return at < 0 || at < given.positional.length;
    });
    if (surplus || unknown !== undefined) {
      const what = unknown === undefined ? "so many arguments" : `an argument "${unknown}"`;
      throw new Error(`it gives ${name}() ${what}, which is not supported`);
    }
  }

  value(name: string): Value | undefined {
    const placed = this.#given.positional[this.#names.indexOf(name)];
    return placed === undefined ? this.#given.named.get(name) : placed;
  }

  text(name: string, fallback?: string): string {
    const value = this.value(name);
    if (typeof value === "string") return value;
    if (value === undefined && fallback !== undefined) return fallback;
    throw this.#wrong(name, "a text", value);
  }

  /** A text, or undefined when it is left out or none. */
  textOrNone(name: string): string | undefined {
    const value = this.value(name);
    return value === null || value === undefined ? undefined : this.text(name);
  }

  whole(name: string, fallback: number): number {
    const value = this.value(name) ?? fallback;
    if (typeof value === "number") return value;
    throw this.#wrong(name, "a whole number", value);
  }

  flag(name: string, fallback = false): boolean {
    const value = this.value(name) ?? fallback;
    if (typeof value === "boolean") return value;
    throw this.#wrong(name, "true or false", value);
  }

  #wrong(name: string, wanted: string, value: Value | undefined): Error {
    const found = value === undefined ? "nothing" : typeName(value);
    return new Error(`it gives ${this.#function}() ${found} as "${name}"; ${wanted} is needed`);
  }
}
