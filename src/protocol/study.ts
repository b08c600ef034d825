import * as z from "zod";
import { type ExperimentKind, observations, REQUESTS } from "./experiments/schemas.ts";
import { RUN_LIMITS as MAX } from "./limits.ts";

/**
 * A study: the same experiments on many questions. Its folder holds this plan (`study.json`), one run
 * file a question (`runs`), and how each question ended (`outcomes`).
 */

export const STUDY_FORMAT = "flowprobe-study";
export const STUDY_VERSION = 1;
/** Questions of a study at most: the largest benchmarks have some tens of thousands. */
const MAX_QUESTIONS = 1_000_000;

const text = z.string().max(MAX.text);
const name = z.string().max(MAX.name);
const kinds = Object.keys(REQUESTS) as [ExperimentKind, ...ExperimentKind[]];

/** An experiment of a study, before a question and a model are known: values of its parameters. */
const studyExperiment = z.object({
  kind: z.enum(kinds),
  /** By flag, as the command line takes them; those left out have their usual values. */
  values: z.record(name, z.array(text).max(MAX.cuts)),
});

const studyQuestion = z.object({
  /** Its place in the data set's file, from 1. */
  number: z.int().min(1).max(MAX_QUESTIONS),
  id: name.optional(),
  task: name.optional(),
  /** The clip, as the file names it. */
  video: text,
});

export const study = z.object({
  format: z.literal(STUDY_FORMAT),
  version: z.literal(STUDY_VERSION),
  created: name,
  /** The program that planned it. */
  program: name,
  dataset: z.object({ path: text, sha256: name }),
  model: z.object({ folder: text, embedded: z.boolean() }),
  /** Frames sampled where a question does not say; absent: as the model says. */
  frames: z.int().min(1).max(MAX.frames).optional(),
  observe: observations,
  experiments: z.array(studyExperiment).max(100),
  /** Which questions the report's means are over. */
  samples: z.enum(["correct", "wrong", "all"]),
  /** Of the choice among the data set's questions; absent: the first ones. */
  seed: z.int().min(0).max(MAX.seed).optional(),
  questions: z.array(studyQuestion).max(MAX_QUESTIONS),
});
export type Study = z.infer<typeof study>;
export type StudyExperiment = Study["experiments"][number];
export type StudyQuestion = Study["questions"][number];

/** How a question ended. */
export const outcome = z.object({
  status: z.enum(["done", "failed"]),
  /** What the question was run as: another one is run anew. */
  key: name,
  /** Why it failed. */
  reason: text.optional(),
  seconds: z.number().min(0),
});
export type Outcome = z.infer<typeof outcome>;
