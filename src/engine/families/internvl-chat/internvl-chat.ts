import type { ConfigReader } from "../../../common/config-reader.ts";
import { LIMITS } from "../../../common/limits.ts";
import type { PromptSpec } from "../../../prompts/prompt-spec.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { PAPER_FRAMES } from "../llava/llava.ts";
import { PLLAVA_PROCESSOR } from "../llava/processor.ts";
import { readActivation } from "../shared/activation.ts";
import { readDecoder, readEndTokens } from "../shared/decoder.ts";
import type { DecoderKind } from "../shared/decoder-kinds.ts";
import { fusedRows } from "../shared/decoder-layer.ts";
import {
  type ConnectorSpec,
  type LinearWeights,
  type ModelSpec,
  patchSide,
  type VisionLayerWeights,
  type VisionSpec,
} from "../shared/spec.ts";
import { TensorLookup } from "../shared/tensors.ts";
import {
  featureLayer,
  type InternDesign,
  patchConvolution,
  readNormKind,
  readSizes,
} from "../shared/vision.ts";

export const INTERNVL_CHAT_MODEL_TYPES: readonly string[] = ["internvl_chat"];

/** Decoders by the class that `llm_config.architectures` names. */
const DECODERS: Readonly<Record<string, DecoderKind>> = {
  InternLM2ForCausalLM: "internlm2",
  LlamaForCausalLM: "llama",
  Phi3ForCausalLM: "phi3",
  Qwen2ForCausalLM: "qwen2",
};
/** Tokens around a picture, and the one that its features replace. */
const OPEN = "<img>";
const CONTEXT = "<IMG_CONTEXT>";
const CLOSE = "</img>";

/**
 * InternVL in the layout its authors publish (Mini-InternVL, InternVL2 and 2.5 with Phi-3, Qwen2, Llama
 * or InternLM2):
 * InternViT with one matrix for queries, keys and values, pixel shuffle, norm and two-layer projector.
 *
 * @throws ModelError naming the key and value, or the tensor, that cannot be used.
 */
export function readInternVlChat(
  config: ConfigReader,
  folder: string,
  weights: Weights,
): ModelSpec {
  const lookup = new TensorLookup(folder, weights);
  const llm = config.section("llm_config");
  const decoder = readDecoder(config, lookup, {
    settings: llm,
    prefixes: ["language_model.model."],
    heads: ["language_model.lm_head", "language_model.output"],
    kind: readKind(llm),
  });
  const vision = readTower(config, lookup);
  return {
    family: "internvl-chat",
    modelType: config.text("model_type"),
    root: weights.root,
    tensors: weights.tensors,
    notices: lookup.notices,
    vision,
    connector: readShuffle(config, lookup, vision, decoder.hiddenSize),
    // An image-only base is written with one frame; it is run with the paper's eight.
    frames: readFrames(config),
    processor: PLLAVA_PROCESSOR,
    prompt: readPrompt(config),
    endTokenIds: readEndTokens(config, 2, llm),
    decoder,
  };
}

function readFrames(config: ConfigReader): number {
  const stated = config.size("num_frames", 1, LIMITS.frames);
  return stated > 1 ? stated : PAPER_FRAMES;
}

function readKind(llm: ConfigReader): DecoderKind {
  const classes = llm.raw("architectures");
  const [name]: unknown[] = Array.isArray(classes) ? classes : [];
  const kind = typeof name === "string" ? DECODERS[name] : undefined;
  if (kind === undefined) {
    throw llm.refuse("architectures", `supported are ${Object.keys(DECODERS).join(", ")}`);
  }
  return kind;
}

/** InternViT-300M, and the one of 6B, whose settings are the class's own. */
function readTower(config: ConfigReader, lookup: TensorLookup): VisionSpec {
  const section = config.section("vision_config");
  const sizes = readSizes(section, {
    hidden: 3200,
    heads: 25,
    inner: 12_800,
    layers: 48,
    image: 224,
    patch: 14,
  });
  if (config.has("force_image_size") && config.size("force_image_size") !== sizes.imageSize) {
    throw config.refuse(
      "force_image_size",
      `pictures of vision_config's image_size (${sizes.imageSize}) are supported`,
    );
  }
  const { hiddenSize } = sizes;
  const design = {
    width: hiddenSize,
    inner: sizes.inner,
    norm: readNormKind(section, "rms_norm"),
    headsNormed: section.flag("qk_normalization", true),
    biased: section.flag("qkv_bias", false),
  };
  const embeddings = "vision_model.embeddings.";
  const run = featureLayer(config, -1, "select_layer")(sizes.layers);
  return {
    ...sizes,
    normEps: section.within("layer_norm_eps", 0, 1, 1e-6),
    activation: readActivation(section, "hidden_act", "gelu"),
    keepsClassToken: false,
    patchEmbedding: patchConvolution(lookup, `${embeddings}patch_embedding`, sizes),
    classEmbedding: lookup.tensor(`${embeddings}class_embedding`, [1, 1, hiddenSize]),
    positionEmbedding: lookup.tensor(`${embeddings}position_embedding`, [
      1,
      sizes.patches + 1,
      hiddenSize,
    ]),
    preNorm: undefined,
    layers: Array.from({ length: run }, (_, i) =>
      towerLayer(lookup, `vision_model.encoder.layers.${i}.`, design),
    ),
    postNorm: undefined,
  };
}

function towerLayer(
  lookup: TensorLookup,
  prefix: string,
  { width, inner, norm, headsNormed, biased }: InternDesign,
): VisionLayerWeights {
  const [query, key, value] = fusedRows(
    lookup,
    `${prefix}attn.qkv`,
    [width, width, width],
    width,
    biased,
  ) as [LinearWeights, LinearWeights, LinearWeights];
  const headNorm = (name: string) =>
    headsNormed ? lookup.tensor(`${prefix}attn.${name}.weight`, [width]) : undefined;
  return {
    norm1: norm(lookup, `${prefix}norm1`, width),
    query,
    key,
    value,
    queryNorm: headNorm("q_norm"),
    keyNorm: headNorm("k_norm"),
    out: lookup.linear(`${prefix}attn.proj`, width, width),
    norm2: norm(lookup, `${prefix}norm2`, width),
    up: lookup.linear(`${prefix}mlp.fc1`, inner, width),
    down: lookup.linear(`${prefix}mlp.fc2`, width, inner),
    scale1: lookup.tensor(`${prefix}ls1`, [width]),
    scale2: lookup.tensor(`${prefix}ls2`, [width]),
  };
}

function readShuffle(
  config: ConfigReader,
  lookup: TensorLookup,
  vision: VisionSpec,
  width: number,
): ConnectorSpec {
  const factor = Math.trunc(1 / config.within("downsample_ratio", 0.01, 1, 0.5));
  if (!(factor >= 1) || patchSide(vision) % factor !== 0) {
    throw config.refuse(
      "downsample_ratio",
      `the ${patchSide(vision)} patches of a side must be cut into whole squares`,
    );
  }
  const version = config.text("ps_version", "v1");
  if (version !== "v1" && version !== "v2") {
    throw config.refuse("ps_version", '"v1" and "v2" are supported');
  }
  const shuffled = vision.hiddenSize * factor * factor;
  return {
    kind: "shuffle-mlp",
    factor,
    columnMajor: version === "v1",
    norm: lookup.layerNorm("mlp1.0", shuffled),
    projector: {
      first: lookup.linear("mlp1.1", width, shuffled),
      activation: "gelu",
      second: lookup.linear("mlp1.3", width, width),
    },
  };
}

/**
 * Phi-3 is asked as the paper's reference does: its own conversation, and the whole video in one pair
 * of tokens. Other decoders have the checkpoint's chat template and numbered frames, as their authors
 * show videos.
 */
function readPrompt(config: ConfigReader): PromptSpec {
  const videoTokenId = config.has("img_context_token_id")
    ? config.id("img_context_token_id")
    : { text: CONTEXT };
  const around = { open: OPEN, close: CLOSE };
  return config.text("template", "") === "phi3-chat"
    ? { template: "phi3-chat", videoTokenId, wording: { kind: "run", ...around } }
    : { template: "chat", videoTokenId, wording: { kind: "numbered", ...around } };
}
