import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { InputError } from "../common/errors.ts";
import type { EngineClient } from "../engine/service/client.ts";
import type { EventSink, RunEvent } from "../protocol/events.ts";
import type { AnalysisJob } from "../protocol/requests.ts";
import { withFreshExperimentIds } from "../runs/experiments.ts";
import { readRunFile } from "../runs/file.ts";
import { runFilePath } from "../runs/names.ts";
import { remainderOf } from "../runs/resume.ts";
import { RunWriter } from "../runs/writer.ts";

/** A job's events, those of an earlier run of it included, and the file that holds them. */
export interface RecordedRun {
  readonly events: readonly RunEvent[];
  readonly path: string;
}

/**
 * Runs a job and keeps its events: in the run file as they come, and in memory for the report. What
 * was found stays in the file, whatever happens. A file that is a run of the same model, clip and
 * question is continued: its events are told again, and only what it lacks is computed.
 *
 * @param out the run file, or the folder for it; absent: in the current folder, named after the clip.
 * @throws whatever the engine threw, or InputError when the file cannot be written, or is something
 *   else: known before any work.
 */
export async function recordRun(
  client: EngineClient,
  job: AnalysisJob,
  out: string | undefined,
  sink: EventSink,
  signal: AbortSignal,
): Promise<RecordedRun> {
  const path = pathOf(job, out);
  return existsSync(path)
    ? continueRun(client, job, path, sink, signal)
    : write(client, job, await RunWriter.create(path), [], sink, signal);
}

function pathOf(job: AnalysisJob, out: string | undefined): string {
  const given = resolve(out ?? ".");
  const isFolder =
    out === undefined ||
    /[\\/]$/.test(out) ||
    statSync(given, { throwIfNoEntry: false })?.isDirectory() === true;
  return isFolder
    ? runFilePath(given, job.clip.path, job.prompt.id, new Date(), existsSync)
    : given;
}

async function continueRun(
  client: EngineClient,
  job: AnalysisJob,
  path: string,
  sink: EventSink,
  signal: AbortSignal,
): Promise<RecordedRun> {
  const { events } = await readRunFile(path);
  const remainder = remainderOf(job, events);
  if (typeof remainder === "string") {
    throw new InputError(`${path}: exists already, and ${remainder}; choose another file`);
  }
  const { experiments, cleanComplete } = remainder;
  const known = remainder.known.filter(
    ({ type }) => type !== "run.finished" && (cleanComplete || !CLEAN.has(type)),
  );
  for (const event of known) sink(event);
  if (experiments.length === 0 && cleanComplete) return { events: known, path };
  const taken = events.flatMap((event) => ("experiment" in event ? [event.experiment] : []));
  const writer = await RunWriter.append(path);
  const rest = { ...job, experiments };
  return write(client, rest, writer, known, sink, signal, (next) =>
    withFreshExperimentIds(taken, (event) => {
      const again = event.type === "run.started" || (cleanComplete && CLEAN.has(event.type));
      if (!again) next(event);
    }),
  );
}

/** Events of the clean pass. */
const CLEAN: ReadonlySet<RunEvent["type"]> = new Set(["video.frames", "layer.clean", "answer"]);

async function write(
  client: EngineClient,
  job: AnalysisJob,
  writer: RunWriter,
  known: readonly RunEvent[],
  sink: EventSink,
  signal: AbortSignal,
  filter: (next: EventSink) => EventSink = (next) => next,
): Promise<RecordedRun> {
  const events = [...known];
  const take = filter((event) => {
    if (event.type !== "progress") events.push(event);
    writer.append(event);
    sink(event);
  });
  const stop = new AbortController();
  const passOn = () => stop.abort();
  signal.addEventListener("abort", passOn, { once: true });
  if (signal.aborted) stop.abort();
  // A full disk ends the work: results that cannot be kept are not worth computing.
  void writer.failed.then(() => stop.abort());
  try {
    await client.run(job, take, stop.signal);
  } finally {
    signal.removeEventListener("abort", passOn);
    await writer.close();
  }
  return { events, path: writer.path };
}
