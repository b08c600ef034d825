import type { ConfigReader } from "../../../common/config-reader.ts";
import { LIMITS } from "../../../common/limits.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { readActivation } from "../shared/activation.ts";
import { type DecoderPlace, readDecoder, readEndTokens } from "../shared/decoder.ts";
import type { ModelSpec, PoolingSpec, ProjectorSpec, VisionSpec } from "../shared/spec.ts";
import { TensorLookup } from "../shared/tensors.ts";
import { featureLayer, readClip } from "../shared/vision.ts";
import { PLLAVA_PROCESSOR } from "./processor.ts";

/**
 * PLLaVA and the LLaVA models it grows from: CLIP tower, two-layer projector, average pooling over
 * the clip, Llama decoder. `config.json` says `llava` or `llava_next`; an image-only base has no
 * pooling of its own and is run with the paper's (8 frames, 12 x 12 tokens each) when its grid is
 * at least that fine, as the paper's comparison does.
 */
export const LLAVA_MODEL_TYPES: readonly string[] = ["llava", "llava_next", "pllava"];

/** The paper's run of LLaVA-NeXT-Video-FT: 8 frames, 12 x 12 tokens each. */
export const PAPER_FRAMES = 8;
const PAPER_SIDE = 12;

/** Where each library version keeps the parts of a LLaVA-like model; the newest first. */
export const LLAVA_DECODER = {
  prefixes: ["model.language_model.", "language_model.model."],
  heads: ["lm_head", "language_model.lm_head"],
} as const;
export const LLAVA_VISION = [
  "model.vision_tower.vision_model.",
  "model.vision_tower.",
  "vision_tower.vision_model.",
  "vision_tower.",
] as const;
const PROJECTOR_PREFIXES = ["model.multi_modal_projector.", "multi_modal_projector."];

/** The decoder of a LLaVA-like model whose configuration does not say another kind. */
export const LLAMA: DecoderPlace = { ...LLAVA_DECODER, kind: "llama" };

/**
 * Reads a LLaVA-family configuration and finds its tensors.
 *
 * @throws ModelError naming the key and value, or the tensor, that cannot be used.
 */
export function readLlava(config: ConfigReader, folder: string, weights: Weights): ModelSpec {
  const lookup = new TensorLookup(folder, weights);
  const decoder = readDecoder(config, lookup, LLAMA);
  const vision = readClipTower(config, lookup, ["default", "full"]);
  const grid = vision.imageSize / vision.patchSize;
  const frames = config.size("num_frames", PAPER_FRAMES, LIMITS.frames);
  return {
    family: "pllava",
    modelType: config.text("model_type"),
    root: weights.root,
    tensors: weights.tensors,
    notices: lookup.notices,
    vision,
    connector: {
      kind: "mlp-pool",
      projector: readProjector(config, lookup, vision.hiddenSize, decoder.hiddenSize),
      pooling: readPooling(config, vision, grid, frames),
    },
    frames,
    processor: PLLAVA_PROCESSOR,
    prompt: {
      template: "pllava",
      videoTokenId: config.has("image_token_id")
        ? config.id("image_token_id")
        : config.id("image_token_index", 32_000),
      wording: { kind: "run" },
    },
    endTokenIds: readEndTokens(config, 2),
    decoder,
  };
}

/** The two layers of `multi_modal_projector`, from `input` to `output` elements. */
export function readProjector(
  config: ConfigReader,
  lookup: TensorLookup,
  input: number,
  output: number,
): ProjectorSpec {
  const name = lookup.prefix(PROJECTOR_PREFIXES, "linear_1.weight");
  const biased = config.flag("multimodal_projector_bias", true);
  return {
    first: lookup.linear(`${name}linear_1`, output, input, biased),
    activation: readActivation(config, "projector_hidden_act", "gelu"),
    second: lookup.linear(`${name}linear_2`, output, output, biased),
  };
}

/** `multi_modal_projector.layer_norm`'s full name, of the library version that wrote the file. */
export function projectorPart(lookup: TensorLookup, part: string): string {
  return lookup.prefix(PROJECTOR_PREFIXES, `${part}.weight`) + part;
}

/**
 * The CLIP tower of a LLaVA-like model.
 *
 * @param strategies values of `vision_feature_select_strategy` that the family can be run with.
 */
export function readClipTower(
  config: ConfigReader,
  lookup: TensorLookup,
  strategies: readonly string[],
): VisionSpec {
  const section = config.section("vision_config");
  if (section.text("model_type", "clip_vision_model") !== "clip_vision_model") {
    throw section.refuse("model_type", "a CLIP vision tower (clip_vision_model) is supported");
  }
  return readClip(section, lookup, {
    prefixes: LLAVA_VISION,
    layersRun: featureLayer(config, -2),
    keepsClassToken: readStrategy(config, "default", strategies) === "full",
  });
}

/** `vision_feature_select_strategy`, when it is one of those that the family can be run with. */
export function readStrategy(
  config: ConfigReader,
  fallback: string,
  strategies: readonly string[],
): string {
  const chosen = config.text("vision_feature_select_strategy", fallback);
  if (!strategies.includes(chosen)) {
    const known = strategies.map((name) => JSON.stringify(name)).join(" and ");
    throw config.refuse("vision_feature_select_strategy", `supported: ${known}`);
  }
  return chosen;
}

function readPooling(
  config: ConfigReader,
  vision: VisionSpec,
  grid: number,
  frames: number,
): PoolingSpec | undefined {
  if (!config.flag("use_pooling", true) || vision.keepsClassToken) return undefined;
  if (config.has("pooling_shape")) {
    const [time, rows, columns] = config.sizes("pooling_shape", 3, LIMITS.gridSide) as [
      number,
      number,
      number,
    ];
    return { frames: time, rows, columns };
  }
  return grid >= PAPER_SIDE ? { frames, rows: PAPER_SIDE, columns: PAPER_SIDE } : undefined;
}
