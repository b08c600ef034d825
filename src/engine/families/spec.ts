import type { LocatedTensor } from "../checkpoint/weights.ts";
import type { WeightRows } from "../graph/onnx.ts";

/** A weight matrix [out, in] with its optional bias [out]; fused ones are rows of a larger tensor. */
export interface LinearWeights {
  readonly weight: LocatedTensor;
  readonly rows?: WeightRows | undefined;
  readonly bias?: LocatedTensor | undefined;
}

/** LayerNorm's scale and shift, each [width]. */
export interface LayerNormWeights {
  readonly weight: LocatedTensor;
  readonly bias: LocatedTensor;
}

export type Activation = "quick_gelu" | "gelu" | "gelu_tanh" | "silu" | "relu";

/** One layer of a CLIP-style vision encoder (pre-norm, biased projections). */
export interface VisionLayerWeights {
  readonly norm1: LayerNormWeights;
  readonly query: LinearWeights;
  readonly key: LinearWeights;
  readonly value: LinearWeights;
  readonly out: LinearWeights;
  readonly norm2: LayerNormWeights;
  readonly up: LinearWeights;
  readonly down: LinearWeights;
}

/** A CLIP vision tower, run on each frame by itself. */
export interface VisionSpec {
  readonly hiddenSize: number;
  readonly heads: number;
  /** Side of the square input image and of a patch, in pixels. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly normEps: number;
  readonly activation: Activation;
  /** Whether the class token is kept ("full") or dropped ("default"). */
  readonly keepsClassToken: boolean;
  /** [hidden, 3, patch, patch], no bias. */
  readonly patchEmbedding: LocatedTensor;
  readonly classEmbedding: LocatedTensor;
  /** [patches + 1, hidden] */
  readonly positionEmbedding: LocatedTensor;
  readonly preNorm: LayerNormWeights;
  /** The layers that run: those after the selected feature layer are never computed. */
  readonly layers: readonly VisionLayerWeights[];
}

/** Two linear layers with an activation between: vision width to decoder width. */
export interface ProjectorSpec {
  readonly first: LinearWeights;
  readonly activation: Activation;
  readonly second: LinearWeights;
}

/** Token grid of a clip after pooling: average over time, rows and columns (adaptive bins). */
export interface PoolingSpec {
  readonly frames: number;
  readonly rows: number;
  readonly columns: number;
}

/** One layer of a Llama-style decoder. */
export interface DecoderLayerWeights {
  readonly inputNorm: LocatedTensor;
  readonly query: LinearWeights;
  readonly key: LinearWeights;
  readonly value: LinearWeights;
  readonly out: LinearWeights;
  readonly postNorm: LocatedTensor;
  readonly gate: LinearWeights;
  readonly up: LinearWeights;
  readonly down: LinearWeights;
}

/** Rotary position embedding: inverse frequencies [head_dim / 2] after any scaling. */
export interface RopeSpec {
  readonly inverseFrequencies: Float64Array;
  /** Factor on cos and sin; 1 unless a scaling says otherwise. */
  readonly attentionScaling: number;
}

/** A Llama-style decoder: RMSNorm, rotary positions, grouped-query attention, gated MLP. */
export interface DecoderSpec {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  readonly normEps: number;
  readonly activation: Activation;
  readonly rope: RopeSpec;
  readonly layers: readonly DecoderLayerWeights[];
  readonly finalNorm: LocatedTensor;
  /** [vocab, hidden]; the output head too when tied. */
  readonly embedding: LocatedTensor;
  readonly head: LocatedTensor;
}

/** A model as the engine needs it: sizes, and where each weight lies. No file is read for it again. */
export interface ModelSpec {
  readonly family: string;
  /** `model_type` of config.json. */
  readonly modelType: string;
  /** The external-data folder of every graph. */
  readonly root: string;
  /** Every tensor of the checkpoint, used or not. */
  readonly tensors: ReadonlyMap<string, LocatedTensor>;
  readonly vision: VisionSpec;
  readonly projector: ProjectorSpec;
  /** Absent: every token of the tower is kept. */
  readonly pooling: PoolingSpec | undefined;
  /** Frames sampled from a clip. */
  readonly frames: number;
  readonly imageTokenId: number;
  /** Tokens that end an answer. */
  readonly endTokenIds: readonly number[];
  readonly decoder: DecoderSpec;
  /** Name of the default prompt template. */
  readonly template: string;
}

/**
 * How a clip of `frames` frames is pooled: as the model says, but for its number of frames, which
 * follows the clip's unless the model averages over time.
 */
export function poolingOf(spec: ModelSpec, frames: number): PoolingSpec | undefined {
  const { pooling } = spec;
  if (pooling === undefined || pooling.frames !== spec.frames) return pooling;
  return { ...pooling, frames };
}

/** Extents of the token grid that a clip of `frames` frames becomes. */
export function tokenGrid(spec: ModelSpec, frames: number): PoolingSpec {
  const pooling = poolingOf(spec, frames);
  if (pooling !== undefined) return pooling;
  const side = spec.vision.imageSize / spec.vision.patchSize;
  if (spec.vision.keepsClassToken) return { frames, rows: 1, columns: side * side + 1 };
  return { frames, rows: side, columns: side };
}
