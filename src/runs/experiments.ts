import type { RunEvent, RunEventOf } from "../protocol/events.ts";
import type { Recorded } from "../protocol/experiments/list.ts";

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
 * The experiments of a run, in the order in which they were begun. An id that begins anew (a run that
 * was resumed under the same ids) replaces its earlier attempt.
 */
export function experimentsOf(events: readonly RunEvent[]): RecordedExperiment[] {
  const found = new Map<string, RecordedExperiment & { results: RunEventOf<"branch.result">[] }>();
  for (const event of events) {
    if (event.type === "experiment.started") {
      const { type: _, experiment: id, branches: __, ...recorded } = event;
      found.delete(id);
      found.set(id, { id, ...recorded, results: [], complete: false });
    } else if (event.type === "branch.result") {
      found.get(event.experiment)?.results.push(event);
    } else if (event.type === "pathway.found") {
      const { type: _, experiment: id, ...outcome } = event;
      const experiment = found.get(id);
      if (experiment !== undefined) found.set(id, { ...experiment, outcome });
    } else if (event.type === "experiment.finished") {
      const experiment = found.get(event.experiment);
      if (experiment !== undefined) found.set(experiment.id, { ...experiment, complete: true });
    }
  }
  return [...found.values()];
}
