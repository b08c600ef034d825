import { ModelError } from "../../../common/errors.ts";
import type { PromptSpec } from "../../../prompts/prompt-spec.ts";
import type { ProcessorRules } from "../../../video/image-processor.ts";
import type { LocatedTensor, WeightRows } from "../../checkpoint/weights.ts";

/** A weight matrix [out, in] with its optional bias [out]; fused ones are rows of a larger tensor. */
export interface LinearWeights {
  readonly weight: LocatedTensor;
  /** The rows of the stored matrix that are its own, one stretch after another; absent: all. */
  readonly rows?: readonly WeightRows[] | undefined;
  readonly bias?: LocatedTensor | undefined;
}

/** Outputs of a linear layer. */
export function outputsOf({ weight, rows }: LinearWeights): number {
  if (rows === undefined) return weight.shape[0] ?? 1;
  return rows.reduce((sum, { count }) => sum + count, 0);
}

/** LayerNorm's scale and shift, each [width]. */
export interface LayerNormWeights {
  readonly weight: LocatedTensor;
  readonly bias: LocatedTensor;
}

/** A norm over rows: with a bias LayerNorm, without one RMSNorm. */
export interface NormWeights {
  readonly weight: LocatedTensor;
  readonly bias?: LocatedTensor | undefined;
}

export type Activation = "quick_gelu" | "gelu" | "gelu_tanh" | "silu" | "relu";

/** One pre-norm layer of a vision encoder. */
export interface VisionLayerWeights {
  readonly norm1: NormWeights;
  readonly query: LinearWeights;
  readonly key: LinearWeights;
  readonly value: LinearWeights;
  /** InternViT-6B's RMSNorms of whole queries and keys, all heads together: [hidden] each. */
  readonly queryNorm?: LocatedTensor | undefined;
  readonly keyNorm?: LocatedTensor | undefined;
  readonly out: LinearWeights;
  readonly norm2: NormWeights;
  readonly up: LinearWeights;
  readonly down: LinearWeights;
  /** InternViT's layer scale, [hidden] each: factors on what attention and MLP add. */
  readonly scale1?: LocatedTensor | undefined;
  readonly scale2?: LocatedTensor | undefined;
}

/** A vision tower (CLIP, SigLIP or InternViT), run on each frame by itself. */
export interface VisionSpec {
  readonly hiddenSize: number;
  readonly heads: number;
  /** Side of the square input image and of a patch, in pixels. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly normEps: number;
  readonly activation: Activation;
  /** [hidden, 3, patch, patch], with or without a bias. */
  readonly patchEmbedding: LinearWeights;
  /** Of `hidden` elements; absent: the tower has no class token (SigLIP). */
  readonly classEmbedding: LocatedTensor | undefined;
  /** Whether the class token is kept ("full") or dropped ("default"); false where there is none. */
  readonly keepsClassToken: boolean;
  /** [patches (+ 1 with a class token), hidden], possibly behind an axis of one. */
  readonly positionEmbedding: LocatedTensor;
  /** CLIP's norm before the first layer. */
  readonly preNorm: LayerNormWeights | undefined;
  /** The layers that run: those after the selected feature layer are never computed. */
  readonly layers: readonly VisionLayerWeights[];
  /** A norm after the last layer, only where the model reads its features after it. */
  readonly postNorm: LayerNormWeights | undefined;
}

/** One pre-norm layer of a tower for pictures of any size. */
export interface NativeLayerWeights {
  readonly norm1: NormWeights;
  readonly query: LinearWeights;
  readonly key: LinearWeights;
  readonly value: LinearWeights;
  readonly out: LinearWeights;
  readonly norm2: NormWeights;
  /** Only in a gated MLP. */
  readonly gate?: LinearWeights | undefined;
  readonly up: LinearWeights;
  readonly down: LinearWeights;
  /** Patches attend within their window, else over the whole picture. */
  readonly windowed: boolean;
}

/**
 * A vision tower for pictures of any size: patches turn by their row and column. Squares of `merge`
 * patches a side stay together, one after another; a patch may cover several frames.
 */
export interface NativeVisionSpec {
  readonly hiddenSize: number;
  readonly heads: number;
  /** Pixels along a patch's side, and frames that it covers. */
  readonly patchSize: number;
  readonly patchFrames: number;
  /** Patches along the side of the square that becomes one token. */
  readonly merge: number;
  /** Tokens along the side of an attention window; absent: no layer has windows. */
  readonly windowSide?: number | undefined;
  readonly normEps: number;
  readonly activation: Activation;
  /** Of a head: axis 0 is the row, axis 1 the column. */
  readonly rope: RopeSpec;
  /** [hidden, 3, frames, patch, patch], or without the axis of frames; with or without a bias. */
  readonly patchEmbedding: LinearWeights;
  readonly layers: readonly NativeLayerWeights[];
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

/** How a frame's patch features become video tokens of the decoder's width. */
export type ConnectorSpec =
  | {
      /** PLLaVA: MLP, then average pooling over time, rows and columns; none: every token is kept. */
      readonly kind: "mlp-pool";
      readonly projector: ProjectorSpec;
      readonly pooling: PoolingSpec | undefined;
    }
  | {
      /** LLaVA-NeXT-Video: pooling of stride x stride patches in vision width, then MLP. */
      readonly kind: "pool-mlp";
      readonly mode: "average" | "max";
      readonly stride: number;
      readonly projector: ProjectorSpec;
    }
  | {
      /** LLaVA-OneVision: MLP, bilinear resize to half the grid; the video ends with `newline` [d]. */
      readonly kind: "mlp-resize";
      readonly projector: ProjectorSpec;
      readonly newline: LocatedTensor;
    }
  | {
      /** InternVL: factor x factor patches side by side in one vector, LayerNorm, MLP. */
      readonly kind: "shuffle-mlp";
      readonly factor: number;
      /** Tokens of a frame column after column, as `ps_version` "v1" leaves them. */
      readonly columnMajor?: boolean | undefined;
      readonly norm: LayerNormWeights;
      readonly projector: ProjectorSpec;
    }
  | {
      /** SmolVLM: factor x factor patches side by side in one vector, one matrix. */
      readonly kind: "shuffle-linear";
      readonly factor: number;
      readonly linear: LinearWeights;
    };

/** How the squares of patches of a tower for any size become video tokens: norm, merge, MLP. */
export interface MergerSpec {
  /** "merge-mlp" (Qwen2.5-VL): the square side by side in one vector; "mean-mlp" (VideoLLaMA3): its mean. */
  readonly kind: "merge-mlp" | "mean-mlp";
  /** Of each patch. */
  readonly norm: NormWeights;
  readonly projector: ProjectorSpec;
}

/** One layer of a Llama-style decoder; layers of one decoder may differ. */
export interface DecoderLayerWeights {
  /** Positions that a row looks back over, itself among them; absent: all before it. */
  readonly window?: number | undefined;
  readonly inputNorm: LocatedTensor;
  readonly query: LinearWeights;
  readonly key: LinearWeights;
  readonly value: LinearWeights;
  /** Qwen3's norms of each head's query and key before the rotation, [head_dim]. */
  readonly queryNorm?: LocatedTensor | undefined;
  readonly keyNorm?: LocatedTensor | undefined;
  readonly out: LinearWeights;
  readonly postNorm: LocatedTensor;
  readonly gate: LinearWeights;
  readonly up: LinearWeights;
  readonly down: LinearWeights;
}

/** Rotary position embedding: inverse frequencies [head_dim / 2] after any scaling. */
export interface RopeSpec {
  readonly inverseFrequencies: Float64Array;
  /**
   * Of each frequency, the axis of positions that it turns by (M-RoPE: 0 time, 1 row, 2 column; a
   * vision tower: 0 row, 1 column). Absent: positions have one axis.
   */
  readonly axes?: readonly number[] | undefined;
  /** Factor on cos and sin; 1 unless a scaling says otherwise. */
  readonly attentionScaling: number;
  /** Other frequencies for prompts of more than `beyond` positions. */
  readonly long?: { readonly beyond: number; readonly inverseFrequencies: Float64Array };
  /** "dynamic": for prompts of more than `beyond` positions the base `theta` grows with their number. */
  readonly dynamic?: { readonly beyond: number; readonly factor: number; readonly theta: number };
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
  /** config.json says that head and embeddings are one matrix, but the file holds a head of its own. */
  readonly headSaidTied: boolean;
  /** Positions that the model was trained for (`max_position_embeddings`). */
  readonly maxPositions: number;
}

/**
 * M-RoPE (Qwen2-VL, arXiv 2409.12191): a text token has one position on all axes, a video token
 * those of its time, row and column.
 */
export interface VideoPositions {
  /** Positions of time that a second takes (Qwen2.5-VL); absent: one for each step of the grid. */
  readonly tokensPerSecond?: number | undefined;
}

interface CommonSpec {
  readonly family: string;
  /** `model_type` of config.json. */
  readonly modelType: string;
  /** The external-data folder of every graph. */
  readonly root: string;
  /** Every tensor of the checkpoint, used or not. */
  readonly tensors: ReadonlyMap<string, LocatedTensor>;
  /** What the user should know of how the checkpoint was read; empty as a rule. */
  readonly notices: readonly string[];
  /** Frames sampled from a clip. */
  readonly frames: number;
  /** How the checkpoint's processor file is read. */
  readonly processor: ProcessorRules;
  readonly prompt: PromptSpec;
  /** Tokens that end an answer. */
  readonly endTokenIds: readonly number[];
  readonly decoder: DecoderSpec;
  /** Absent: every token stands at its number in the prompt. */
  readonly videoPositions?: VideoPositions | undefined;
}

/** A model whose frames all come in one size. */
export interface SquareModelSpec extends CommonSpec {
  readonly vision: VisionSpec;
  readonly connector: ConnectorSpec;
}

/** A model whose tower takes pictures of any size. */
export interface NativeModelSpec extends CommonSpec {
  readonly vision: NativeVisionSpec;
  readonly connector: MergerSpec;
  /**
   * Whether tokens that show what the frame before showed are left out, where config.json says it;
   * else the processor's file says.
   */
  readonly useTokenCompression?: boolean | undefined;
}

/** A model as the engine needs it: sizes, and where each weight lies. No file is read for it again. */
export type ModelSpec = SquareModelSpec | NativeModelSpec;

export function isNative(spec: ModelSpec): spec is NativeModelSpec {
  return "merge" in spec.vision;
}

/** Extents of a prepared frame, in pixels. */
export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/** Patches along one side of a frame. */
export function patchSide(vision: VisionSpec): number {
  return Math.floor(vision.imageSize / vision.patchSize);
}

/**
 * How a clip of `frames` frames is pooled: as the model says, but for its number of frames, which
 * follows the clip's unless the model averages over time.
 */
export function poolingOf(spec: ModelSpec, frames: number): PoolingSpec | undefined {
  if (spec.connector.kind !== "mlp-pool") return undefined;
  const { pooling } = spec.connector;
  if (pooling === undefined || pooling.frames !== spec.frames) return pooling;
  return { ...pooling, frames };
}

/**
 * Extents of the token grid that a clip of `frames` frames becomes. Where a token covers several
 * frames, the grid's are as many as the groups of them.
 *
 * @param picture of the prepared frames; needed by a model for pictures of any size.
 * @throws ModelError when the picture cannot be cut into whole tokens.
 */
export function tokenGrid(spec: ModelSpec, frames: number, picture?: PictureSize): PoolingSpec {
  if (isNative(spec)) return nativeGrid(spec, frames, picture);
  const { vision, connector } = spec;
  const side = patchSide(vision);
  const square = (extent: number) => ({ frames, rows: extent, columns: extent });
  switch (connector.kind) {
    case "mlp-pool": {
      const pooling = poolingOf(spec, frames);
      if (pooling !== undefined) return pooling;
      return vision.keepsClassToken ? { frames, rows: 1, columns: side * side + 1 } : square(side);
    }
    case "pool-mlp":
      return square(Math.floor(side / connector.stride));
    case "mlp-resize":
      return square(Math.ceil(side / 2));
    case "shuffle-mlp":
    case "shuffle-linear":
      return square(side / connector.factor);
  }
}

function nativeGrid(
  { vision }: NativeModelSpec,
  frames: number,
  picture?: PictureSize,
): PoolingSpec {
  if (picture === undefined) throw new Error("the token grid follows the picture's size");
  const side = tokenSide(vision);
  const { width, height } = picture;
  if (width % side !== 0 || height % side !== 0 || width === 0 || height === 0) {
    throw new ModelError(
      `frames are prepared as ${width} x ${height} pixels, which are no whole tokens of ${side} x ${side}; ` +
        "do the processor's patch_size and merge_size agree with config.json?",
    );
  }
  return {
    frames: Math.ceil(frames / vision.patchFrames),
    rows: height / side,
    columns: width / side,
  };
}

/** Pixels along the side of the square that a token of a tower for any size covers. */
export function tokenSide({ patchSize, merge }: NativeVisionSpec): number {
  return patchSize * merge;
}

/**
 * The cell, counted row by row and frame by frame, of each frame token of a clip, for a model whose
 * tokens stand in another order; undefined for the others.
 */
export function tokenCells({ connector }: ModelSpec, grid: PoolingSpec): number[] | undefined {
  if (connector.kind !== "shuffle-mlp" || connector.columnMajor !== true) return undefined;
  const { frames, rows, columns } = grid;
  return Array.from({ length: frames * rows * columns }, (_, token) => {
    const inFrame = token % (rows * columns);
    return token - inFrame + (inFrame % rows) * columns + Math.floor(inFrame / rows);
  });
}

/** Video tokens after the last frame's that belong to no frame: LLaVA-OneVision's newline. */
export function trailingTokens({ connector }: ModelSpec): number {
  return connector.kind === "mlp-resize" ? 1 : 0;
}
