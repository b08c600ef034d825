import type { RunEvent, RunEventOf } from "../protocol/events.ts";
import type { Recorded } from "../protocol/experiments/list.ts";
import { type ExperimentState, foldRun } from "./state.ts";

/** An experiment of a run, as far as it came. */
export type RecordedExperiment = Recorded & {
  readonly id: string;
  readonly results: readonly RunEventOf<"branch.result">[];
  /** Whether it came to its end; one that did not is made again when a run is resumed. */
  readonly complete: boolean;
  /** What a search found. */
  readonly outcome?: SearchOutcome;
};

/** The end of a search, without what names its event. */
export type SearchOutcome = Omit<RunEventOf<"pathway.found">, "type" | "experiment">;

/**
 * The experiments of a run, in the order in which they were begun; of those that were stopped and made
 * once more, the later one.
 */
export function experimentsOf(events: readonly RunEvent[]): RecordedExperiment[] {
  return [...foldRun(events).experiments.values()].map(recordedExperiment);
}

/** An experiment of a folded run, with its results in order of arrival. */
export function recordedExperiment(state: ExperimentState): RecordedExperiment {
  const { id, points, seconds, search } = state;
  const { kind, recipe } = state;
  const recorded = { kind, recipe } as Recorded;
  const common = { ...recorded, id, results: [...points.values()], complete: seconds !== null };
  if (search === null) return common;
  const { type: _, experiment: __, ...outcome } = search;
  return { ...common, outcome };
}
