import type { CharRange } from "../tokenizer/aligned.ts";

/** The task description of the paper's reference implementation for multiple-choice questions. */
export const SYSTEM_TEXT =
  "Carefully watch the video and pay attention to the cause and sequence of events, the detail and " +
  "movement of objects, and the action and pose of persons. Based on your observations, select the " +
  "best option that accurately addresses the question.\n";

/** What stands for the video in a rendered prompt. */
export const VIDEO_PLACEHOLDER = "<image>";

/** Options are labelled A, B, C …: the model answers with the letter. */
export const MAX_OPTIONS = 26;

/** Label of the option at an index: 0 is "A". */
export function optionLabel(index: number): string {
  return String.fromCharCode("A".charCodeAt(0) + index);
}

/** Scripts written without spaces: there a word's border cannot be told from its neighbours. */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const WORD = /[\p{Alphabetic}\p{M}\p{N}\p{Pc}]/u;

/**
 * Every whole-word occurrence of a word (or of several words in a row) in a text, as half-open
 * ranges. As it is written; only when that occurs nowhere, whatever its case.
 */
export function wordRanges(text: string, word: string): CharRange[] {
  const exact = occurrences(text, word);
  if (exact.length > 0) return exact;
  const lowered = text.toLowerCase();
  // A text whose length changes with its case has no common positions.
  return lowered.length === text.length ? occurrences(lowered, word.toLowerCase()) : [];
}

function occurrences(text: string, word: string): CharRange[] {
  const found: CharRange[] = [];
  if (word === "") return found;
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    const end = at + word.length;
    const inside =
      continues([...text.slice(0, at)].at(-1), [...word][0]) ||
      continues([...word].at(-1), [...text.slice(end, end + 2)][0]);
    if (!inside && at >= (found.at(-1)?.end ?? 0)) found.push({ start: at, end });
  }
  return found;
}

/** Whether two neighbouring characters are of one word. */
function continues(left: string | undefined, right: string | undefined): boolean {
  if (left === undefined || right === undefined) return false;
  if (!WORD.test(left) || !WORD.test(right)) return false;
  return !UNSPACED.test(left) && !UNSPACED.test(right);
}
