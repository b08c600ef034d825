import { answerProbability } from "../state.ts";
import { type Alignment, alignLayers } from "./align.ts";
import type { RunFacts, SeriesFacts } from "./facts.ts";
import { type ComparedLines, compareLines, type Values } from "./lines.ts";

/** Runs that can stand side by side and still be told apart. */
export const MIN_RUNS = 2;
export const MAX_RUNS = 4;

/** Which probability is followed through the layers. */
export type AnswerSubject =
  /** Each run's own true option. */
  | { readonly kind: "truth" }
  /** One answer in all runs: the option's label, or the answer's token where there are no options. */
  | { readonly kind: "token"; readonly token: string };

/** The layers of runs on one axis. */
export function alignRuns(runs: readonly RunFacts[]): Alignment {
  return alignLayers(runs.map(({ model }) => model.layers));
}

/** What is followed when nothing was chosen: the true option, or else the first run's answer. */
export function usualSubject(runs: readonly RunFacts[]): AnswerSubject {
  const all = runs.every(
    ({ prompt }) =>
      prompt.answer !== null && prompt.options.some(({ label }) => label === prompt.answer),
  );
  return all ? { kind: "truth" } : { kind: "token", token: runs[0]?.answer?.token.trim() ?? "" };
}

/**
 * Probability of an answer at the last position after each layer (METHODS.md, "Layer-wise answer
 * probability"), a share of 1. Null where a run does not tell it: an answer that is no option is known
 * only where it is among the likeliest tokens.
 */
export function compareAnswers(
  runs: readonly RunFacts[],
  alignment: Alignment,
  subject: AnswerSubject,
  reading: "normed" | "raw",
): ComparedLines {
  const own = runs.map((run): Values | null => {
    const label = subject.kind === "truth" ? run.prompt.answer : subject.token;
    if (label === null) return null;
    const line = run.layers.map((layer) => {
      const read = layer?.[reading];
      if (read === undefined) return null;
      return answerProbability(read, { label }) ?? answerProbability(read, { token: label });
    });
    return line.some((value) => value !== null) ? line : null;
  });
  const name = subject.kind === "truth" ? "true option" : `“${subject.token}”`;
  return compareLines(name, own, alignment);
}

/** A knockout series of all runs, with what it was measured with. */
export interface ComparedSeries extends ComparedLines {
  readonly kind: SeriesFacts["kind"];
  readonly style: SeriesFacts["style"];
  readonly target: string | null;
  /** [runs] "window 9, center"; null where the run does not hold the series. */
  readonly settings: readonly (string | null)[];
  /** Whether the runs that hold it were measured with the same window. */
  readonly sameSettings: boolean;
}

/**
 * Every knockout series of any run: change of the answer's probability in percent by the window's
 * centre, and differences in percentage points.
 *
 * @param of the clean answer of each run, or its true option.
 */
export function compareSweeps(
  runs: readonly RunFacts[],
  alignment: Alignment,
  of: "answer" | "truth",
): ComparedSeries[] {
  const first = new Map<string, SeriesFacts>();
  for (const run of runs) {
    for (const series of run.series) if (!first.has(series.name)) first.set(series.name, series);
  }
  return [...first.values()].map(({ name, kind, target, style }) => {
    const held = runs.map((run) => run.series.find((series) => series.name === name) ?? null);
    const own = held.map(
      (series) =>
        series?.points.map(
          (point) => (of === "answer" ? point?.change : point?.changeOfTruth) ?? null,
        ) ?? null,
    );
    const settings = held.map((series) => series && settingsOf(series));
    const different = new Set(settings.filter((text) => text !== null)).size > 1;
    return {
      ...compareLines(name, own, alignment),
      kind,
      style,
      target,
      settings,
      sameSettings: !different,
    };
  });
}

function settingsOf({ window, style }: SeriesFacts): string {
  return `window ${window ?? "unknown"}, ${style}`;
}

/** Key groups that do not overlap, in the order of the prompt. */
const PARTITION = ["system", "video", "question", "last"];

/** Query groups whose mass any run holds, in the first run's order. */
export function massQueries(runs: readonly RunFacts[]): string[] {
  return [...new Set(runs.flatMap(({ mass }) => mass?.queries ?? []))];
}

/**
 * Attention that a query group gives to each part of the prompt, mean over its positions and over
 * heads, by layer: shares of 1.
 */
export function compareMass(
  runs: readonly RunFacts[],
  alignment: Alignment,
  query: string,
): ComparedLines[] {
  const keys = PARTITION.filter((key) => runs.some(({ mass }) => mass?.keys.includes(key)));
  return keys.map((key) => {
    const own = runs.map(({ mass }): Values | null => {
      const q = mass?.queries.indexOf(query) ?? -1;
      const k = mass?.keys.indexOf(key) ?? -1;
      if (mass === null || q < 0 || k < 0) return null;
      return mass.means.map((means) => means?.[q]?.[k] ?? null);
    });
    return compareLines(key, own, alignment);
  });
}
