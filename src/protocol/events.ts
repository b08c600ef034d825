// As a namespace: of the library's one object, bundles would hold every part and all its languages.
import * as z from "zod";
import { RUN_FORMAT } from "./format.ts";

/** Element types of a `Tensor`; `f16` holds IEEE half-precision bits in a Uint16Array. */
export const TENSOR_DTYPES = ["f32", "f16", "i32", "u8"] as const;
export type TensorElement = (typeof TENSOR_DTYPES)[number];

/** A dense row-major array of numbers. */
export interface Tensor {
  readonly dtype: TensorElement;
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint16Array | Int32Array | Uint8Array;
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

const ARRAY_OF = { f32: Float32Array, f16: Uint16Array, i32: Int32Array, u8: Uint8Array } as const;

const tensor = z.custom<Tensor>((value) => {
  const { dtype, shape, data } = (value ?? {}) as Partial<Tensor>;
  if (dtype === undefined || !TENSOR_DTYPES.includes(dtype) || !Array.isArray(shape)) return false;
  if (!shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0)) return false;
  return data instanceof ARRAY_OF[dtype] && data.length === elements(shape);
}, "is not a tensor whose shape fits its data");

const count = z.int().nonnegative();
/** Half-open range of positions [start, end). */
const span = z.tuple([count, count]);
const tokenProbability = z.object({ id: count, token: z.string(), probability: z.number() });
export type TokenProbability = z.infer<typeof tokenProbability>;

/** What a model is, for a reader of the run: no weights, no paths needed to read it. */
const model = z.object({
  name: z.string(),
  folder: z.string(),
  embedded: z.boolean(),
  family: z.string(),
  layers: count,
  heads: count,
  kvHeads: count,
  hiddenSize: count,
  vocabSize: count,
  /** What the decoder's weights are stored in … */
  dtype: z.string(),
  /** … and their products computed in; absent in older runs, which were computed in float32. */
  precision: z.enum(["float32", "float16"]).optional(),
  tokensPerFrame: count,
});
export type RunModel = z.infer<typeof model>;

/** Orders in which the sampled frames may be shown to the model, beside their own. */
export const COUNTERFACTUAL_ORDERS = ["reversed", "shuffled", "frozen"] as const;
export type CounterfactualOrder = (typeof COUNTERFACTUAL_ORDERS)[number];

/** A frame as the model was shown it; the time is null where the clip has no clock (image folders). */
const sampledFrame = z.object({ index: count, timestampSeconds: z.number().nullable() });

const video = z.object({
  path: z.string(),
  width: count,
  height: count,
  frameCount: count,
  fps: z.number().nullable(),
  durationSeconds: z.number().nullable(),
  codec: z.string(),
  start: z.number().optional(),
  end: z.number().optional(),
  /** A counterfactual clip: its frames in another order. Absent: as they were filmed. */
  order: z.enum(COUNTERFACTUAL_ORDERS).optional(),
  /** In the order in which the model was shown them. */
  frames: z.array(sampledFrame),
  /** The part of a frame, in its pixels, that the model sees: where the token grid is drawn. */
  crop: z.object({ x: z.number(), y: z.number(), width: z.number(), height: z.number() }),
  /** Their features were known from an earlier run. Absent: this run encoded the frames. */
  featuresCached: z.literal(true).optional(),
});
export type RunVideo = z.infer<typeof video>;

const option = z.object({ label: z.string(), text: z.string(), tokenId: count });
export type RunOption = z.infer<typeof option>;

const prompt = z.object({
  id: z.string().optional(),
  task: z.string().optional(),
  /** The whole rendered prompt, `<image>` standing for the video. */
  text: z.string(),
  question: z.string(),
  /** Empty for an open-ended prompt. */
  options: z.array(option),
  /** Label of the right option, or the right answer in words; absent when unknown. */
  answer: z.string().optional(),
  keywords: z.array(z.string()),
  template: z.string(),
});
export type RunPrompt = z.infer<typeof prompt>;

const textToken = z.object({ position: count, id: count, text: z.string() });
const tokenGroup = z.object({ name: z.string(), spans: z.array(span) });
export type RunTokenGroup = z.infer<typeof tokenGroup>;

const tokens = z.object({
  /** S: positions of the prompt, video tokens included. */
  length: count,
  /** Every position that is not a video token. */
  text: z.array(textToken),
  /** METHODS' token groups; a position may be in several. */
  groups: z.array(tokenGroup),
  /**
   * Video tokens: frame-major, then row, then column; `cells` says the place of each in that order
   * where they stand otherwise.
   */
  grid: z.object({ frames: count, rows: count, columns: count, cells: z.array(count).optional() }),
});
export type RunTokens = z.infer<typeof tokens>;

const runStarted = z.object({
  type: z.literal("run.started"),
  format: z.literal(RUN_FORMAT),
  version: z.number(),
  time: z.string(),
  model,
  video,
  prompt,
  tokens,
});

/** Small pictures of the sampled frames, whole (not cropped), so that a run can be shown anywhere. */
const videoFrames = z.object({
  type: z.literal("video.frames"),
  frames: z.array(z.object({ mime: z.string(), base64: z.string() })),
});

/** Probability of each option's label at the last position, and the likeliest tokens there. */
const answerReading = z.object({
  /** By option label; empty for an open-ended prompt. */
  options: z.record(z.string(), z.number()),
  top: z.array(tokenProbability),
});
export type AnswerReading = z.infer<typeof answerReading>;

/**
 * Texts of token ids that readings name by id only (the lens). Each id once, before the first event
 * that uses it, so that a reader of the run needs no tokenizer.
 */
const vocabulary = z.object({
  type: z.literal("vocabulary"),
  tokens: z.array(z.object({ id: count, text: z.string() })),
});

/** Logit lens of chosen positions: ids and probabilities are [positions, k]. */
const lensReading = z.object({
  positions: z.array(span),
  norm: z.boolean(),
  unembedding: z.enum(["head", "embedding"]),
  ids: tensor,
  probabilities: tensor,
});
export type LensReading = z.infer<typeof lensReading>;

/** Attention weights after the softmax of chosen query rows: weights [heads or 1, queries, S]. */
const attentionReading = z.object({
  queries: z.array(count),
  headAveraged: z.boolean(),
  weights: tensor,
});
export type AttentionReading = z.infer<typeof attentionReading>;

/** For each head and query group (mean over its positions) the summed attention to each key group. */
const massReading = z.object({
  queryGroups: z.array(z.string()),
  keyGroups: z.array(z.string()),
  /** [heads, query groups, key groups] */
  mass: tensor,
});
export type MassReading = z.infer<typeof massReading>;

/** A decoder layer of the clean run is complete. */
const layerClean = z.object({
  type: z.literal("layer.clean"),
  layer: count,
  /** Final norm, then unembedding: the usual logit lens. */
  normed: answerReading,
  /** Unembedding without the final norm (the last layer has it either way). */
  raw: answerReading,
  mass: massReading.optional(),
  lens: lensReading.optional(),
  attention: attentionReading.optional(),
});

/** A decoder layer of a branch that is observed beside the clean run. */
const layerBranch = z.object({
  type: z.literal("layer.branch"),
  experiment: z.string(),
  series: z.string(),
  layer: count,
  normed: answerReading,
  raw: answerReading,
  lens: lensReading.optional(),
  attention: attentionReading.optional(),
});

/** The clean run's answer: the next token after the prompt. */
const answer = z.object({
  type: z.literal("answer"),
  answer: tokenProbability,
  /** The right option's label token; absent when the right answer is unknown or open-ended. */
  groundTruth: tokenProbability.optional(),
  options: z.record(z.string(), z.number()),
  correct: z.boolean().optional(),
});

export const WINDOW_STYLES = ["center", "inverse", "top_down", "bottom_up"] as const;
export type WindowStyle = (typeof WINDOW_STYLES)[number];

/** An experiment begins: its recipe says exactly what was cut, so that a figure can carry it. */
const experimentStarted = z.object({
  type: z.literal("experiment.started"),
  experiment: z.string(),
  kind: z.enum([
    "knockout",
    "pathways",
    "pathway-search",
    "heads",
    "frame-pairs",
    "keyword",
    "what-if",
    "generation",
  ]),
  recipe: z.record(z.string(), z.unknown()),
  /** How many `branch.result` events will follow when it is not stopped; of a search, at most. */
  branches: count,
});

/** What one intervened run answered, beside the clean run. Figures as METHODS.md defines them. */
export const branchFigures = z.object({
  base_score: z.number(),
  new_score: z.number(),
  /** 100 · (new - base) / base */
  relative_diff: z.number(),
  gt_score: z.number().nullable(),
  new_score_gt: z.number().nullable(),
  relative_diff_gt: z.number().nullable(),
  base_answer: z.string(),
  new_answer: z.string(),
});
export type BranchFigures = z.infer<typeof branchFigures>;

const branchResult = branchFigures.extend({
  type: z.literal("branch.result"),
  experiment: z.string(),
  series: z.string(),
  /** Centre of the window, or 0 where the experiment has no centre. */
  layer: count,
  /** Layers at which the cut acted, as half-open ranges. */
  window: z.array(span),
  options: z.record(z.string(), z.number()),
  /** Share of attention edges left, of 1 (pathways). */
  edges_left: z.number().optional(),
  /** What this branch stands for beyond its series: head, frames, keyword, seed … */
  detail: z.record(z.string(), z.unknown()).optional(),
});

/** Layers a-b, both inclusive; null keeps nothing. */
const keptRange = z.tuple([count, count]).nullable();
export const keptRanges = z.object({
  crossFrame: keptRange,
  videoToQuestion: keptRange,
  questionToLast: keptRange,
});

/**
 * A search for the smallest pathway has ended. What it tried came as `branch.result` events whose
 * `detail` holds the ranges.
 */
const pathwayFound = z.object({
  type: z.literal("pathway.found"),
  experiment: z.string(),
  /** The pathway with the fewest edges among those that keep the answer, as it was run once more. */
  found: keptRanges
    .extend({
      edgesLeft: z.number(),
      /** Probability of the clean answer, of 1. */
      probability: z.number(),
    })
    .nullable(),
  /** Pathways tried. */
  tried: count,
  /** `local`: nothing one step away is smaller and keeps the answer; `limit`: as many as allowed. */
  ended: z.enum(["local", "limit"]),
});

/** One generated token of the clean run (series "clean") or of a branch. */
const generationToken = z.object({
  type: z.literal("generation.token"),
  experiment: z.string(),
  series: z.string(),
  step: count,
  token: tokenProbability,
  /** The text so far, decoded as a whole. */
  text: z.string(),
});

const experimentFinished = z.object({
  type: z.literal("experiment.finished"),
  experiment: z.string(),
  seconds: z.number(),
});

/** Where the work is; sent live, never written to the file. */
const progress = z.object({
  type: z.literal("progress"),
  phase: z.enum(["open", "video", "vision", "decoder", "experiment", "generation"]),
  done: z.number(),
  total: z.number(),
  secondsLeft: z.number().optional(),
  /** Nothing was computed: the phase's result was known from an earlier run. */
  cached: z.literal(true).optional(),
});
export type ProgressEvent = z.infer<typeof progress>;

/** Something the reader of the results should know: a fallback, a split, a repeated frame. */
const notice = z.object({
  type: z.literal("notice"),
  level: z.enum(["info", "warning"]),
  message: z.string(),
});

const runFinished = z.object({
  type: z.literal("run.finished"),
  status: z.enum(["done", "cancelled", "failed"]),
  message: z.string().optional(),
  seconds: z.number(),
});

/**
 * Everything a run finds, as events: sent live to the panel and the command line, and appended to the
 * run file, one JSON object a line. Layers are numbered 0 … L-1, positions 0 … S-1, probabilities
 * are shares of 1. Arrays of numbers travel as `Tensor` (typed arrays; base64 in the file only).
 */
export const runEvent = z.discriminatedUnion("type", [
  runStarted,
  videoFrames,
  vocabulary,
  layerClean,
  layerBranch,
  answer,
  experimentStarted,
  branchResult,
  pathwayFound,
  generationToken,
  experimentFinished,
  progress,
  notice,
  runFinished,
]);

/** Any event of a run. */
export type RunEvent = z.infer<typeof runEvent>;
export type RunEventType = RunEvent["type"];
/** One kind of event: `RunEventOf<"layer.clean">`. */
export type RunEventOf<T extends RunEventType> = Extract<RunEvent, { type: T }>;
/** Receives events in the order in which they happen. */
export type EventSink = (event: RunEvent) => void;
