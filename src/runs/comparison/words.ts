import type { Alignment } from "./align.ts";
import type { RunFacts } from "./facts.ts";
import { type ComparedLines, compareLines } from "./lines.ts";

/** When words of a list are the likeliest of video tokens, in each run. */
export interface ComparedWords extends ComparedLines {
  /** [runs] The words looked for. */
  readonly words: readonly (readonly string[])[];
  /** [runs] The run's own first layer, 0-based, at which one leads; null for never or not read. */
  readonly first: readonly (number | null)[];
  /** [runs] The run's own layer at which most video tokens read one; null as above. */
  readonly peak: readonly (number | null)[];
}

/** Words to look for, under one name. */
export interface WordList {
  readonly name: string;
  /** [runs] lower-case words. */
  readonly words: readonly (readonly string[])[];
}

/** The lists that every comparison follows: the right answer, the given one where it differs, and two of words. */
export function wordLists(
  runs: readonly RunFacts[],
  {
    spatial,
    temporal,
  }: { readonly spatial: readonly string[]; readonly temporal: readonly string[] },
): WordList[] {
  const right = runs.map(({ prompt, answer }) =>
    answerWords(prompt, prompt.answer ?? answer?.token),
  );
  const given = runs.map(({ prompt, answer }) => answerWords(prompt, answer?.token));
  const differ = JSON.stringify(right) !== JSON.stringify(given);
  return [
    { name: "right answer's word", words: right },
    ...(differ ? [{ name: "given answer's word", words: given }] : []),
    { name: "spatial words", words: runs.map(() => spatial) },
    { name: "temporal words", words: runs.map(() => temporal) },
  ];
}

/**
 * Words that stand for an answer: those of its option's text that no other option has; all of them
 * when none is its own.
 *
 * @param answer an option's label or an answer in words.
 */
export function answerWords(
  prompt: Pick<RunFacts["prompt"], "options">,
  answer: string | undefined,
): string[] {
  const wanted = answer?.trim() ?? "";
  const option = prompt.options.find(({ label }) => label === wanted);
  const words = wordsIn(option?.text ?? wanted);
  const others = new Set(
    prompt.options.filter((other) => other !== option).flatMap(({ text }) => wordsIn(text)),
  );
  const own = words.filter((word) => !others.has(word));
  return own.length > 0 ? own : words;
}

function wordsIn(text: string): string[] {
  return [...new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])];
}

/**
 * Share of each run's video tokens (of 1) whose likeliest word by the logit lens is one of a list, by
 * layer, and the layers at which such words appear.
 */
export function compareWords(
  runs: readonly RunFacts[],
  alignment: Alignment,
  { name, words }: WordList,
): ComparedWords {
  const own = runs.map(({ lens }, run) => {
    if (lens === null) return null;
    const wanted = new Set(words[run]);
    const isWanted = lens.words.map((word) => wanted.has(word));
    return lens.counts.map((counts) => {
      if (counts === null) return null;
      const found = counts.reduce((sum, [word, n]) => sum + (isWanted[word] === true ? n : 0), 0);
      return lens.tokens === 0 ? 0 : found / lens.tokens;
    });
  });
  const layerOf = (find: (line: readonly number[]) => number) =>
    own.map((line) => {
      const layer = line === null ? -1 : find(line.map((share) => share ?? 0));
      return layer < 0 ? null : layer;
    });
  return {
    ...compareLines(name, own, alignment),
    words,
    first: layerOf((line) => line.findIndex((share) => share > 0)),
    peak: layerOf((line) => {
      const most = Math.max(0, ...line);
      return most === 0 ? -1 : line.indexOf(most);
    }),
  };
}
