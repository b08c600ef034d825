// As a namespace: of the library's one object, bundles would hold every part and all its languages.
import * as z from "zod";
import { type ExperimentKind, namedRanges, RECIPES, resultDetail } from "./experiments/schemas.ts";
import { RUN_FORMAT } from "./format.ts";
import { RUN_LIMITS as MAX } from "./limits.ts";
import { COUNTERFACTUAL_ORDERS } from "./vocabulary.ts";

/**
 * Element types of a `Tensor`; `f24` holds float32 numbers whose lowest byte is zero (a file leaves it
 * out), `f16` IEEE half-precision bits in a Uint16Array (attention in runs of format version 1).
 */
export const TENSOR_DTYPES = ["f32", "f24", "f16", "i32", "u8"] as const;
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

function isExtent(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= MAX.extent;
}

const ARRAY_OF = {
  f32: Float32Array,
  f24: Float32Array,
  f16: Uint16Array,
  i32: Int32Array,
  u8: Uint8Array,
} as const;

const tensor = z.custom<Tensor>((value) => {
  const { dtype, shape, data } = (value ?? {}) as Partial<Tensor>;
  if (dtype === undefined || !TENSOR_DTYPES.includes(dtype) || !Array.isArray(shape)) return false;
  if (shape.length > MAX.rank || !shape.every(isExtent)) return false;
  return data instanceof ARRAY_OF[dtype] && data.length === elements(shape);
}, "is not a tensor whose shape fits its data");

/** A whole number from 0 to a bound of `RUN_LIMITS`, which is included. */
const count = (most: number) => z.int().nonnegative().max(most);
const name = z.string().max(MAX.name);
const text = z.string().max(MAX.text);
/** A share of 1, give or take the rounding of a sum. */
const share = z.number().min(-0.01).max(1.01);
const seconds = z.number().min(-1e9).max(1e9);
const layer = count(MAX.layers - 1);
const position = count(MAX.positions - 1);
const tokenId = count(MAX.vocabSize - 1);
const grows = ([start, end]: readonly [number, number]) => start <= end;
/** Half-open range of positions [start, end). */
const span = z.tuple([count(MAX.positions), count(MAX.positions)]).refine(grows);
/** The same of layers. */
const layerSpan = z.tuple([count(MAX.layers), count(MAX.layers)]).refine(grows);
const tokenProbability = z.object({ id: tokenId, token: name, probability: share });
/** Shares by option label. */
const optionShares = z
  .record(name, share)
  .refine((options) => Object.keys(options).length <= MAX.options);
export type TokenProbability = z.infer<typeof tokenProbability>;

/** What tells one checkpoint from another, wherever it lies: SHA-256, in hexadecimal. */
const modelIdentity = z.object({
  /** Of the configuration, every tensor's name, type and shape, and the weights themselves. */
  weights: name,
  /** Whether all bytes of the weights were read for it, or samples of every tensor. */
  whole: z.boolean(),
  /** Of the weights' files: names, sizes and times of change. */
  files: name,
});
export type ModelIdentity = z.infer<typeof modelIdentity>;

/** What a model is, for a reader of the run: no weights, no paths needed to read it. */
const model = z.object({
  name,
  folder: name,
  embedded: z.boolean(),
  family: name,
  layers: count(MAX.layers),
  heads: count(MAX.heads),
  kvHeads: count(MAX.heads),
  hiddenSize: count(MAX.hiddenSize),
  vocabSize: count(MAX.vocabSize),
  /** What the decoder's weights are stored in … */
  dtype: name,
  /** … and their products computed in; absent in older runs, which were computed in float32. */
  precision: z.enum(["float32", "float16"]).optional(),
  tokensPerFrame: count(MAX.positions),
  /** What its weights and configuration are, as hashes; absent in older runs. */
  identity: modelIdentity.optional(),
});
export type RunModel = z.infer<typeof model>;

/** A frame as the model was shown it; the time is null where the clip has no clock (image folders). */
const sampledFrame = z.object({
  index: count(MAX.clipFrames),
  timestampSeconds: seconds.nullable(),
});

const pixels = z.number().min(-MAX.side).max(MAX.side);

const video = z.object({
  path: name,
  width: count(MAX.side),
  height: count(MAX.side),
  frameCount: count(MAX.clipFrames),
  fps: z.number().min(0).max(1e9).nullable(),
  durationSeconds: seconds.nullable(),
  codec: name,
  start: seconds.optional(),
  end: seconds.optional(),
  /** A counterfactual clip: its frames in another order. Absent: as they were filmed. */
  order: z.enum(COUNTERFACTUAL_ORDERS).optional(),
  /** How many frames the job asked for; absent where it left that to the model, and in older runs. */
  framesAsked: count(MAX.clipFrames).optional(),
  /** In the order in which the model was shown them. */
  frames: z.array(sampledFrame).max(MAX.frames),
  /** The part of a frame, in its pixels, that the model sees: where the token grid is drawn. */
  crop: z.object({ x: pixels, y: pixels, width: pixels, height: pixels }),
  /** SHA-256 of the frames as the model was given them, in hexadecimal; absent in older runs. */
  pixels: name.optional(),
  /** Their features were known from an earlier run. Absent: this run encoded the frames. */
  featuresCached: z.literal(true).optional(),
});
export type RunVideo = z.infer<typeof video>;

const option = z.object({ label: name, text, tokenId });
export type RunOption = z.infer<typeof option>;

const prompt = z.object({
  id: name.optional(),
  task: name.optional(),
  /** The whole rendered prompt, `<image>` standing for the video. */
  text,
  question: text,
  /** Empty for an open-ended prompt. */
  options: z.array(option).max(MAX.options),
  /** Label of the right option, or the right answer in words; absent when unknown. */
  answer: text.optional(),
  keywords: z.array(name).max(MAX.groups),
  /** Name of the template; "custom" for one that is written out in the prompt file. */
  template: text,
  /** Text of a custom template; absent in older runs. */
  templateText: text.optional(),
});
export type RunPrompt = z.infer<typeof prompt>;

const textToken = z.object({ position, id: tokenId, text: name });
const spans = z.array(span).max(MAX.positions);
const tokenGroup = z.object({ name, spans });
export type RunTokenGroup = z.infer<typeof tokenGroup>;

const tokens = z.object({
  /** S: positions of the prompt, video tokens included. */
  length: count(MAX.positions),
  /** Every position that is not a video token. */
  text: z.array(textToken).max(MAX.positions),
  /** METHODS' token groups; a position may be in several. */
  groups: z.array(tokenGroup).max(MAX.groups),
  /**
   * Video tokens: frame-major, then row, then column; `cells` says the place of each in that order
   * where they stand otherwise.
   */
  grid: z.object({
    frames: count(MAX.frames),
    rows: count(MAX.positions),
    columns: count(MAX.positions),
    cells: z.array(position).max(MAX.positions).optional(),
  }),
});
export type RunTokens = z.infer<typeof tokens>;

const runStarted = z.object({
  type: z.literal("run.started"),
  format: z.literal(RUN_FORMAT),
  version: count(1_000_000),
  time: name,
  model,
  video,
  prompt,
  tokens,
});

/** Small pictures of the sampled frames, whole (not cropped), so that a run can be shown anywhere. */
const videoFrames = z.object({
  type: z.literal("video.frames"),
  frames: z.array(z.object({ mime: name, base64: z.string().max(MAX.picture) })).max(MAX.frames),
});

/** Probability of each option's label at the last position, and the likeliest tokens there. */
const answerReading = z.object({
  /** By option label; empty for an open-ended prompt. */
  options: optionShares,
  top: z.array(tokenProbability).max(MAX.top),
});
export type AnswerReading = z.infer<typeof answerReading>;

/**
 * Texts of token ids that readings name by id only (the lens). Each id once, before the first event
 * that uses it, so that a reader of the run needs no tokenizer.
 */
const vocabulary = z.object({
  type: z.literal("vocabulary"),
  tokens: z.array(z.object({ id: tokenId, text: name })).max(MAX.vocabSize),
});

/** Logit lens of chosen positions: ids and probabilities are [positions, k]. */
const lensReading = z.object({
  positions: spans,
  norm: z.boolean(),
  unembedding: z.enum(["head", "embedding"]),
  ids: tensor,
  probabilities: tensor,
});
export type LensReading = z.infer<typeof lensReading>;

/** Attention weights after the softmax of chosen query rows: weights [heads or 1, queries, S]. */
const attentionReading = z.object({
  queries: z.array(position).max(MAX.positions),
  headAveraged: z.boolean(),
  weights: tensor,
});
export type AttentionReading = z.infer<typeof attentionReading>;

/** For each head and query group (mean over its positions) the summed attention to each key group. */
const massReading = z.object({
  queryGroups: z.array(name).max(MAX.groups),
  keyGroups: z.array(name).max(MAX.groups),
  /** [heads, query groups, key groups] */
  mass: tensor,
});
export type MassReading = z.infer<typeof massReading>;

/** A decoder layer of the clean run is complete. */
const layerClean = z.object({
  type: z.literal("layer.clean"),
  layer,
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
  experiment: name,
  series: name,
  layer,
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
  options: optionShares,
  correct: z.boolean().optional(),
});

/** An experiment begins: its recipe says exactly what was cut, so that a figure can carry it. */
function startedOf<K extends ExperimentKind>(kind: K) {
  return z.object({
    type: z.literal("experiment.started"),
    experiment: name,
    kind: z.literal(kind),
    recipe: RECIPES[kind],
    /** How many `branch.result` events will follow when it is not stopped; of a search, at most. */
    branches: count(MAX.branches),
  });
}
const experimentStarted = z.discriminatedUnion("kind", [
  startedOf("knockout"),
  startedOf("pathways"),
  startedOf("pathway-search"),
  startedOf("heads"),
  startedOf("frame-pairs"),
  startedOf("keyword"),
  startedOf("what-if"),
  startedOf("exit"),
  startedOf("generation"),
]);

/** What one intervened run answered, beside the clean run. Figures as METHODS.md defines them. */
export const branchFigures = z.object({
  base_score: share,
  new_score: share,
  /** 100 · (new - base) / base */
  relative_diff: z.number(),
  gt_score: share.nullable(),
  new_score_gt: share.nullable(),
  relative_diff_gt: z.number().nullable(),
  base_answer: name,
  new_answer: name,
});
export type BranchFigures = z.infer<typeof branchFigures>;

const branchResult = branchFigures.extend({
  type: z.literal("branch.result"),
  experiment: name,
  series: name,
  /** Centre of the window, or 0 where the experiment has no centre. */
  layer,
  /** Layers at which the cut acted, as half-open ranges. */
  window: z.array(layerSpan).max(MAX.layers),
  options: optionShares,
  /** Share of attention edges left, of 1 (pathways). */
  edges_left: share.optional(),
  /** What this branch stands for beyond its series: head, frames, keyword, seed … */
  detail: resultDetail.optional(),
});

/**
 * A search for the smallest pathway has ended. What it tried came as `branch.result` events whose
 * `detail` holds the ranges.
 */
const pathwayFound = z.object({
  type: z.literal("pathway.found"),
  experiment: name,
  /** The pathway with the fewest edges among those that keep the answer, as it was run once more. */
  found: namedRanges
    .extend({
      edgesLeft: share,
      /** Probability of the clean answer, of 1. */
      probability: share,
    })
    .nullable(),
  /** Pathways tried. */
  tried: count(MAX.branches),
  /** `local`: nothing one step away is smaller and keeps the answer; `limit`: as many as allowed. */
  ended: z.enum(["local", "limit"]),
});

/** One generated token of the clean run (series "clean") or of a branch. */
const generationToken = z.object({
  type: z.literal("generation.token"),
  experiment: name,
  series: name,
  step: position,
  token: tokenProbability,
  /** The text so far, decoded as a whole. */
  text,
});

const experimentFinished = z.object({
  type: z.literal("experiment.finished"),
  experiment: name,
  seconds,
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
  message: text,
});

const runFinished = z.object({
  type: z.literal("run.finished"),
  status: z.enum(["done", "cancelled", "failed"]),
  message: text.optional(),
  seconds,
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

/** Every type of event. */
export const RUN_EVENT_TYPES = runEvent.options.map((option) =>
  "shape" in option ? option.shape.type.value : option.options[0].shape.type.value,
);

/** Any event of a run. */
export type RunEvent = z.infer<typeof runEvent>;
export type RunEventType = RunEvent["type"];
/** One kind of event: `RunEventOf<"layer.clean">`. */
export type RunEventOf<T extends RunEventType> = Extract<RunEvent, { type: T }>;
/** Receives events in the order in which they happen. */
export type EventSink = (event: RunEvent) => void;
