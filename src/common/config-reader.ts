import { access } from "node:fs/promises";
import { join } from "node:path";
import { ModelError } from "./errors.ts";
import { failureReason, systemCode } from "./file-failure.ts";
import { LIMITS } from "./limits.ts";
import { readRegularFile } from "./regular-file.ts";
import { decodeText, TextDecodingError } from "./text.ts";

/** The largest whole number taken for real where nothing closer is stated. */
export const MOST_USUAL = 1_000_000;

/** Bytes of a JSON file: tokenizers of 250,000 tokens have 35 MB. */
const MAX_JSON_BYTES = 200_000_000;

/** A JSON object of a model folder, read key by key; every refusal names the file, key and value. */
export class ConfigReader {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #file: string;
  readonly #path: string;

  constructor(values: Readonly<Record<string, unknown>>, file: string, path = "") {
    this.#values = values;
    this.#file = file;
    this.#path = path;
  }

  has(key: string): boolean {
    return this.#values[key] !== undefined && this.#values[key] !== null;
  }

  /** Whether the key is there with the value null, which classes take otherwise than an absent key. */
  isNull(key: string): boolean {
    return this.#values[key] === null;
  }

  /** Whether it has no key: an absent section, too. */
  get isEmpty(): boolean {
    return Object.keys(this.#values).length === 0;
  }

  /** The raw value, for keys with several forms. */
  raw(key: string): unknown {
    return this.#values[key];
  }

  /** A positive whole number of at most `most`: what is made from it must not outgrow memory. */
  size(key: string, fallback?: number, most = MOST_USUAL): number {
    const value = this.#values[key] ?? fallback;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1) {
      throw this.refuse(key, "a positive whole number is needed");
    }
    if (value > most) throw this.refuse(key, `at most ${most} is supported`);
    return value;
  }

  /** Any finite number. */
  number(key: string, fallback?: number): number {
    const value = this.#values[key] ?? fallback;
    if (typeof value !== "number" || !Number.isFinite(value)) {
      throw this.refuse(key, "a number is needed");
    }
    return value;
  }

  /** A finite number from `least` to `most`. */
  within(key: string, least: number, most: number, fallback?: number): number {
    const value = this.number(key, fallback);
    if (value < least || value > most) {
      throw this.refuse(key, `a number from ${least} to ${most} is needed`);
    }
    return value;
  }

  /** A token's id. */
  id(key: string, fallback?: number): number {
    const value = this.within(key, 0, LIMITS.vocabulary, fallback);
    if (!Number.isInteger(value)) throw this.refuse(key, "a whole number is needed");
    return value;
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.#values[key] ?? fallback;
    if (typeof value !== "boolean") throw this.refuse(key, "true or false is needed");
    return value;
  }

  text(key: string, fallback?: string): string {
    const value = this.#values[key] ?? fallback;
    if (typeof value !== "string") throw this.refuse(key, "a text is needed");
    return value;
  }

  /** Positive whole numbers of at most `most`, `length` of them. */
  sizes(key: string, length: number, most = MOST_USUAL): number[] {
    const value = this.#values[key];
    const fits =
      Array.isArray(value) &&
      value.length === length &&
      value.every((item) => Number.isSafeInteger(item) && item >= 1 && item <= most);
    if (!fits) {
      throw this.refuse(key, `a list of ${length} whole numbers from 1 to ${most} is needed`);
    }
    return value as number[];
  }

  /** Finite numbers, `length` of them. */
  numbers(key: string, length: number): number[] {
    const value = this.#values[key];
    const fits =
      Array.isArray(value) &&
      value.length === length &&
      value.every((item) => Number.isFinite(item));
    if (!fits) throw this.refuse(key, `a list of ${length} numbers is needed`);
    return value as number[];
  }

  /** A nested object; an absent one is empty, so that its keys take their defaults. */
  section(key: string): ConfigReader {
    const value = this.#values[key] ?? {};
    if (typeof value !== "object" || Array.isArray(value)) {
      throw this.refuse(key, "an object is needed");
    }
    return new ConfigReader(value as Record<string, unknown>, this.#file, `${this.#path}${key}.`);
  }

  /** The error for a key whose value cannot be used. */
  refuse(key: string, why: string): ModelError {
    const value = JSON.stringify(this.#values[key]);
    const shown = value === undefined ? "is missing" : `is ${value.slice(0, 200)}`;
    return new ModelError(`${this.#file}: "${this.#path}${key}" ${shown}; ${why}`);
  }
}

/** A JSON object as read from a model folder, with the path of its file. */
export interface JsonFile {
  readonly file: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/**
 * Reads a JSON object of a model folder.
 *
 * @throws ModelError when the file is missing or is not a JSON object.
 */
export async function readJsonFile(folder: string, name: string): Promise<JsonFile> {
  const file = join(folder, name);
  const text = await readRegularFile(file, MAX_JSON_BYTES).catch((error: unknown) => {
    if (systemCode(error) !== "ENOENT") {
      throw new ModelError(`${file}: cannot be read: ${failureReason(error)}`);
    }
    throw new ModelError(`${file}: is missing; a model folder in Hugging Face's layout has it`);
  });
  let value: unknown;
  try {
    value = JSON.parse(decodeText(text));
  } catch (error) {
    if (error instanceof TextDecodingError) throw new ModelError(`${file}: ${error.message}`);
    throw new ModelError(`${file}: is not JSON; copy or download it again`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ModelError(`${file}: is not a JSON object; copy or download it again`);
  }
  return { file, value: value as Record<string, unknown> };
}

/** The same, to be read key by key. */
export async function readConfig(folder: string, name: string): Promise<ConfigReader> {
  const { file, value } = await readJsonFile(folder, name);
  return new ConfigReader(value, file);
}

/** Whether a model folder has a file of this name. */
export async function fileExists(folder: string, name: string): Promise<boolean> {
  return access(join(folder, name)).then(
    () => true,
    () => false,
  );
}
