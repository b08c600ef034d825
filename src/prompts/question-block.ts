import { InputError } from "../common/errors.ts";
import type { PromptItem } from "../protocol/prompt-item.ts";
import type { CharRange } from "../tokenizer/aligned.ts";
import { MAX_OPTIONS, optionLabel, wordRanges } from "./words.ts";

/** An option as the prompt shows it. */
export interface LabelledOption {
  readonly label: string;
  readonly text: string;
}

/** The part of a prompt that states the question, and where its groups stand in it. */
export interface QuestionBlock {
  readonly text: string;
  readonly options: readonly LabelledOption[];
  /** Label of the right option, or the right answer in words; absent when unknown. */
  readonly answer: string | undefined;
  /** Text groups of METHODS by name, as half-open ranges of the block's characters. */
  readonly ranges: ReadonlyMap<string, readonly CharRange[]>;
}

/**
 * Lays out a question: "Question: …\nOptions:\n(A) …\n(B) …" as the paper's reference does, or just
 * its own words when there are no options.
 *
 * Groups: `question` (the whole block), `question-only` (the question's own words, as the reference
 * takes it: without "Question:" and without the options), `option:A` … (label included),
 * `true-option` and `false-options` when the answer is known, and `keyword:<word>`.
 *
 * @throws InputError when there is no question, there are too many options or an empty one, the
 *   answer is none of the options, or a keyword does not occur.
 */
export function layOutQuestion(item: PromptItem): QuestionBlock {
  if (item.question.trim() === "") throw new InputError("the question is empty");
  if (item.options.length > MAX_OPTIONS) {
    throw new InputError(
      `the question has ${item.options.length} options; up to ${MAX_OPTIONS} can be labelled`,
    );
  }
  const ranges = new Map<string, readonly CharRange[]>();
  const options = item.options.map((text, i) => ({ label: optionLabel(i), text }));
  const lead = options.length > 0 ? "Question: " : "";
  const only = { start: lead.length, end: lead.length + item.question.length };
  let text = lead + item.question;
  if (options.length > 0) text += "\nOptions:";
  for (const option of options) {
    if (option.text.trim() === "") throw new InputError(`option (${option.label}) is empty`);
    const start = text.length + 1;
    text += `\n(${option.label}) ${option.text}`;
    ranges.set(`option:${option.label}`, [{ start, end: text.trimEnd().length }]);
  }
  text = text.trimEnd();
  const all = new Map<string, readonly CharRange[]>([
    ["question", [{ start: 0, end: text.length }]],
    ["question-only", [{ start: only.start, end: Math.min(only.end, text.length) }]],
    ...ranges,
  ]);
  const answer = answerOf(item);
  if (options.length > 0 && answer !== undefined) {
    all.set("true-option", ranges.get(`option:${answer}`) ?? []);
    all.set(
      "false-options",
      options
        .filter((option) => option.text !== item.answer)
        .flatMap((option) => ranges.get(`option:${option.label}`) ?? []),
    );
  }
  for (const word of item.keywords) {
    const found = wordRanges(text, word);
    if (found.length === 0) {
      throw new InputError(
        `the keyword ${JSON.stringify(word)} is no word of the question or its options`,
      );
    }
    all.set(`keyword:${word}`, found);
  }
  return { text, options, answer, ranges: all };
}

/** Label of the right option (the last of several equal ones, as the reference), or the words. */
function answerOf(item: PromptItem): string | undefined {
  if (item.answer === undefined || item.options.length === 0) return item.answer;
  const index = item.options.lastIndexOf(item.answer);
  if (index >= 0) return optionLabel(index);
  throw new InputError(
    `the answer ${JSON.stringify(item.answer)} is none of the options: ` +
      item.options.map((option) => JSON.stringify(option)).join(", "),
  );
}
