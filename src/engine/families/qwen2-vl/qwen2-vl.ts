import type { ConfigReader } from "../../../common/config-reader.ts";
import { LIMITS } from "../../../common/limits.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import {
  NORM_EPS,
  PATCH_FRAMES,
  patchPairs,
  readPatches,
  readQwenVl,
} from "../qwen2-5-vl/qwen2-5-vl.ts";
import { readActivation } from "../shared/activation.ts";
import { fusedRows } from "../shared/decoder-layer.ts";
import { axialRope, MOST_THETA } from "../shared/rope.ts";
import type {
  LinearWeights,
  ModelSpec,
  NativeLayerWeights,
  NativeVisionSpec,
} from "../shared/spec.ts";
import type { TensorLookup } from "../shared/tensors.ts";

export const QWEN2_VL_MODEL_TYPES: readonly string[] = ["qwen2_vl"];

/**
 * Qwen2-VL: as Qwen2.5-VL, with a tower of LayerNorms and plain MLPs whose patches all attend to the
 * whole picture, and with time steps that count by one, however far apart the frames are.
 *
 * @throws ModelError naming the key and value, or the tensor, that cannot be used.
 */
export function readQwen2Vl(config: ConfigReader, folder: string, weights: Weights): ModelSpec {
  return readQwenVl(config, folder, weights, {
    family: "qwen2-vl",
    kind: "qwen2_vl_text",
    readTower,
    mergerNorm: (lookup, name, width) => lookup.layerNorm(name, width),
    widthKey: "hidden_size",
    videoPositions: () => ({}),
  });
}

function readTower(section: ConfigReader, lookup: TensorLookup, prefix: string): NativeVisionSpec {
  const named = section.text("model_type", "qwen2_vl");
  if (named !== "qwen2_vl" && named !== "qwen2_vl_vision") {
    throw section.refuse("model_type", "Qwen2-VL's own vision tower is supported");
  }
  const hiddenSize = section.size("embed_dim", 1280, LIMITS.width);
  const heads = section.size("num_heads", 16, LIMITS.heads);
  const headDim = hiddenSize / heads;
  if (headDim % 4 !== 0) {
    throw section.refuse("num_heads", `${hiddenSize} over it must be a multiple of 4`);
  }
  const patchSize = readPatches(section);
  const ratio = section.within("mlp_ratio", 0.01, 64, 4);
  const inner = Math.trunc(hiddenSize * ratio);
  return {
    hiddenSize,
    heads,
    patchSize,
    patchFrames: PATCH_FRAMES,
    merge: section.size("spatial_merge_size", 2, LIMITS.gridSide),
    normEps: NORM_EPS,
    activation: readActivation(section, "hidden_act", "quick_gelu"),
    rope: axialRope(
      headDim,
      section.section("rope_parameters").within("rope_theta", 1, MOST_THETA, 10_000),
    ),
    patchEmbedding: patchPairs(lookup, `${prefix}patch_embed.proj`, hiddenSize, patchSize),
    layers: Array.from({ length: section.size("depth", 32, LIMITS.layers) }, (_, i) =>
      readLayer(lookup, `${prefix}blocks.${i}.`, hiddenSize, inner),
    ),
  };
}

function readLayer(
  lookup: TensorLookup,
  prefix: string,
  width: number,
  inner: number,
): NativeLayerWeights {
  const [query, key, value] = fusedRows(
    lookup,
    `${prefix}attn.qkv`,
    [width, width, width],
    width,
  ) as [LinearWeights, LinearWeights, LinearWeights];
  return {
    norm1: lookup.layerNorm(`${prefix}norm1`, width),
    query,
    key,
    value,
    out: lookup.linear(`${prefix}attn.proj`, width, width),
    norm2: lookup.layerNorm(`${prefix}norm2`, width),
    up: lookup.linear(`${prefix}mlp.fc1`, inner, width),
    down: lookup.linear(`${prefix}mlp.fc2`, width, inner),
    windowed: false,
  };
}
