import type { ConfigReader } from "../../../common/config-reader.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import {
  LLAVA_DECODER,
  PAPER_FRAMES,
  projectorPart,
  readProjector,
  readStrategy,
} from "../llava/llava.ts";
import { readDecoder, readEndTokens } from "../shared/decoder.ts";
import { type ModelSpec, patchSide } from "../shared/spec.ts";
import { TensorLookup } from "../shared/tensors.ts";
import { featureLayer, readInternVit } from "../shared/vision.ts";
import { INTERNVL_PROCESSOR } from "./processor.ts";

export const INTERNVL_MODEL_TYPES: readonly string[] = ["internvl"];

/**
 * InternVL in transformers' layout (InternVL3-hf): InternViT with layer scale, pixel shuffle, norm
 * and two-layer projector, Qwen2, Qwen3 or Llama decoder. Frames stand in the prompt one by one, with
 * text between them.
 *
 * @throws ModelError naming the key and value, or the tensor, that cannot be used.
 */
export function readInternVl(config: ConfigReader, folder: string, weights: Weights): ModelSpec {
  const lookup = new TensorLookup(folder, weights);
  const decoder = readDecoder(config, lookup, { ...LLAVA_DECODER, kind: "qwen2", tied: true });
  readStrategy(config, "default", ["default"]);
  const last = config.number("vision_feature_layer", -1) === -1;
  const vision = readInternVit(config.section("vision_config"), lookup, {
    prefixes: ["model.vision_tower.", "vision_tower."],
    layersRun: featureLayer(config, -1),
    afterLast: last,
  });
  const factor = 1 / config.within("downsample_ratio", 0.01, 1, 0.5);
  if (!Number.isInteger(factor) || factor < 1 || patchSide(vision) % factor !== 0) {
    throw config.refuse(
      "downsample_ratio",
      `the ${patchSide(vision)} patches of a side must be cut into whole squares`,
    );
  }
  const shuffled = vision.hiddenSize * factor * factor;
  return {
    family: "internvl",
    modelType: config.text("model_type"),
    root: weights.root,
    tensors: weights.tensors,
    notices: lookup.notices,
    vision,
    connector: {
      kind: "shuffle-mlp",
      factor,
      norm: lookup.layerNorm(projectorPart(lookup, "layer_norm"), shuffled),
      projector: readProjector(config, lookup, shuffled, decoder.hiddenSize),
    },
    frames: PAPER_FRAMES,
    processor: INTERNVL_PROCESSOR,
    prompt: {
      template: "chat",
      videoTokenId: config.id("image_token_id", 151_667),
      wording: { kind: "numbered", open: "<img>", close: "</img>" },
      marker: "<video>",
    },
    endTokenIds: readEndTokens(config, 151_645),
    decoder,
  };
}
