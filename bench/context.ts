import type { ExperimentContext } from "../src/engine/experiments/plan.ts";
import { range } from "../src/engine/trace/rows.ts";

/** The paper's prompt in positions: 8 frames of 144 tokens between a system text and a question. */
export const PROMPT = {
  system: 46,
  frames: 8,
  perFrame: 144,
  question: 22,
  option: 6,
  options: 3,
  tail: 16,
};

/** Token groups of such a prompt, for a decoder of the given size; S = 1,254 with the defaults. */
export function benchContext(layers: number, heads: number): ExperimentContext {
  const groups = new Map<string, Int32Array>();
  let at = 0;
  const next = (count: number) => {
    at += count;
    return range(at - count, at);
  };
  groups.set("system", next(PROMPT.system));
  const videoStart = at;
  for (let i = 0; i < PROMPT.frames; i++) groups.set(`frame:${i}`, next(PROMPT.perFrame));
  groups.set("video", range(videoStart, at));
  const questionStart = at;
  groups.set("question-only", next(PROMPT.question));
  const falseOptions: number[] = [];
  for (let i = 0; i < PROMPT.options; i++) {
    const option = next(PROMPT.option);
    if (i === 0) groups.set("true-option", option);
    else falseOptions.push(...option);
  }
  groups.set("false-options", Int32Array.from(falseOptions));
  groups.set("question", range(questionStart, at));
  next(PROMPT.tail);
  groups.set("last", range(at - 1, at));
  return { groups, length: at, layers, heads };
}
