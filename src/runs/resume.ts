import { isDeepStrictEqual } from "node:util";
import type { RunEvent } from "../protocol/events.ts";
import type { AnalysisJob, ExperimentRequest, Observations } from "../protocol/requests.ts";
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
function isSame(
  request: ExperimentRequest,
  { kind, recipe }: RecordedExperiment,
  layers: number,
): boolean {
  if (kind !== request.kind) return false;
  const { kind: _, ...asked } = request;
  const plain: Record<string, unknown> = JSON.parse(JSON.stringify(asked));
  if (request.kind === "knockout") {
    const [first, last] = request.layers ?? [0, layers - 1];
    delete plain.layers;
    plain.centres = [[first, last + 1]];
  }
  // A recipe says more than was asked, such as the share of edges left; never less.
  const stated = Object.entries(plain).every(([key, value]) =>
    isDeepStrictEqual(recipe[key], value),
  );
  const optional = ["crossFrame", "videoToQuestion", "questionToLast", "randomSeed"];
  return stated && optional.every((key) => key in plain || recipe[key] === undefined);
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
