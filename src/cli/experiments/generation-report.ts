import type { RunEvent } from "../../protocol/events.ts";
import { foldRun } from "../../runs/state.ts";

/** A generated answer: its series, its text, and its tokens with their probabilities. */
export interface GeneratedAnswer {
  readonly series: string;
  readonly text: string;
  readonly tokens: readonly { readonly token: string; readonly probability: number }[];
}

/** Each run's tokens and text, in the order in which they first spoke. */
export function generatedAnswers(events: readonly RunEvent[]): GeneratedAnswer[] {
  return [...foldRun(events).generations.values()].map(({ series, text, tokens }) => ({
    series,
    text,
    tokens: tokens.map(({ token, probability }) => ({ token, probability })),
  }));
}

/** One line for each generated answer. */
export function generationLines(events: readonly RunEvent[]): string[] {
  const answers = generatedAnswers(events);
  const width = Math.max(...answers.map(({ series }) => series.length));
  return answers.map(({ series, text }) => `${series.padEnd(width)}  ${text}`);
}
