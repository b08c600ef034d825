import { isDeepStrictEqual } from "node:util";
import type { RunEvent, RunEventOf } from "../protocol/events.ts";
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

/** Compares a job with a run; a text says why the run cannot be continued by the job. */
export function remainderOf(job: AnalysisJob, events: readonly RunEvent[]): Remainder | string {
  const started = events.find((event) => event.type === "run.started");
  if (started === undefined) return "it has no event that starts a run";
  const other = difference(job, started);
  if (other !== undefined) return `it is a run of another ${other}`;
  const complete = experimentsOf(events).filter((experiment) => experiment.complete);
  const { layers } = started.model;
  const matching = (request: ExperimentRequest) =>
    complete.findLast((experiment) => isSame(request, experiment, layers));
  const kept = new Set(job.experiments.map((request) => matching(request)?.id));
  return {
    known: events.filter((event) => !("experiment" in event) || kept.has(event.experiment)),
    experiments: job.experiments.filter((request) => matching(request) === undefined),
    cleanComplete: isCleanComplete(job.observe, layers, events),
  };
}

/** What differs between a job and a run's beginning: the first thing found. */
function difference(job: AnalysisJob, started: RunEventOf<"run.started">): string | undefined {
  const { model, video, prompt } = started;
  const { clip } = job;
  if (model.folder !== job.model) return `model (${model.folder})`;
  if (video.path !== clip.path) return `video (${video.path})`;
  const frames = clip.frames ?? job.prompt.frames;
  if (frames !== undefined && frames !== video.frames.length) {
    return `number of frames (${video.frames.length})`;
  }
  const start = clip.startSeconds ?? job.prompt.startSeconds;
  const end = clip.endSeconds ?? job.prompt.endSeconds;
  if (start !== video.start || end !== video.end) return "part of the video";
  if (clip.order !== video.order) return "order of frames";
  const options = prompt.options.map(({ text }) => text);
  const answer = prompt.options.find(({ label }) => label === prompt.answer)?.text ?? prompt.answer;
  const same =
    prompt.question === job.prompt.question &&
    isDeepStrictEqual(options, [...job.prompt.options]) &&
    answer === job.prompt.answer;
  return same ? undefined : `question (${JSON.stringify(prompt.question)})`;
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
  return read.size === layers;
}
