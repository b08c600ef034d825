import type { ClipQuestion } from "../protocol/prompt-item.ts";
import { nearest } from "./nearest.ts";
import type { Offsets, Report } from "./problems.ts";
import { layOutQuestion } from "./question-block.ts";
import { templateProblem } from "./templates.ts";
import { optionLabel, wordRanges } from "./words.ts";

/** A question's text, as the checks see it. */
interface Source {
  /** Name of the key that lists the options. */
  readonly optionsKey: string;
  /** Place of a key's value, or of a member of its list; of the question, where there is none. */
  at(key: string, index?: number): Offsets;
  source(offsets: Offsets): string;
  readonly report: Report;
}

/** The checks that need more than one value: what a schema cannot say. */
export function checkQuestion(item: ClipQuestion, ids: Set<string>, source: Source): void {
  checkId(item, ids, source);
  checkOptions(item, source);
  checkAnswer(item, source);
  checkKeywords(item, source);
  checkTimes(item, source);
  const wrong = item.template === undefined ? undefined : templateProblem(item.template);
  if (wrong !== undefined) source.report("bad-template", source.at("template"), wrong);
}

function checkId(item: ClipQuestion, ids: Set<string>, source: Source): void {
  if (item.id === undefined) return;
  if (ids.has(item.id)) {
    const message = `the id ${JSON.stringify(item.id)} is taken by an earlier question`;
    source.report("duplicate-id", source.at("id"), message);
  }
  ids.add(item.id);
}

function checkOptions(item: ClipQuestion, source: Source): void {
  item.options.forEach((option, i) => {
    if (option.trim() === "") {
      const message = `option (${optionLabel(i)}) is empty`;
      source.report("wrong-type", source.at(source.optionsKey, i), message);
    } else if (item.options.indexOf(option) < i) {
      const message = `option (${optionLabel(i)}) repeats an earlier one`;
      source.report("duplicate-option", source.at(source.optionsKey, i), message, {
        severity: "warning",
      });
    }
  });
}

function checkAnswer({ answer, options }: ClipQuestion, source: Source): void {
  if (answer === undefined || options.length === 0 || options.includes(answer)) return;
  const meant = meantOption(answer, options);
  const offsets = source.at("answer");
  const fix = {
    title: `Change to ${JSON.stringify(meant)}`,
    edits: [{ offsets, text: JSON.stringify(meant) }],
  };
  const message = `the answer ${JSON.stringify(answer)} is none of the options`;
  source.report("answer-not-an-option", offsets, message, meant === undefined ? {} : { fix });
}

/** The option a wrong answer stands for: the one of that label ("B", "(b)"), else the nearest. */
function meantOption(answer: string, options: readonly string[]): string | undefined {
  const letter = /^\(?([A-Za-z])[).:]?$/.exec(answer.trim())?.[1]?.toUpperCase();
  const labelled = options.find((_, i) => optionLabel(i) === letter);
  return labelled ?? nearest(answer, options)?.text;
}

function checkKeywords(item: ClipQuestion, source: Source): void {
  if (item.options.some((option) => option.trim() === "")) return;
  const { text } = layOutQuestion({ ...item, answer: undefined, keywords: [] });
  item.keywords.forEach((keyword, i) => {
    if (wordRanges(text, keyword).length > 0) return;
    const message = `the keyword ${JSON.stringify(keyword)} is no word of the question or its options`;
    source.report("keyword-not-found", source.at("keywords", i), message);
  });
}

function checkTimes({ startSeconds, endSeconds }: ClipQuestion, source: Source): void {
  if (startSeconds === undefined || endSeconds === undefined || startSeconds < endSeconds) return;
  const start = source.at("start");
  const end = source.at("end");
  const fix = {
    title: "Swap start and end",
    edits: [
      { offsets: start, text: source.source(end) },
      { offsets: end, text: source.source(start) },
    ],
  };
  const message = `the part to look at ends at ${endSeconds} s, not after its start at ${startSeconds} s`;
  source.report("bad-time-range", end, message, startSeconds > endSeconds ? { fix } : {});
}
