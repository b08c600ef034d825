import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { AnalysisJob } from "../engine/jobs.ts";
import type { EngineClient } from "../engine/service/client.ts";
import type { EventSink, RunEvent } from "../runs/events.ts";
import { runFilePath } from "../runs/names.ts";
import { RunWriter } from "../runs/writer.ts";

/**
 * Runs a job and keeps its events: in the run file as they come, and in memory for the report. What
 * was found stays in the file, whatever happens.
 *
 * @param out the run file; absent: named after the clip, in the current folder.
 * @throws whatever the engine threw, or InputError when the file cannot be written.
 */
export async function recordRun(
  client: EngineClient,
  job: AnalysisJob,
  out: string | undefined,
  sink: EventSink,
  signal: AbortSignal,
): Promise<{ readonly events: readonly RunEvent[]; readonly path: string }> {
  const path =
    out === undefined
      ? runFilePath(process.cwd(), job.clip.path, job.prompt.id, new Date(), existsSync)
      : resolve(out);
  const writer = await RunWriter.create(path);
  const events: RunEvent[] = [];
  const take = (event: RunEvent) => {
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
    await client.run(job, take, stop.signal);
  } finally {
    signal.removeEventListener("abort", passOn);
    await writer.close();
  }
  return { events, path };
}
