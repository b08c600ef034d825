import type { ConfigReader } from "../../../common/config-reader.ts";
import { LIMITS } from "../../../common/limits.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { PAPER_FRAMES } from "../llava/llava.ts";
import { readActivation } from "../shared/activation.ts";
import { readDecoder, readEndTokens } from "../shared/decoder.ts";
import type { DecoderKind } from "../shared/decoder-kinds.ts";
import { fusedRows } from "../shared/decoder-layer.ts";
import { axialRope, MOST_THETA } from "../shared/rope.ts";
import type {
  LinearWeights,
  MergerSpec,
  ModelSpec,
  NativeLayerWeights,
  NativeVisionSpec,
  NormWeights,
  VideoPositions,
} from "../shared/spec.ts";
import { TensorLookup } from "../shared/tensors.ts";
import { QWEN2_5_VL_PROCESSOR } from "./processor.ts";

export const QWEN2_5_VL_MODEL_TYPES: readonly string[] = ["qwen2_5_vl"];

/** Of every norm in the tower: its class fixes it. */
export const NORM_EPS = 1e-6;
/** Frames that a patch covers. */
export const PATCH_FRAMES = 2;

/**
 * Qwen2.5-VL: a tower for pictures of any size whose patches cover two frames and attend within
 * windows in most layers, 2 x 2 merger, Qwen2.5 decoder with M-RoPE. Published files keep the
 * decoder's settings at the root of config.json, newer ones in `text_config`.
 *
 * @throws ModelError naming the key and value, or the tensor, that cannot be used.
 */
export function readQwen25Vl(config: ConfigReader, folder: string, weights: Weights): ModelSpec {
  return readQwenVl(config, folder, weights, {
    family: "qwen2-5-vl",
    kind: "qwen2_5_vl_text",
    readTower,
    mergerNorm: (lookup, name, width) => ({ weight: lookup.tensor(`${name}.weight`, [width]) }),
    widthKey: "out_hidden_size",
    videoPositions: (section) => ({
      tokensPerSecond: section.within("tokens_per_second", 0, 1_000, 4),
    }),
  });
}

/** In what the models of this design differ. */
export interface QwenVlDesign {
  readonly family: string;
  readonly kind: DecoderKind;
  readonly readTower: (
    section: ConfigReader,
    lookup: TensorLookup,
    prefix: string,
  ) => NativeVisionSpec;
  /** The norm before the merger, of each patch. */
  readonly mergerNorm: (lookup: TensorLookup, name: string, width: number) => NormWeights;
  /** The tower's key for the decoder's width. */
  readonly widthKey: string;
  readonly videoPositions: (section: ConfigReader) => VideoPositions;
}

/**
 * Reads a model of Qwen2-VL's design.
 *
 * @throws ModelError naming the key and value, or the tensor, that cannot be used.
 */
export function readQwenVl(
  config: ConfigReader,
  folder: string,
  weights: Weights,
  design: QwenVlDesign,
): ModelSpec {
  const lookup = new TensorLookup(folder, weights);
  const settings = config.has("text_config") ? config.section("text_config") : config;
  const decoder = readDecoder(config, lookup, {
    settings,
    prefixes: ["model.language_model.", "model."],
    heads: ["lm_head"],
    kind: design.kind,
  });
  const section = config.section("vision_config");
  const prefix = lookup.prefix(["model.visual.", "visual."], "patch_embed.proj.weight");
  const vision = design.readTower(section, lookup, prefix);
  if (section.size(design.widthKey, 3584) !== decoder.hiddenSize) {
    throw section.refuse(design.widthKey, `the decoder is ${decoder.hiddenSize} wide`);
  }
  const norm = design.mergerNorm(lookup, `${prefix}merger.ln_q`, vision.hiddenSize);
  return {
    family: design.family,
    modelType: config.text("model_type"),
    root: weights.root,
    tensors: weights.tensors,
    notices: lookup.notices,
    vision,
    connector: readMerger(lookup, `${prefix}merger.`, vision, norm, decoder.hiddenSize),
    frames: PAPER_FRAMES,
    processor: QWEN2_5_VL_PROCESSOR,
    prompt: {
      template: "chat",
      videoTokenId: config.id("video_token_id", 151_656),
      wording: { kind: "run" },
    },
    endTokenIds: readEndTokens(config, 151_645, settings),
    decoder,
    videoPositions: design.videoPositions(section),
  };
}

function readTower(section: ConfigReader, lookup: TensorLookup, prefix: string): NativeVisionSpec {
  const named = section.text("model_type", "qwen2_5_vl");
  if (named !== "qwen2_5_vl" && named !== "qwen2_5_vl_vision") {
    throw section.refuse("model_type", "Qwen2.5-VL's own vision tower is supported");
  }
  const hiddenSize = section.size("hidden_size", 3584, LIMITS.width);
  const heads = section.size("num_heads", 16, LIMITS.heads);
  const headDim = hiddenSize / heads;
  if (headDim % 4 !== 0) {
    throw section.refuse("num_heads", `${hiddenSize} over it must be a multiple of 4`);
  }
  const patchSize = readPatches(section);
  const merge = section.size("spatial_merge_size", 2, LIMITS.gridSide);
  const windowSide = Math.floor(
    section.size("window_size", 112, LIMITS.pictureSide) / merge / patchSize,
  );
  if (windowSide < 1) {
    throw section.refuse("window_size", `a token is ${merge * patchSize} pixels wide`);
  }
  const whole = readWholeLayers(section);
  const inner = section.size("intermediate_size", 3420, LIMITS.inner);
  return {
    hiddenSize,
    heads,
    patchSize,
    patchFrames: PATCH_FRAMES,
    merge,
    windowSide,
    normEps: NORM_EPS,
    activation: readActivation(section, "hidden_act", "silu"),
    rope: axialRope(
      headDim,
      section.section("rope_parameters").within("rope_theta", 1, MOST_THETA, 10_000),
    ),
    patchEmbedding: patchPairs(lookup, `${prefix}patch_embed.proj`, hiddenSize, patchSize),
    layers: Array.from({ length: section.size("depth", 32, LIMITS.layers) }, (_, i) => ({
      ...readLayer(lookup, `${prefix}blocks.${i}.`, hiddenSize, inner),
      windowed: !whole.includes(i),
    })),
  };
}

/**
 * Pixels along a patch's side, where patches are as all models of this design have them.
 *
 * @throws ModelError where they are not.
 */
export function readPatches(section: ConfigReader): number {
  for (const key of ["in_channels", "in_chans"]) {
    if (section.size(key, 3) !== 3) throw section.refuse(key, "pictures have 3 colours");
  }
  if (section.size("temporal_patch_size", PATCH_FRAMES) !== PATCH_FRAMES) {
    throw section.refuse("temporal_patch_size", `${PATCH_FRAMES} is supported`);
  }
  return section.size("patch_size", 14, LIMITS.patchSide);
}

/** The convolution that turns patches over two frames into rows. */
export function patchPairs(
  lookup: TensorLookup,
  name: string,
  width: number,
  patchSize: number,
): LinearWeights {
  const extents = [width, 3, PATCH_FRAMES, patchSize, patchSize];
  return { weight: lookup.tensor(`${name}.weight`, extents) };
}

/** Layers whose patches attend to the whole picture. */
function readWholeLayers(section: ConfigReader): readonly number[] {
  const key = "fullatt_block_indexes";
  const given: unknown = section.raw(key) ?? [7, 15, 23, 31];
  const isLayer = (item: unknown): item is number => Number.isSafeInteger(item);
  if (!Array.isArray(given) || !given.every(isLayer)) {
    throw section.refuse(key, "a list of layers is needed");
  }
  return given;
}

function readLayer(
  lookup: TensorLookup,
  prefix: string,
  width: number,
  inner: number,
): Omit<NativeLayerWeights, "windowed"> {
  const [query, key, value] = fusedRows(
    lookup,
    `${prefix}attn.qkv`,
    [width, width, width],
    width,
  ) as [LinearWeights, LinearWeights, LinearWeights];
  return {
    norm1: { weight: lookup.tensor(`${prefix}norm1.weight`, [width]) },
    query,
    key,
    value,
    out: lookup.linear(`${prefix}attn.proj`, width, width),
    norm2: { weight: lookup.tensor(`${prefix}norm2.weight`, [width]) },
    gate: lookup.linear(`${prefix}mlp.gate_proj`, inner, width),
    up: lookup.linear(`${prefix}mlp.up_proj`, inner, width),
    down: lookup.linear(`${prefix}mlp.down_proj`, width, inner),
  };
}

function readMerger(
  lookup: TensorLookup,
  prefix: string,
  { hiddenSize, merge }: NativeVisionSpec,
  norm: NormWeights,
  width: number,
): MergerSpec {
  const square = hiddenSize * merge * merge;
  return {
    kind: "merge-mlp",
    norm,
    projector: {
      first: lookup.linear(`${prefix}mlp.0`, square, square),
      activation: "gelu",
      second: lookup.linear(`${prefix}mlp.2`, width, square),
    },
  };
}
