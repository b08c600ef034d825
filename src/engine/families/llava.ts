import type { ConfigReader } from "../checkpoint/config.ts";
import type { Weights } from "../checkpoint/weights.ts";
import { readRope } from "./rope.ts";
import type {
  Activation,
  DecoderLayerWeights,
  DecoderSpec,
  ModelSpec,
  PoolingSpec,
  VisionLayerWeights,
  VisionSpec,
} from "./spec.ts";
import { TensorLookup } from "./tensors.ts";

/**
 * PLLaVA and the LLaVA models it grows from: CLIP tower, two-layer projector, average pooling over
 * the clip, Llama decoder. `config.json` says `llava` or `llava_next`; an image-only base has no
 * pooling of its own and is run with the paper's (8 frames, 12 x 12 tokens each) when its grid is
 * at least that fine, as the paper's comparison does.
 */
export const LLAVA_MODEL_TYPES: readonly string[] = ["llava", "llava_next", "pllava"];

/** The paper's run of LLaVA-NeXT-Video-FT: 8 frames, 12 x 12 tokens each. */
const PAPER_FRAMES = 8;
const PAPER_SIDE = 12;

/** Where each library version keeps the parts; the newest first. */
const DECODER_PREFIXES = ["model.language_model.", "language_model.model."];
const VISION_PREFIXES = [
  "model.vision_tower.vision_model.",
  "model.vision_tower.",
  "vision_tower.vision_model.",
  "vision_tower.",
];
const PROJECTOR_PREFIXES = ["model.multi_modal_projector.", "multi_modal_projector."];
const HEAD_NAMES = ["lm_head", "language_model.lm_head"];

/**
 * Reads a LLaVA-family configuration and finds its tensors.
 *
 * @throws ModelError naming the key and value, or the tensor, that cannot be used.
 */
export function readLlava(config: ConfigReader, folder: string, weights: Weights): ModelSpec {
  const lookup = new TensorLookup(folder, weights);
  const decoder = readDecoder(config, lookup);
  const vision = readVision(config, lookup);
  const name = lookup.prefix(PROJECTOR_PREFIXES, "linear_1.weight");
  const grid = vision.imageSize / vision.patchSize;
  const frames = config.has("num_frames") ? config.size("num_frames") : PAPER_FRAMES;
  return {
    family: "pllava",
    modelType: config.text("model_type"),
    root: weights.root,
    tensors: weights.tensors,
    vision,
    projector: {
      first: lookup.linear(`${name}linear_1`, decoder.hiddenSize, vision.hiddenSize),
      activation: readActivation(config, "projector_hidden_act", "gelu"),
      second: lookup.linear(`${name}linear_2`, decoder.hiddenSize, decoder.hiddenSize),
    },
    pooling: readPooling(config, vision, grid, frames),
    frames,
    imageTokenId: config.has("image_token_id")
      ? config.number("image_token_id")
      : config.number("image_token_index", 32_000),
    endTokenIds: endTokens(config),
    decoder,
    template: "pllava",
  };
}

/** `eos_token_id` of the decoder or the model: one id, or several; Llama's own by default. */
function endTokens(config: ConfigReader): number[] {
  const text = config.section("text_config");
  const ids = text.raw("eos_token_id") ?? config.raw("eos_token_id") ?? 2;
  return [ids].flat().filter((id): id is number => Number.isSafeInteger(id));
}

function readPooling(
  config: ConfigReader,
  vision: VisionSpec,
  grid: number,
  frames: number,
): PoolingSpec | undefined {
  if (!config.flag("use_pooling", true) || vision.keepsClassToken) return undefined;
  if (config.has("pooling_shape")) {
    const [time, rows, columns] = config.sizes("pooling_shape", 3) as [number, number, number];
    return { frames: time, rows, columns };
  }
  return grid >= PAPER_SIDE ? { frames, rows: PAPER_SIDE, columns: PAPER_SIDE } : undefined;
}

function readVision(config: ConfigReader, lookup: TensorLookup): VisionSpec {
  const section = config.section("vision_config");
  const kind = section.text("model_type", "clip_vision_model");
  if (kind !== "clip_vision_model") {
    throw section.refuse("model_type", "a CLIP vision tower (clip_vision_model) is supported");
  }
  const hiddenSize = section.size("hidden_size", 768);
  const heads = section.size("num_attention_heads", 12);
  const inner = section.size("intermediate_size", 3072);
  const imageSize = section.size("image_size", 224);
  const patchSize = section.size("patch_size", 32);
  if (hiddenSize % heads !== 0) {
    throw section.refuse("num_attention_heads", `${hiddenSize} must be a multiple of it`);
  }
  const select = config.text("vision_feature_select_strategy", "default");
  if (select !== "default" && select !== "full") {
    throw config.refuse("vision_feature_select_strategy", '"default" and "full" are supported');
  }
  const run = featureLayer(config, section.size("num_hidden_layers", 12));
  const prefix = lookup.prefix(VISION_PREFIXES, "embeddings.class_embedding");
  const side = Math.floor(imageSize / patchSize);
  // The library's own spelling of this tensor's name has a typing slip; both are looked for.
  const preNorm = lookup.has(`${prefix}pre_layrnorm.weight`) ? "pre_layrnorm" : "pre_layernorm";
  return {
    hiddenSize,
    heads,
    imageSize,
    patchSize,
    normEps: section.number("layer_norm_eps", 1e-5),
    activation: readActivation(section, "hidden_act", "quick_gelu"),
    keepsClassToken: select === "full",
    patchEmbedding: lookup.tensor(`${prefix}embeddings.patch_embedding.weight`, [
      hiddenSize,
      3,
      patchSize,
      patchSize,
    ]),
    classEmbedding: lookup.tensor(`${prefix}embeddings.class_embedding`, [hiddenSize]),
    positionEmbedding: lookup.tensor(`${prefix}embeddings.position_embedding.weight`, [
      side * side + 1,
      hiddenSize,
    ]),
    preNorm: lookup.layerNorm(prefix + preNorm, hiddenSize),
    layers: Array.from({ length: run }, (_, i) =>
      visionLayer(lookup, `${prefix}encoder.layers.${i}.`, hiddenSize, inner),
    ),
  };
}

/** How many encoder layers run: `vision_feature_layer` indexes the hidden states, 0 the embedding. */
function featureLayer(config: ConfigReader, layers: number): number {
  const chosen = config.has("vision_feature_layer") ? config.raw("vision_feature_layer") : -2;
  if (typeof chosen !== "number" || !Number.isInteger(chosen)) {
    throw config.refuse("vision_feature_layer", "one layer (a whole number) is supported");
  }
  const run = chosen < 0 ? layers + 1 + chosen : chosen;
  if (run < 0 || run > layers) {
    throw config.refuse("vision_feature_layer", `the vision tower has ${layers} layers`);
  }
  return run;
}

function visionLayer(
  lookup: TensorLookup,
  prefix: string,
  width: number,
  inner: number,
): VisionLayerWeights {
  return {
    norm1: lookup.layerNorm(`${prefix}layer_norm1`, width),
    query: lookup.linear(`${prefix}self_attn.q_proj`, width, width),
    key: lookup.linear(`${prefix}self_attn.k_proj`, width, width),
    value: lookup.linear(`${prefix}self_attn.v_proj`, width, width),
    out: lookup.linear(`${prefix}self_attn.out_proj`, width, width),
    norm2: lookup.layerNorm(`${prefix}layer_norm2`, width),
    up: lookup.linear(`${prefix}mlp.fc1`, inner, width),
    down: lookup.linear(`${prefix}mlp.fc2`, width, inner),
  };
}

function readDecoder(config: ConfigReader, lookup: TensorLookup): DecoderSpec {
  const text = config.section("text_config");
  const kind = text.text("model_type", "llama");
  if (kind !== "llama") throw text.refuse("model_type", "a Llama decoder (llama) is supported");
  const hiddenSize = text.size("hidden_size", 4096);
  const intermediateSize = text.size("intermediate_size", 11_008);
  const heads = text.size("num_attention_heads", 32);
  const kvHeads = text.size("num_key_value_heads", heads);
  const headDim = text.size("head_dim", Math.floor(hiddenSize / heads));
  if (heads % kvHeads !== 0) {
    throw text.refuse("num_key_value_heads", `${heads} attention heads must be a multiple of it`);
  }
  if (headDim % 2 !== 0) throw text.refuse("head_dim", "rotary positions need an even number");
  const prefix = lookup.prefix(DECODER_PREFIXES, "embed_tokens.weight");
  const vocabSize = text.size("vocab_size", 32_000);
  const embedding = lookup.tensor(`${prefix}embed_tokens.weight`, [vocabSize, hiddenSize]);
  const headName = HEAD_NAMES.find((name) => lookup.has(`${name}.weight`));
  const tied = config.flag("tie_word_embeddings", false) || text.flag("tie_word_embeddings", false);
  if (headName === undefined && !tied) {
    lookup.tensor(`${HEAD_NAMES[0]}.weight`, [vocabSize, hiddenSize]);
  }
  return {
    hiddenSize,
    intermediateSize,
    heads,
    kvHeads,
    headDim,
    vocabSize,
    normEps: text.number("rms_norm_eps", 1e-6),
    activation: readActivation(text, "hidden_act", "silu"),
    rope: readRope(text, headDim),
    layers: Array.from({ length: text.size("num_hidden_layers", 32) }, (_, i) =>
      decoderLayer(lookup, `${prefix}layers.${i}.`, {
        width: hiddenSize,
        inner: intermediateSize,
        query: heads * headDim,
        keyValue: kvHeads * headDim,
      }),
    ),
    finalNorm: lookup.tensor(`${prefix}norm.weight`, [hiddenSize]),
    embedding,
    head:
      tied || headName === undefined
        ? embedding
        : lookup.tensor(`${headName}.weight`, [vocabSize, hiddenSize]),
  };
}

function decoderLayer(
  lookup: TensorLookup,
  prefix: string,
  sizes: { width: number; inner: number; query: number; keyValue: number },
): DecoderLayerWeights {
  const { width, inner, query, keyValue } = sizes;
  return {
    inputNorm: lookup.tensor(`${prefix}input_layernorm.weight`, [width]),
    query: lookup.linear(`${prefix}self_attn.q_proj`, query, width),
    key: lookup.linear(`${prefix}self_attn.k_proj`, keyValue, width),
    value: lookup.linear(`${prefix}self_attn.v_proj`, keyValue, width),
    out: lookup.linear(`${prefix}self_attn.o_proj`, width, query),
    postNorm: lookup.tensor(`${prefix}post_attention_layernorm.weight`, [width]),
    gate: lookup.linear(`${prefix}mlp.gate_proj`, inner, width),
    up: lookup.linear(`${prefix}mlp.up_proj`, inner, width),
    down: lookup.linear(`${prefix}mlp.down_proj`, width, inner),
  };
}

const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  quick_gelu: "quick_gelu",
  gelu: "gelu",
  gelu_new: "gelu_tanh",
  gelu_pytorch_tanh: "gelu_tanh",
  silu: "silu",
  swish: "silu",
  relu: "relu",
};

function readActivation(config: ConfigReader, key: string, fallback: string): Activation {
  const found = ACTIVATIONS[config.text(key, fallback)];
  if (found === undefined) {
    throw config.refuse(key, `supported are ${Object.keys(ACTIVATIONS).join(", ")}`);
  }
  return found;
}
