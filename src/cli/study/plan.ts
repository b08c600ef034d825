import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { InputError } from "../../common/errors.ts";
import { fileFailure } from "../../common/file-failure.ts";
import { randomSource } from "../../common/random.ts";
import { type LoadedQuestion, loadPromptFile } from "../../prompts/files.ts";
import type { ExperimentDescriptor } from "../../protocol/experiments/descriptor.ts";
import { EXPERIMENTS } from "../../protocol/experiments/list.ts";
import {
  STUDY_FORMAT,
  STUDY_VERSION,
  type Study,
  type StudyExperiment,
} from "../../protocol/study.ts";
import { SAMPLE_MODES } from "../../runs/records.ts";
import { ParsedArguments, UsageError } from "../arguments.ts";
import { experimentFlags, requestOf } from "../experiments/flags.ts";
import { modelFolder } from "../job.ts";

/** Questions that name no task are counted under this name. */
const NO_TASK = "all questions";
/** Readings of the clean pass that stand in the list of experiments. */
const READINGS = ["lens", "mass"] as const;

const descriptors = () => Object.values(EXPERIMENTS) as unknown as ExperimentDescriptor[];

/** Names that `--experiments` takes. */
export const STUDY_NAMES: readonly string[] = ["answer", ...READINGS, ...descriptors().map(nameOf)];

/** An experiment's name in a study: its command's, and the flag that chooses it among others. */
function nameOf({ command, commandFlag }: ExperimentDescriptor): string {
  return commandFlag === undefined ? command : `${command}-${commandFlag}`;
}

/**
 * The plan that the flags ask for.
 *
 * @throws UsageError, InputError naming what cannot be used.
 */
export async function planStudy(args: ParsedArguments, program: string): Promise<Study> {
  const file = args.positionals[1];
  if (file === undefined) throw new UsageError("the data set's file is missing");
  const path = resolve(file);
  const loaded = await loadPromptFile(path, { needVideos: false });
  const names = (args.text("experiments") ?? "answer,knockout")
    .split(",")
    .map((name) => name.trim());
  const unknown = names.find((name) => !STUDY_NAMES.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`--experiments has "${unknown}"; it can have ${STUDY_NAMES.join(", ")}`);
  }
  const listed = descriptors().flatMap((each): StudyExperiment[] =>
    names.includes(nameOf(each)) ? [{ kind: each.kind, values: {} }] : [],
  );
  const seed = args.number("seed");
  const { folder, embedded } = modelFolder(args);
  const frames = args.number("frames");
  return {
    format: STUDY_FORMAT,
    version: STUDY_VERSION,
    created: new Date().toISOString(),
    program,
    dataset: { path, sha256: await hashOf(path) },
    model: { folder, embedded },
    ...(frames === undefined ? {} : { frames }),
    observe: {
      lens: names.includes("lens"),
      mass: names.includes("mass"),
      attention: "none",
      headAveraged: true,
    },
    experiments: [...listed, ...args.list("experiment").map(parseExperiment)],
    samples: SAMPLE_MODES.find((known) => known === args.text("samples")) ?? "correct",
    ...(seed === undefined ? {} : { seed }),
    questions: chosenQuestions(loaded, args, seed),
  };
}

/**
 * An experiment with its flags, as its own command takes them: "heads --cut video:last --layers 1-8".
 *
 * @throws UsageError naming what cannot be read.
 */
function parseExperiment(text: string): StudyExperiment {
  const [name = "", ...rest] = text.trim().split(/\s+/);
  const descriptor = descriptors().find((each) => nameOf(each) === name);
  if (descriptor === undefined) {
    const known = descriptors().map(nameOf).join(", ");
    throw new UsageError(`--experiment is "${text}"; it begins with one of ${known}`);
  }
  const flags = experimentFlags(descriptor.kind);
  const args = new ParsedArguments(rest, flags);
  const [stray] = args.positionals;
  if (stray !== undefined) throw new UsageError(`--experiment has "${stray}", which is no flag`);
  // Read once now, so that a slip is told before hours of work; the model's depth is not known yet.
  const prompt = { question: "", options: ["", ""], answer: "", keywords: [] };
  requestOf(descriptor.kind, args, { prompt, layers: 4096 });
  const values = Object.fromEntries(
    Object.entries(flags).flatMap(([flag, { kind }]) => {
      if (!args.has(flag)) return [];
      return [[flag, kind === "list" ? [...args.list(flag)] : [args.text(flag) ?? ""]]];
    }),
  );
  return { kind: descriptor.kind, values };
}

function chosenQuestions(
  loaded: readonly LoadedQuestion[],
  args: ParsedArguments,
  seed: number | undefined,
): Study["questions"] {
  const task = args.text("task");
  const limit = args.number("limit") ?? Number.POSITIVE_INFINITY;
  const numbered = loaded.map(({ item }, index) => ({ item, number: index + 1 }));
  const order = seed === undefined ? numbered : shuffled(numbered, randomSource(seed));
  const seen = new Map<string, number>();
  const chosen = order.filter(({ item }) => {
    const own = item.task ?? NO_TASK;
    if (task !== undefined && own !== task) return false;
    const count = (seen.get(own) ?? 0) + 1;
    seen.set(own, count);
    return count <= limit;
  });
  if (chosen.length === 0) {
    const tasks = [...new Set(loaded.map(({ item }) => item.task ?? NO_TASK))].join(", ");
    throw new InputError(`no question is chosen; the file's tasks are ${tasks}`);
  }
  return chosen
    .sort((a, b) => a.number - b.number)
    .map(({ item: { id, task: own, video }, number }) => ({
      number,
      ...(id === undefined ? {} : { id }),
      ...(own === undefined ? {} : { task: own }),
      video,
    }));
}

/** A random order (Fisher and Yates). */
function shuffled<T>(items: readonly T[], next: () => number): T[] {
  const order = [...items];
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(next() * (last + 1));
    [order[last], order[other]] = [order[other] as T, order[last] as T];
  }
  return order;
}

/** Of a data set's file, so that a changed one is noticed. */
export async function hashOf(path: string): Promise<string> {
  try {
    return createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
  } catch (error) {
    throw fileFailure(path, "cannot be read", error);
  }
}
