import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../common/errors.ts";
import { fileFailure } from "../common/file-failure.ts";
import type { RunEvent } from "../protocol/events.ts";
import { KNOCKOUT_TARGETS, type KnockoutTarget } from "../protocol/vocabulary.ts";
import {
  answerProbabilityRecords,
  knockoutRecords,
  type RecordOptions,
  type ReferenceRecord,
  type SampleMode,
} from "./records.ts";
import { foldRun, type RunState } from "./state.ts";
import type { SweepChoice } from "./sweeps.ts";

/** The reference's name for layer-wise answer probability, where a target's name stands. */
export const ANSWER_PROBABILITY = "gen-prob-true-false-opt";
export type ReferenceTarget = KnockoutTarget | typeof ANSWER_PROBABILITY;
export const REFERENCE_TARGETS: readonly ReferenceTarget[] = [
  ...KNOCKOUT_TARGETS,
  ANSWER_PROBABILITY,
];

/** Tasks of the benchmarks in the order in which the reference numbers them: by name. */
const BENCHMARK_TASKS: Readonly<Record<string, readonly string[]>> = {
  tvbench: [
    "Action Antonym",
    "Action Count",
    "Action Localization",
    "Action Sequence",
    "Egocentric Sequence",
    "Moving Direction",
    "Object Count",
    "Object Shuffle",
    "Scene Transition",
    "Unexpected Action",
  ],
  mvbench: [
    "Action Antonym",
    "Action Count",
    "Action Localization",
    "Action Prediction",
    "Action Sequence",
    "Character Order",
    "Counterfactual Inference",
    "Egocentric Navigation",
    "Episodic Reasoning",
    "Fine-grained Action",
    "Fine-grained Pose",
    "Moving Attribute",
    "Moving Count",
    "Moving Direction",
    "Object Existence",
    "Object Interaction",
    "Object Shuffle",
    "Scene Transition",
    "State Change",
    "Unexpected Action",
  ],
};

/** Where the reference's programs look for a task's file: its plots, and its analysis. */
export const REFERENCE_LAYOUTS = ["plots", "analysis"] as const;
export type ReferenceLayout = (typeof REFERENCE_LAYOUTS)[number];

const FOLDER_OF: Readonly<Record<ReferenceLayout, string>> = { plots: "", analysis: "jsons" };

/** Name of the file for questions that name no task. */
const NO_TASK = "No Task";

export interface ReferenceExport extends SweepChoice {
  readonly dataset: string;
  /** Absent: every target that the runs hold results of. */
  readonly targets?: readonly ReferenceTarget[];
  /** Absent: the model's own name in the runs. */
  readonly model?: string;
  readonly samples: SampleMode;
  /** Reads answers by layer with the final norm, as the reference does with `--layer_norm`. */
  readonly layerNorm?: boolean;
  /** Absent: both. */
  readonly layouts?: readonly ReferenceLayout[];
  /** Replaces files that exist. */
  readonly overwrite?: boolean;
}

/**
 * Writes runs as the reference's own results (METHODS.md, "Interchange"): its plots read
 * `<dataset>/<target>/<model>/<NN>_<Task>.json`, its analysis writes the same under `jsons/`. NN is the
 * task's number in the benchmark, or its place among the runs' tasks in the order of their names.
 *
 * @param runs one run for each sample.
 * @returns the files written.
 * @throws InputError when the runs hold nothing to export, are of different models, or a file exists
 *   or cannot be written; files are checked before the first one is written.
 */
export async function exportReference(
  runs: readonly (readonly RunEvent[])[],
  folder: string,
  options: ReferenceExport,
): Promise<string[]> {
  const states = runs.map(foldRun);
  const model = options.model ?? modelOf(states);
  const tasks = groupByTask(states, options.dataset);
  const numbers = new Map(states.map((state, index) => [state, index]));
  const numberOf = (run: RunState) => numbers.get(run) ?? 0;
  const files = (options.targets ?? REFERENCE_TARGETS).flatMap((target) =>
    tasks.flatMap(({ name, runs: members }) => {
      const records = recordsOf(members, target, { ...options, numberOf });
      if (records.length === 0) return [];
      const inside = join(folder, folderName(options.dataset), target, folderName(model));
      return (options.layouts ?? REFERENCE_LAYOUTS).map((layout) => ({
        path: join(inside, FOLDER_OF[layout], `${name}.json`),
        records,
      }));
    }),
  );
  if (files.length === 0) {
    throw new InputError(
      "nothing to export: the reference's layout takes multiple-choice questions with a known " +
        `answer, here only samples of which the clean run's answer is ${options.samples === "all" ? "known" : options.samples}`,
    );
  }
  const taken = options.overwrite === true ? undefined : files.find(({ path }) => existsSync(path));
  if (taken !== undefined) {
    throw new InputError(`${taken.path}: exists already; choose another folder, or overwrite it`);
  }
  for (const { path, records } of files) await write(path, records);
  return files.map(({ path }) => path);
}

function recordsOf(
  runs: readonly RunState[],
  target: ReferenceTarget,
  { layerNorm, ...options }: ReferenceExport & Pick<RecordOptions, "numberOf">,
): ReferenceRecord[] {
  return target === ANSWER_PROBABILITY
    ? answerProbabilityRecords(runs, options, layerNorm === true ? "normed" : "raw")
    : knockoutRecords(runs, { ...options, target });
}

async function write(path: string, records: readonly ReferenceRecord[]): Promise<void> {
  try {
    await mkdir(join(path, ".."), { recursive: true });
    await writeFile(path, JSON.stringify(records, null, 4));
  } catch (error) {
    throw fileFailure(path, "the export cannot be written", error);
  }
}

function modelOf(runs: readonly RunState[]): string {
  const names = new Set(runs.flatMap(({ run }) => run?.model.name ?? []));
  const [name] = names;
  if (name === undefined) throw new InputError("nothing to export: no run has begun");
  if (names.size === 1) return name;
  throw new InputError(
    `the runs are of different models (${[...names].join(", ")}); export them one by one`,
  );
}

/** Runs by task, under the name that the task's file has. */
function groupByTask(
  runs: readonly RunState[],
  dataset: string,
): { name: string; runs: RunState[] }[] {
  const known = tasksOf(dataset);
  const groups = new Map<string, RunState[]>();
  for (const state of runs) {
    const own = state.run?.prompt.task?.trim() || NO_TASK;
    const task = known.find((name) => name.toLowerCase() === own.toLowerCase()) ?? own;
    groups.set(task, [...(groups.get(task) ?? []), state]);
  }
  const sorted = [...groups].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  let next = known.length;
  return sorted.map(([task, members], place) => {
    const listed = known.indexOf(task);
    const number = known.length === 0 ? place : listed >= 0 ? listed : next++;
    return { name: `${String(number).padStart(2, "0")}_${folderName(task)}`, runs: members };
  });
}

/** The tasks of a benchmark, also of a part of it or another form: "tvbench-fail". */
function tasksOf(dataset: string): readonly string[] {
  const name = dataset.toLowerCase();
  return Object.entries(BENCHMARK_TASKS).find(([known]) => name.startsWith(known))?.[1] ?? [];
}

/** A name that stays one level of the folder tree, whatever it is made of. */
function folderName(name: string): string {
  const safe = name.replace(/[\\/:*?"<>|\p{Cc}]+/gu, "-").replace(/^\.+/, "");
  return safe.slice(0, 200) || "-";
}
