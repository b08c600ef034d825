import { join, resolve } from "node:path";
import { InputError } from "../common/errors.ts";
import { fixed } from "../common/fixed.ts";
import { EngineClient } from "../engine/service/client.ts";
import { EngineDiedError } from "../engine/service/died.ts";
import { type LoadedQuestion, loadPromptFile } from "../prompts/files.ts";
import type { RunEvent } from "../protocol/events.ts";
import type { ExperimentRequest } from "../protocol/experiments/schemas.ts";
import { KNOCKOUT_TARGETS } from "../protocol/vocabulary.ts";
import { RUN_FILE_SUFFIX } from "../runs/file.ts";
import { fileNamePart } from "../runs/names.ts";
import { SAMPLE_MODES, sampleKey } from "../runs/records.ts";
import { type SweepStatistics, sweepStatistics } from "../runs/statistics/sweeps.ts";
import { type ParsedArguments, UsageError } from "./arguments.ts";
import type { Command, Terminal } from "./command.ts";
import { experimentFlags, requestOf } from "./experiments/flags.ts";
import { ENGINE_FLAGS, engineSettings, modelFolder } from "./job.ts";
import { only } from "./layers.ts";
import { recordRun } from "./record.ts";

/** Questions that name no task are counted under this name. */
const NO_TASK = "all questions";

/** `flowprobe dataset`: a knockout sweep over every question of a file, averaged. */
export const dataset: Command = {
  name: "dataset",
  summary: "a knockout sweep over a file of questions, averaged by task",
  usage: `FILE --out FOLDER [--target ${[...KNOCKOUT_TARGETS, "all"].join("|")}] …`,
  about:
    "Runs the knockout sweep over every question of a prompt file (or a TVBench or MVBench list) and\n" +
    "prints means by task. What the folder holds already is not run again. A question that cannot be\n" +
    "run (its clip is missing or damaged) is passed over and named at the end; the exit code is then 2.",
  flags: {
    out: { kind: "text", value: "FOLDER", help: "where the clips' run files are kept" },
    task: { kind: "text", value: "NAME", help: "only questions of this task" },
    limit: { kind: "whole", value: "N", help: "at most N questions of each task" },
    samples: { kind: "text", oneOf: SAMPLE_MODES, help: "clips that count (correct)" },
    ...experimentFlags("knockout"),
    ...ENGINE_FLAGS,
    json: { kind: "flag", help: "print one JSON object instead of tables" },
  },
  async run(args, terminal) {
    const [file, ...more] = args.positionals;
    if (file === undefined || more.length > 0) throw new UsageError("one prompt file is needed");
    const out = args.text("out");
    if (out === undefined) throw new UsageError("--out is missing: the folder for the run files");
    const path = resolve(file);
    const loaded = await loadPromptFile(path, { needVideos: false, note: terminal.note });
    const questions = chosenQuestions(loaded, args);
    const client = new EngineClient({ settings: engineSettings(args) });
    const byTask = new Map<string, Map<string, readonly RunEvent[]>>();
    let repeats = 0;
    const failed: FailedQuestion[] = [];
    try {
      for (const [i, question] of questions.entries()) {
        const { item } = question;
        terminal.status(`${i + 1} of ${questions.length}: ${item.video}`);
        try {
          const events = await runOf(client, question, i, resolve(out), args, terminal);
          const task = item.task ?? NO_TASK;
          const samples = byTask.get(task) ?? new Map<string, readonly RunEvent[]>();
          byTask.set(task, samples);
          // As the export counts: a question that stands twice in the file is one sample.
          const key = sampleKey(only(events, "run.started"));
          if (samples.has(key)) repeats++;
          samples.set(key, events.filter(isCounted));
        } catch (error) {
          // What is wrong with the model would be wrong with every question.
          if (!(error instanceof InputError || error instanceof EngineDiedError)) throw error;
          const number = loaded.indexOf(question) + 1;
          failed.push({ number, id: item.id, video: item.video, reason: error.message });
        }
      }
    } finally {
      await client.dispose();
    }
    terminal.status("");
    const samples = SAMPLE_MODES.find((known) => known === args.text("samples")) ?? "correct";
    const tasks = [...byTask].map(([task, runs]) =>
      taskReport(task, sweepStatistics([...runs.values()], samples)),
    );
    if (repeats > 0) {
      terminal.note(`${repeats} of ${questions.length} questions repeat another one; counted once`);
    }
    if (args.flag("json")) terminal.print(JSON.stringify({ samples, tasks, failed }, null, 2));
    else for (const task of tasks) printTask(task, (line) => terminal.print(line));
    if (failed.length > 0) throw new InputError(failureReport(path, failed, questions.length));
  },
};

/** A question that could not be run, and why. */
interface FailedQuestion {
  /** Its place in the prompt file, from 1. */
  readonly number: number;
  readonly id?: string | undefined;
  readonly video: string;
  readonly reason: string;
}

function failureReport(path: string, failed: readonly FailedQuestion[], of: number): string {
  const lines = failed.map(({ number, id, video, reason }) => {
    const name = id === undefined ? video : `${id}, ${video}`;
    return `question ${number} (${name}): ${reason}`;
  });
  return `${path}: ${failed.length} of ${of} questions could not be run\n  ${lines.join("\n  ")}`;
}

function chosenQuestions(
  questions: readonly LoadedQuestion[],
  args: ParsedArguments,
): readonly LoadedQuestion[] {
  const task = args.text("task");
  const limit = args.number("limit") ?? Number.POSITIVE_INFINITY;
  const seen = new Map<string, number>();
  const chosen = questions.filter(({ item }) => {
    if (task !== undefined && item.task !== task) return false;
    const count = (seen.get(item.task ?? NO_TASK) ?? 0) + 1;
    seen.set(item.task ?? NO_TASK, count);
    return count <= limit;
  });
  if (chosen.length === 0) {
    const tasks = [...new Set(questions.map(({ item }) => item.task ?? NO_TASK))].join(", ");
    throw new InputError(`no question is chosen; the file's tasks are ${tasks}`);
  }
  return chosen;
}

/** A question's run: what is in its file already is not made again. */
async function runOf(
  client: EngineClient,
  { item, videoPath, videoProblem }: LoadedQuestion,
  index: number,
  folder: string,
  args: ParsedArguments,
  terminal: Terminal,
): Promise<readonly RunEvent[]> {
  if (videoProblem !== undefined) throw new InputError(videoProblem);
  const name = [String(index + 1).padStart(4, "0"), fileNamePart(item.id ?? item.video)].join(".");
  const path = join(folder, name + RUN_FILE_SUFFIX);
  const { folder: model, embedded } = modelFolder(args);
  const { layers } = await client.describe(model);
  const request: ExperimentRequest = requestOf("knockout", args, { prompt: item, layers });
  const { events } = await recordRun(
    client,
    {
      model,
      embedded,
      clip: { path: videoPath },
      prompt: item,
      observe: { lens: false, mass: false, attention: "none", headAveraged: true },
      experiments: [request],
    },
    path,
    () => {},
    terminal.signal,
  );
  return events;
}

/** Only what the statistics need is kept of each clip. */
function isCounted(event: RunEvent): boolean {
  return ["run.started", "answer", "branch.result"].includes(event.type);
}

/** A task's statistics as `--json` prints them; layers count from 0, intervals are of 95 %. */
function taskReport(task: string, { clean, points }: SweepStatistics) {
  return {
    task,
    clips: clean.of,
    cleanAccuracy: clean.of === 0 ? 0 : clean.share,
    cleanAccuracyInterval: [clean.low, clean.high],
    points: points.map(({ series, layer, change, significant, noEffect, accuracy }) => ({
      series,
      layer,
      clips: change.values,
      videos: change.sources,
      meanRelativeDiff: change.mean,
      /** Half of the interval's width; null where one video says nothing of the spread. */
      interval: change.low === null || change.high === null ? null : (change.high - change.low) / 2,
      low: change.low,
      high: change.high,
      method: change.method,
      p: change.p,
      significant,
      noEffect,
      accuracy: accuracy.share,
      accuracyInterval: [accuracy.low, accuracy.high],
    })),
  };
}

function printTask(
  { task, clips, cleanAccuracy, points }: ReturnType<typeof taskReport>,
  print: (line: string) => void,
): void {
  print(`${task}: ${clips} clips, clean accuracy ${(100 * cleanAccuracy).toFixed(1)} %`);
  print("Mean change of the answer's probability in %, half of its 95 % interval; * significant");
  const series = [...new Set(points.map((point) => point.series))];
  const layers = [...new Set(points.map(({ layer }) => layer))].sort((a, b) => a - b);
  const width = Math.max(0, ...series.map((name) => name.length));
  print(`${"".padEnd(width)}${layers.map((layer) => String(layer + 1).padStart(13)).join("")}`);
  for (const name of series) {
    const cells = layers.map((layer) => {
      const point = points.find((found) => found.series === name && found.layer === layer);
      if (point === undefined) return "".padStart(13);
      const half = point.interval === null ? "" : `±${point.interval.toFixed(1)}`;
      return `${fixed(point.meanRelativeDiff, 1)}${half}${point.significant ? "*" : ""}`.padStart(
        13,
      );
    });
    print(`${name.padEnd(width)}${cells.join("")}`);
  }
  print("");
}
