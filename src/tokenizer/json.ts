import { SplitPreTokenizer } from "@huggingface/tokenizers";
import { ModelError } from "../common/errors.ts";
import { shownValue } from "../common/shown.ts";

/** The largest token id taken for real: a bound on what a damaged file can make us allocate. */
export const MAX_TOKEN_ID = 10_000_000;

/** A JSON object of tokenizer.json, of unknown shape. */
export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The members of a list-valued key that are objects; an absent key is an empty list. */
export function objectsOf(config: JsonObject, key: string): JsonObject[] {
  const value = config[key];
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** Raised inside this folder; `openTokenizer` adds the file's name. */
export function unsupported(what: string, value: unknown, known: readonly string[]): ModelError {
  return new ModelError(`${what} is ${shownValue(value)}; supported are ${known.join(", ")}`);
}

/** A pattern (flag `u`) that matches exactly this text. */
export function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

/** A pattern for a message. */
export function shownPattern({ source }: RegExp): string {
  return source.length > 100 ? `/${source.slice(0, 100)}…/` : `/${source}/`;
}

/** The global JavaScript pattern of `{ "String": … }` or `{ "Regex": … }` (Oniguruma syntax). */
export function patternOf(config: JsonObject, what: string): RegExp {
  const pattern = config.pattern;
  if (isObject(pattern)) {
    if (typeof pattern.String === "string" && pattern.String !== "") {
      return new RegExp(escapeRegExp(pattern.String), "gu");
    }
    if (typeof pattern.Regex === "string") {
      const split = new SplitPreTokenizer({
        type: "Split",
        pattern: { Regex: pattern.Regex },
        behavior: "Isolated",
        invert: true,
      });
      if (split.pattern !== null) return split.pattern;
    }
  }
  throw unsupported(`the pattern of ${what}`, pattern, ["String", "Regex"]);
}
