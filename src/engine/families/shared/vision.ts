import type { ConfigReader } from "../../../common/config-reader.ts";
import { LIMITS } from "../../../common/limits.ts";
import { readActivation } from "./activation.ts";
import type { NormWeights, VisionLayerWeights, VisionSpec } from "./spec.ts";
import type { TensorLookup } from "./tensors.ts";

/** What the reader of a vision tower needs beside its section of the configuration. */
export interface VisionPlace {
  /** Before `embeddings`; the newest library version's first. */
  readonly prefixes: readonly string[];
  /** How many encoder layers run, of all of them. */
  readonly layersRun: (layers: number) => number;
}

/** Sizes every tower's configuration gives. */
export function readSizes(
  section: ConfigReader,
  fallback: {
    readonly hidden: number;
    readonly heads: number;
    readonly inner: number;
    readonly layers: number;
    readonly image: number;
    readonly patch: number;
  },
) {
  const hiddenSize = section.size("hidden_size", fallback.hidden, LIMITS.width);
  const heads = section.size("num_attention_heads", fallback.heads, LIMITS.heads);
  if (hiddenSize % heads !== 0) {
    throw section.refuse("num_attention_heads", `${hiddenSize} must be a multiple of it`);
  }
  const imageSize = readSquare(section, "image_size", fallback.image, LIMITS.pictureSide);
  const patchSize = readSquare(section, "patch_size", fallback.patch, LIMITS.patchSide);
  const side = Math.floor(imageSize / patchSize);
  return {
    hiddenSize,
    heads,
    inner: section.size("intermediate_size", fallback.inner, LIMITS.inner),
    layers: section.size("num_hidden_layers", fallback.layers, LIMITS.layers),
    imageSize,
    patchSize,
    patches: side * side,
  };
}

/** An extent of at most `most`, written as one number or as two equal ones. */
export function readSquare(
  section: ConfigReader,
  key: string,
  fallback: number,
  most: number,
): number {
  if (!Array.isArray(section.raw(key))) return section.size(key, fallback, most);
  const [height, width] = section.sizes(key, 2, most);
  if (height === undefined || height !== width) {
    throw section.refuse(key, "square pictures and patches are supported");
  }
  return height;
}

/** CLIP: a class token, a norm before the layers, and no norm after the layer that is read. */
export function readClip(
  section: ConfigReader,
  lookup: TensorLookup,
  place: VisionPlace & { readonly keepsClassToken: boolean },
): VisionSpec {
  const sizes = readSizes(section, {
    hidden: 768,
    heads: 12,
    inner: 3072,
    layers: 12,
    image: 224,
    patch: 32,
  });
  const { hiddenSize } = sizes;
  const prefix = lookup.prefix(place.prefixes, "embeddings.class_embedding");
  // The library's own spelling of this tensor's name has a typing slip; both are looked for.
  const preNorm = lookup.has(`${prefix}pre_layrnorm.weight`) ? "pre_layrnorm" : "pre_layernorm";
  return {
    ...sizes,
    normEps: section.within("layer_norm_eps", 0, 1, 1e-5),
    activation: readActivation(section, "hidden_act", "quick_gelu"),
    keepsClassToken: place.keepsClassToken,
    patchEmbedding: { weight: patchWeight(lookup, `${prefix}embeddings.patch_embedding`, sizes) },
    classEmbedding: lookup.tensor(`${prefix}embeddings.class_embedding`, [hiddenSize]),
    positionEmbedding: lookup.tensor(`${prefix}embeddings.position_embedding.weight`, [
      sizes.patches + 1,
      hiddenSize,
    ]),
    preNorm: lookup.layerNorm(prefix + preNorm, hiddenSize),
    layers: Array.from({ length: place.layersRun(sizes.layers) }, (_, i) =>
      clipLayer(lookup, `${prefix}encoder.layers.${i}.`, hiddenSize, sizes.inner),
    ),
    postNorm: undefined,
  };
}

/**
 * SigLIP: no class token, a bias at the patches, and a norm at the end for models that read their
 * features after it (SmolVLM does, LLaVA-OneVision does not).
 */
export function readSiglip(
  section: ConfigReader,
  lookup: TensorLookup,
  place: VisionPlace & { readonly postNorm: boolean },
): VisionSpec {
  const sizes = readSizes(section, {
    hidden: place.postNorm ? 1152 : 768,
    heads: place.postNorm ? 16 : 12,
    inner: 3072,
    layers: 12,
    image: 224,
    patch: place.postNorm ? 32 : 16,
  });
  const { hiddenSize } = sizes;
  const prefix = lookup.prefix(place.prefixes, "embeddings.patch_embedding.weight");
  return {
    ...sizes,
    normEps: section.within("layer_norm_eps", 0, 1, 1e-6),
    activation: readActivation(section, "hidden_act", "gelu_pytorch_tanh"),
    keepsClassToken: false,
    patchEmbedding: patchConvolution(lookup, `${prefix}embeddings.patch_embedding`, sizes),
    classEmbedding: undefined,
    positionEmbedding: lookup.tensor(`${prefix}embeddings.position_embedding.weight`, [
      sizes.patches,
      hiddenSize,
    ]),
    preNorm: undefined,
    layers: Array.from({ length: place.layersRun(sizes.layers) }, (_, i) =>
      clipLayer(lookup, `${prefix}encoder.layers.${i}.`, hiddenSize, sizes.inner),
    ),
    postNorm: place.postNorm ? lookup.layerNorm(`${prefix}post_layernorm`, hiddenSize) : undefined,
  };
}

type PatchSizes = Pick<VisionSpec, "hiddenSize" | "patchSize">;

/** Kernel of the convolution that turns patches of RGB into rows: [d, 3, patch, patch]. */
function patchWeight(lookup: TensorLookup, name: string, { hiddenSize, patchSize }: PatchSizes) {
  return lookup.tensor(`${name}.weight`, [hiddenSize, 3, patchSize, patchSize]);
}

/** The convolution that turns patches into rows, with its bias. */
export function patchConvolution(lookup: TensorLookup, name: string, sizes: PatchSizes) {
  return {
    weight: patchWeight(lookup, name, sizes),
    bias: lookup.tensor(`${name}.bias`, [sizes.hiddenSize]),
  };
}

/** One layer under CLIP's and SigLIP's names. */
export function clipLayer(
  lookup: TensorLookup,
  prefix: string,
  width: number,
  inner: number,
): VisionLayerWeights {
  return {
    norm1: lookup.layerNorm(`${prefix}layer_norm1`, width),
    query: lookup.linear(`${prefix}self_attn.q_proj`, width, width, true),
    key: lookup.linear(`${prefix}self_attn.k_proj`, width, width, true),
    value: lookup.linear(`${prefix}self_attn.v_proj`, width, width, true),
    out: lookup.linear(`${prefix}self_attn.out_proj`, width, width, true),
    norm2: lookup.layerNorm(`${prefix}layer_norm2`, width),
    up: lookup.linear(`${prefix}mlp.fc1`, inner, width, true),
    down: lookup.linear(`${prefix}mlp.fc2`, width, inner, true),
  };
}

/**
 * InternViT: a class token that is dropped, and layer scale on both halves of a layer. The one of 6B
 * normalises by root mean squares, queries and keys too.
 */
export function readInternVit(
  section: ConfigReader,
  lookup: TensorLookup,
  place: VisionPlace & { readonly afterLast: boolean },
): VisionSpec {
  if (!section.flag("use_absolute_position_embeddings", true)) {
    throw section.refuse("use_absolute_position_embeddings", "position embeddings are needed");
  }
  const sizes = readSizes(section, {
    hidden: 1024,
    heads: 16,
    inner: 4096,
    layers: 24,
    image: 448,
    patch: 14,
  });
  const { hiddenSize } = sizes;
  const prefix = lookup.prefix(place.prefixes, "embeddings.cls_token");
  const normed = place.afterLast && !section.flag("use_mean_pooling", true);
  const design = {
    width: hiddenSize,
    inner: sizes.inner,
    norm: readNormKind(section, "layer_norm"),
    headsNormed: section.flag("use_qk_norm", false),
    biased: section.flag("attention_bias", false),
  };
  return {
    ...sizes,
    normEps: section.within("layer_norm_eps", 0, 1, 1e-6),
    activation: readActivation(section, "hidden_act", "gelu"),
    keepsClassToken: false,
    patchEmbedding: patchConvolution(
      lookup,
      `${prefix}embeddings.patch_embeddings.projection`,
      sizes,
    ),
    classEmbedding: lookup.tensor(`${prefix}embeddings.cls_token`, [1, 1, hiddenSize]),
    positionEmbedding: lookup.tensor(`${prefix}embeddings.position_embeddings`, [
      1,
      sizes.patches + 1,
      hiddenSize,
    ]),
    preNorm: undefined,
    layers: Array.from({ length: place.layersRun(sizes.layers) }, (_, i) =>
      internLayer(lookup, `${prefix}encoder.layer.${i}.`, design),
    ),
    postNorm: normed ? lookup.layerNorm(`${prefix}layernorm`, hiddenSize) : undefined,
  };
}

/** How the layers of an InternViT are made. */
export interface InternDesign {
  readonly width: number;
  readonly inner: number;
  readonly norm: (lookup: TensorLookup, name: string, width: number) => NormWeights;
  /** Whether queries and keys are normalised. */
  readonly headsNormed: boolean;
  /** Whether queries, keys and values have biases. */
  readonly biased: boolean;
}

/** `norm_type`: how an InternViT normalises. */
export function readNormKind(section: ConfigReader, fallback: string): InternDesign["norm"] {
  const kind = section.text("norm_type", fallback);
  if (kind === "layer_norm") return (lookup, name, width) => lookup.layerNorm(name, width);
  if (kind === "rms_norm") {
    return (lookup, name, width) => ({ weight: lookup.tensor(`${name}.weight`, [width]) });
  }
  throw section.refuse("norm_type", '"layer_norm" and "rms_norm" are supported');
}

function internLayer(
  lookup: TensorLookup,
  prefix: string,
  { width, inner, norm, headsNormed, biased }: InternDesign,
): VisionLayerWeights {
  const heads = (name: string) => lookup.linear(`${prefix}attention.${name}`, width, width, biased);
  const headNorm = (name: string) =>
    headsNormed ? lookup.tensor(`${prefix}attention.${name}.weight`, [width]) : undefined;
  return {
    norm1: norm(lookup, `${prefix}layernorm_before`, width),
    query: heads("q_proj"),
    key: heads("k_proj"),
    value: heads("v_proj"),
    queryNorm: headNorm("q_norm"),
    keyNorm: headNorm("k_norm"),
    out: lookup.linear(`${prefix}attention.projection_layer`, width, width, true),
    norm2: norm(lookup, `${prefix}layernorm_after`, width),
    up: lookup.linear(`${prefix}mlp.fc1`, inner, width, true),
    down: lookup.linear(`${prefix}mlp.fc2`, width, inner, true),
    scale1: lookup.tensor(`${prefix}lambda_1`, [width]),
    scale2: lookup.tensor(`${prefix}lambda_2`, [width]),
  };
}

/**
 * How many encoder layers run for `vision_feature_layer`, which indexes the hidden states, 0 being
 * the embedding.
 *
 * @param key the setting's name where a family calls it otherwise.
 * @throws ModelError when it is not one layer that the tower has.
 */
export function featureLayer(config: ConfigReader, fallback: number, key = "vision_feature_layer") {
  return (layers: number): number => {
    const chosen = config.has(key) ? config.raw(key) : fallback;
    if (typeof chosen !== "number" || !Number.isInteger(chosen)) {
      throw config.refuse(key, "one layer (a whole number) is supported");
    }
    const run = chosen < 0 ? layers + 1 + chosen : chosen;
    if (run < 0 || run > layers) {
      throw config.refuse(key, `the vision tower has ${layers} layers`);
    }
    return run;
  };
}
