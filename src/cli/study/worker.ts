import { createHash } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { rename } from "node:fs/promises";
import { CancelledError, InputError } from "../../common/errors.ts";
import { folderStamp } from "../../engine/checkpoint/identity.ts";
import type { EngineClient } from "../../engine/service/client.ts";
import { EngineDiedError } from "../../engine/service/died.ts";
import type { LoadedQuestion } from "../../prompts/files.ts";
import type { EventSink } from "../../protocol/events.ts";
import { descriptorOf, requestFrom } from "../../protocol/experiments/list.ts";
import type { ExperimentRequest } from "../../protocol/experiments/schemas.ts";
import { RUN_FORMAT_VERSION } from "../../protocol/format.ts";
import type { AnalysisJob } from "../../protocol/requests.ts";
import type { Study, StudyQuestion } from "../../protocol/study.ts";
import { lockRun, type RunLock, tryLockRun } from "../../runs/lock.ts";
import type { StudyFolder } from "../../runs/study/folder.ts";
import type { Terminal } from "../command.ts";
import { DEFAULT_WINDOW } from "../experiments/flags.ts";
import { recordRun } from "../record.ts";

/** What a worker needs beside its engine. */
export interface StudyWork {
  readonly folder: StudyFolder;
  readonly plan: Study;
  /** The data set's questions, by their number in the plan. */
  readonly loaded: ReadonlyMap<number, LoadedQuestion>;
  readonly model: { readonly layers: number; readonly stamp: string };
  readonly terminal: Terminal;
  /** Whether questions that failed before are tried again though nothing has changed. */
  readonly retry: boolean;
}

/** What workers share of a model: how deep it is, and what tells it from another. */
export async function studyModel(client: EngineClient, plan: Study): Promise<StudyWork["model"]> {
  const { layers } = await client.describe(plan.model.folder);
  return { layers, stamp: await folderStamp(plan.model.folder) };
}

/**
 * Computes the questions that no other worker has or is at, then waits for those that others hold: the
 * claim of a worker that died is taken over. A question that fails is recorded, and the work goes on.
 *
 * @throws CancelledError, ModelError: what concerns every question.
 */
export async function workOn(
  work: StudyWork,
  client: EngineClient,
  questions: readonly StudyQuestion[],
  onEnd: (question: StudyQuestion) => void,
): Promise<void> {
  const held: StudyQuestion[] = [];
  for (const question of questions) {
    throwIfStopped(work.terminal);
    const lock = await tryLockRun(work.folder.claimFile(question));
    if (lock === undefined) held.push(question);
    else await claimed(work, client, question, lock, onEnd);
  }
  for (const question of held) {
    const { signal } = work.terminal;
    const lock = await lockRun(work.folder.claimFile(question), { signal });
    await claimed(work, client, question, lock, onEnd);
  }
}

function throwIfStopped({ signal }: Terminal): void {
  if (signal.aborted) throw new CancelledError();
}

async function claimed(
  work: StudyWork,
  client: EngineClient,
  question: StudyQuestion,
  lock: RunLock,
  onEnd: (question: StudyQuestion) => void,
): Promise<void> {
  try {
    await answer(work, client, question);
  } finally {
    await lock.release();
  }
  onEnd(question);
}

/** Computes a question unless it is done as it stands. */
async function answer(work: StudyWork, client: EngineClient, question: StudyQuestion) {
  const { folder, loaded, retry } = work;
  const source = loaded.get(question.number);
  const key = keyOf(work, source);
  const before = await folder.outcomeOf(question);
  if (before?.key === key && (before.status === "done" || !retry)) return;
  const path = folder.runFile(question);
  // What ended before was another input: its run is kept, out of the way.
  if (before !== undefined && before.status === "done" && existsSync(path)) await setAside(path);
  await folder.forgetOutcome(question);
  const started = performance.now();
  const ended = (status: "done" | "failed", reason?: string) =>
    folder.writeOutcome(question, {
      status,
      key,
      ...(reason === undefined ? {} : { reason }),
      seconds: (performance.now() - started) / 1000,
    });
  try {
    if (source === undefined) throw new InputError("the data set's file holds no such question");
    if (source.videoProblem !== undefined) throw new InputError(source.videoProblem);
    await record(work, client, jobOf(work, source), path);
    await ended("done");
  } catch (error) {
    if (!(error instanceof InputError || error instanceof EngineDiedError)) throw error;
    await ended("failed", error.message);
  }
}

/** Runs a question's job; a file that turns out to be of another input makes room for a new one. */
async function record(work: StudyWork, client: EngineClient, job: AnalysisJob, path: string) {
  const { signal, note } = work.terminal;
  const sink: EventSink = (event) => {
    if (event.type === "notice" && event.level === "warning") note(event.message);
  };
  const existed = existsSync(path);
  try {
    await recordRun(client, job, path, sink, signal);
  } catch (error) {
    if (!existed || !(error instanceof InputError)) throw error;
    await setAside(path);
    await recordRun(client, job, path, sink, signal);
  }
}

async function setAside(path: string): Promise<void> {
  await rename(path, `${path}.${new Date().toISOString().replaceAll(":", "-")}.old`);
}

/** Everything a question's results follow from; another key is computed anew. */
function keyOf({ plan, model }: StudyWork, source: LoadedQuestion | undefined): string {
  const clip =
    source === undefined ? undefined : statSync(source.videoPath, { throwIfNoEntry: false });
  return createHash("sha256")
    .update(
      JSON.stringify({
        format: RUN_FORMAT_VERSION,
        item: source?.item ?? null,
        clip: [source?.videoPath, clip?.size, clip?.mtimeMs],
        model: [plan.model.folder, model.stamp],
        frames: plan.frames,
        observe: plan.observe,
        experiments: plan.experiments,
      }),
    )
    .digest("hex");
}

function jobOf({ plan, model }: StudyWork, { item, videoPath }: LoadedQuestion): AnalysisJob {
  const setting = { prompt: item, layers: model.layers, window: DEFAULT_WINDOW };
  const possible = plan.experiments.filter(
    ({ kind }) => descriptorOf(kind).needs !== "keywords" || item.keywords.length > 0,
  );
  return {
    model: plan.model.folder,
    embedded: plan.model.embedded,
    clip: { path: videoPath, frames: item.frames ?? plan.frames },
    prompt: item,
    observe: plan.observe,
    experiments: possible.map(
      ({ kind, values }) => requestFrom(kind, setting, (flag) => values[flag]) as ExperimentRequest,
    ),
  };
}
