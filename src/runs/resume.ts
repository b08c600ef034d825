import { isDeepStrictEqual } from "node:util";
import type { RunEvent } from "../protocol/events.ts";
import { recipeOf } from "../protocol/experiments/list.ts";
import type { ExperimentRequest, Observations } from "../protocol/experiments/schemas.ts";
import type { AnalysisJob } from "../protocol/requests.ts";
import { experimentsOf, type RecordedExperiment } from "./experiments.ts";

/** What a job still lacks in a run that was begun before. */
export interface Remainder {
  /** Events of the run that belong to the job: its clean pass, and its complete experiments. */
  readonly known: readonly RunEvent[];
  /** Experiments that are missing, or were stopped before their end. */
  readonly experiments: readonly ExperimentRequest[];
  /** Whether every layer of the clean pass was read with all that the job observes. */
  readonly cleanComplete: boolean;
}

/**
 * What a job lacks in a run that was begun before. Whether the run is of the job's clip, question and
 * model is the engine's to say, which compares what it prepares with what the run was made of.
 */
export function remainderOf(
  job: Pick<AnalysisJob, "observe" | "experiments">,
  events: readonly RunEvent[],
): Remainder {
  const complete = experimentsOf(events).filter((experiment) => experiment.complete);
  const layers = events.find((event) => event.type === "run.started")?.model.layers ?? 0;
  const matching = (request: ExperimentRequest) =>
    complete.findLast((experiment) => isSame(request, experiment, layers));
  const kept = new Set(job.experiments.map((request) => matching(request)?.id));
  return {
    known: events.filter((event) => !("experiment" in event) || kept.has(event.experiment)),
    experiments: job.experiments.filter((request) => matching(request) === undefined),
    cleanComplete: isCleanComplete(job.observe, layers, events),
  };
}

/** Whether a recorded experiment is the one that is asked for, by its recipe. */
function isSame(request: ExperimentRequest, recorded: RecordedExperiment, layers: number): boolean {
  if (recorded.kind !== request.kind) return false;
  const asked: Record<string, unknown> = recipeOf(request, layers);
  const recipe: Readonly<Record<string, unknown>> = recorded.recipe;
  // A recipe may say more than was asked, such as the share of edges left.
  return Object.keys(asked).every((key) =>
    isDeepStrictEqual(asFile(recipe[key]), asFile(asked[key])),
  );
}

/** A value as a file would give it back: what is undefined is left out. */
function asFile(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

function isCleanComplete(
  observe: Observations,
  layers: number,
  events: readonly RunEvent[],
): boolean {
  if (!events.some(({ type }) => type === "answer")) return false;
  const read = new Set<number>();
  for (const event of events) {
    if (event.type !== "layer.clean") continue;
    const whole =
      (observe.lens === false || event.lens !== undefined) &&
      (!observe.mass || event.mass !== undefined) &&
      (observe.attention === "none" || event.attention !== undefined);
    if (whole) read.add(event.layer);
  }
  return layers > 0 && read.size === layers;
}
