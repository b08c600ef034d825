import { createContext, Script } from "node:vm";
import { ModelError } from "../common/errors.ts";

/** Seconds that one text may take. A prompt of 100,000 tokens takes less than one. */
const MAX_SECONDS = 5;
/** Code units of a text on its way to tokens: a prompt of 100,000 tokens has about 400,000. */
export const MAX_TEXT = 4_000_000;

/** Says which part of a tokenizer works next, so that what hits a bound can be named. */
export type Announce = (part: string) => void;

const WORK = new Script("work()");

/**
 * Does something that a foreign file's patterns may make endless, within the time for one text: a
 * regular expression can explode, and nothing else ends it.
 *
 * @param part names the part that works when the time is over.
 * @throws ModelError when the time is over.
 */
export function withinTime<T>(work: () => T, part: () => string): T {
  const done: { result?: { readonly value: T } } = {};
  const context = createContext({
    work: () => {
      done.result = { value: work() };
    },
  });
  try {
    WORK.runInContext(context, { timeout: MAX_SECONDS * 1000 });
  } catch (error) {
    // The error is one of the other context: no instance of our Error.
    const code = typeof error === "object" && error !== null && "code" in error && error.code;
    if (code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
  }
  if (done.result !== undefined) return done.result.value;
  throw new ModelError(
    `the tokenizer works on this text for more than ${MAX_SECONDS} s, in ${part()}; a pattern ` +
      "like this cannot be used",
  );
}

/** Refuses a text that a tokenizer's replacements made too large. */
export function checkSize(length: number, part: string): void {
  if (length <= MAX_TEXT) return;
  throw new ModelError(
    `the tokenizer makes more than ${MAX_TEXT.toLocaleString("en")} characters of this text, in ${part}`,
  );
}
