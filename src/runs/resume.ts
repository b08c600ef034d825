import { isDeepStrictEqual } from "node:util";
import type { RunEvent, RunTokens } from "../protocol/events.ts";
import { type Recorded, recipeOf } from "../protocol/experiments/list.ts";
import type { ExperimentRequest, Observations } from "../protocol/experiments/schemas.ts";
import type { AnalysisJob } from "../protocol/requests.ts";
import { USUAL_LENS } from "../protocol/vocabulary.ts";
import { foldRun, type LayerState, type RunState } from "./state.ts";

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
  const state = foldRun(events);
  const complete = [...state.experiments.values()].filter(({ seconds }) => seconds !== null);
  const layers = state.layerCount;
  const matching = (request: ExperimentRequest) =>
    complete.findLast((experiment) => isSame(request, experiment, layers));
  const kept = new Set(job.experiments.map((request) => matching(request)?.id));
  return {
    known: events.filter((event) => !("experiment" in event) || kept.has(event.experiment)),
    experiments: job.experiments.filter((request) => matching(request) === undefined),
    cleanComplete: isCleanComplete(job.observe, state),
  };
}

/** Whether a recorded experiment is the one that is asked for, by its recipe. */
function isSame(request: ExperimentRequest, recorded: Recorded, layers: number): boolean {
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

/** Whether every layer was read in all the ways that are asked for. */
function isCleanComplete(observe: Observations, { run, answer, layers, layerCount }: RunState) {
  if (run === null || answer === null) return false;
  return (
    layerCount > 0 &&
    Array.from({ length: layerCount }, (_, layer) => layers[layer]).every(
      (layer) =>
        layer !== undefined &&
        (!observe.mass || layer.mass !== undefined) &&
        hasLens(layer, observe.lens) &&
        hasAttention(layer, observe, run.tokens),
    )
  );
}

function hasLens({ lens }: LayerState, asked: Observations["lens"]): boolean {
  if (asked === false) return true;
  const { norm, unembedding } = asked === true ? USUAL_LENS : asked;
  return lens.some((read) => read.norm === norm && read.unembedding === unembedding);
}

/** Whether one reading holds all rows asked for; "text" are those after the last video token. */
function hasAttention(
  { attention }: LayerState,
  { attention: asked, headAveraged }: Observations,
  { groups, length }: RunTokens,
): boolean {
  if (asked === "none") return true;
  const video = groups.find(({ name }) => name === "video")?.spans ?? [];
  const after = video.at(-1)?.[1] ?? 0;
  const rows =
    asked === "text" ? Array.from({ length: length - after }, (_, i) => after + i) : asked;
  return attention.some((read) => {
    const held = new Set(read.queries);
    return read.headAveraged === headAveraged && rows.every((row) => held.has(row));
  });
}
