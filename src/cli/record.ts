import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { EngineClient } from "../engine/service/client.ts";
import type { EventSink, RunEvent } from "../protocol/events.ts";
import type { AnalysisJob } from "../protocol/requests.ts";
import { fileStart, readRunFile } from "../runs/file.ts";
import { lockRun } from "../runs/lock.ts";
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
 * question is continued: its events are told again, and only what it lacks is computed. While another
 * program writes the file, this one waits.
 *
 * @param out the run file, or the folder for it; absent: in the current folder, named after the clip.
 * @throws whatever the engine threw, or InputError when the file cannot be written, is something else,
 *   or is a run of something else: known before any work.
 */
export async function recordRun(
  client: EngineClient,
  job: AnalysisJob,
  out: string | undefined,
  sink: EventSink,
  signal: AbortSignal,
): Promise<RecordedRun> {
  const path = pathOf(job, out);
  const say = (message: string, level: "info" | "warning" = "info") =>
    sink({ type: "notice", level, message });
  const lock = await lockRun(path, { signal, onWait: say });
  try {
    const start = await fileStart(path);
    const isNew = start === "absent" || start === "unstarted";
    const writer = isNew ? await RunWriter.create(path) : undefined;
    if (lock.problem !== undefined) say(lock.problem, "warning");
    return await (writer === undefined
      ? continueRun(client, job, path, sink, signal)
      : write(client, job, writer, [], sink, signal));
  } finally {
    await lock.release();
  }
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

/** Events of the clean pass. */
const CLEAN: ReadonlySet<RunEvent["type"]> = new Set(["video.frames", "layer.clean", "answer"]);

async function continueRun(
  client: EngineClient,
  job: AnalysisJob,
  path: string,
  sink: EventSink,
  signal: AbortSignal,
): Promise<RecordedRun> {
  const { events } = await readRunFile(path, signal);
  const started = events.find((event) => event.type === "run.started");
  if (started === undefined) throw new Error(`${path} was read without its first event`);
  const { experiments, cleanComplete, known: own } = remainderOf(job, events);
  const rest = {
    ...job,
    experiments,
    continues: { file: path, started, cleanKnown: cleanComplete },
  };
  const known = own.filter(
    ({ type }) => type !== "run.finished" && (cleanComplete || !CLEAN.has(type)),
  );
  // Nothing is told or written before the engine has found that the run is of the same input.
  const pending: RunEvent[] = [...known];
  const take = (event: RunEvent, next: EventSink) => {
    const accepted = event.type !== "progress" && event.type !== "run.finished";
    if (accepted) for (const earlier of pending.splice(0)) sink(earlier);
    if (event.type === "progress" || pending.length === 0) next(event);
  };
  if (experiments.length === 0 && cleanComplete) {
    await client.run(
      rest,
      (event) => {
        if (event.type === "progress" || event.type === "notice") take(event, sink);
      },
      signal,
    );
    for (const earlier of pending) sink(earlier);
    return { events: known, path };
  }
  const writer = await RunWriter.append(path);
  return write(client, rest, writer, known, sink, signal, take);
}

async function write(
  client: EngineClient,
  job: AnalysisJob,
  writer: RunWriter,
  known: readonly RunEvent[],
  sink: EventSink,
  signal: AbortSignal,
  through: (event: RunEvent, next: EventSink) => void = (event, next) => next(event),
): Promise<RecordedRun> {
  const events = [...known];
  const keep: EventSink = (event) => {
    if (event.type !== "progress") events.push(event);
    writer.append(event);
    sink(event);
  };
  const stop = new AbortController();
  const passOn = () => stop.abort();
  signal.addEventListener("abort", passOn, { once: true });
  if (signal.aborted) stop.abort();
  // A full disk ends the work: results that cannot be kept are not worth computing.
  void writer.failed.then(() => stop.abort());
  try {
    await client.run(job, (event) => through(event, keep), stop.signal);
  } finally {
    signal.removeEventListener("abort", passOn);
    await writer.close();
  }
  return { events, path: writer.path };
}
