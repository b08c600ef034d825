import type { ExperimentRequest } from "../../protocol/experiments/schemas.ts";
import { KNOCKOUT_TARGETS, type KnockoutTarget } from "../../protocol/vocabulary.ts";
import type { RunFacts, SeriesFacts } from "./facts.ts";

/** An observation that another run of the comparison holds, and this one does not. */
export type Missing =
  | { readonly run: number; readonly what: "answer" | "mass" | "lens" }
  | {
      readonly run: number;
      readonly what: "series";
      readonly series: readonly string[];
      /** What measures them as the other run did; null when this run's prompt has no such edges. */
      readonly request: ExperimentRequest | null;
    };

/** All that runs lack beside one another, in the order of the runs. */
export function missingOf(runs: readonly RunFacts[]): Missing[] {
  const any = (has: (facts: RunFacts) => boolean) => runs.some(has);
  const answered = ({ layers }: RunFacts) => layers.some((layer) => layer !== null);
  return runs.flatMap((facts, run) => {
    const lacks: Missing[] = [];
    if (!answered(facts) && any(answered)) lacks.push({ run, what: "answer" });
    lacks.push(...missingSeries(runs, facts, run));
    if (facts.mass === null && any(({ mass }) => mass !== null)) lacks.push({ run, what: "mass" });
    if (facts.lens === null && any(({ lens }) => lens !== null)) lacks.push({ run, what: "lens" });
    return lacks;
  });
}

/** Series that other runs hold, by what one experiment can measure at once. */
function missingSeries(runs: readonly RunFacts[], facts: RunFacts, run: number): Missing[] {
  const own = new Set(facts.series.map(({ name }) => name));
  const lacking = new Map<string, SeriesFacts>();
  for (const series of runs.flatMap((other) => other.series)) {
    if (!own.has(series.name) && !lacking.has(series.name)) lacking.set(series.name, series);
  }
  const groups = new Map<string, SeriesFacts[]>();
  for (const series of lacking.values()) {
    const { kind, window, style } = series;
    const key = JSON.stringify([kind, window, style, measurable(facts, series)]);
    groups.set(key, [...(groups.get(key) ?? []), series]);
  }
  return [...groups.values()].map((series) => ({
    run,
    what: "series",
    series: series.map(({ name }) => name),
    request: requestFor(facts, series),
  }));
}

function targetOf({ target }: SeriesFacts): KnockoutTarget | undefined {
  return KNOCKOUT_TARGETS.find((known) => known === target);
}

/** Whether a run's prompt has the token groups that a series cuts between. */
function measurable({ prompt, grid }: RunFacts, series: SeriesFacts): boolean {
  if (series.kind === "keyword") {
    return prompt.keywords.some((word) => series.name.toLowerCase().includes(word.toLowerCase()));
  }
  switch (targetOf(series)) {
    case "cross-frame":
      return grid.frames > 1;
    case "vql-to-ql":
      return true;
    case "question-and-options-to-last":
    case "vq-to-true-opt":
      return prompt.options.length > 0 && prompt.answer !== null;
    case undefined:
      return false;
  }
}

/** The experiment that measures series as they were measured elsewhere: same window and style. */
function requestFor(facts: RunFacts, series: readonly SeriesFacts[]): ExperimentRequest | null {
  const [first] = series;
  if (first === undefined || !measurable(facts, first)) return null;
  const { kind, window, style } = first;
  if (window === null) return null;
  if (kind === "keyword") return { kind, window, style };
  const targets = KNOCKOUT_TARGETS.filter((target) => series.some((s) => targetOf(s) === target));
  return { kind, targets, window, style };
}
