import type { RunEvent } from "../../protocol/events.ts";

/** A generated answer: its series, its text, and its tokens with their probabilities. */
export interface GeneratedAnswer {
  readonly series: string;
  readonly text: string;
  readonly tokens: readonly { readonly token: string; readonly probability: number }[];
}

/** Each run's tokens and text, in the order in which they first spoke. */
export function generatedAnswers(events: readonly RunEvent[]): GeneratedAnswer[] {
  const answers = new Map<string, GeneratedAnswer>();
  for (const event of events) {
    if (event.type !== "generation.token") continue;
    const { experiment, series, token, text } = event;
    const key = JSON.stringify([experiment, series]);
    const before = answers.get(key)?.tokens ?? [];
    const tokens = [...before, { token: token.token, probability: token.probability }];
    answers.set(key, { series, text, tokens });
  }
  return [...answers.values()];
}

/** One line for each generated answer. */
export function generationLines(events: readonly RunEvent[]): string[] {
  const answers = generatedAnswers(events);
  const width = Math.max(...answers.map(({ series }) => series.length));
  return answers.map(({ series, text }) => `${series.padEnd(width)}  ${text}`);
}
