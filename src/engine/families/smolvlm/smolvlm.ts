import type { ConfigReader } from "../../../common/config-reader.ts";
import { LIMITS } from "../../../common/limits.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { PAPER_FRAMES } from "../llava/llava.ts";
import { readDecoder, readEndTokens } from "../shared/decoder.ts";
import { type ModelSpec, patchSide } from "../shared/spec.ts";
import { TensorLookup } from "../shared/tensors.ts";
import { readSiglip } from "../shared/vision.ts";
import { SMOLVLM_PROCESSOR } from "./processor.ts";

export const SMOLVLM_MODEL_TYPES: readonly string[] = ["smolvlm"];

/**
 * SmolVLM2: SigLIP tower with its norm at the end, pixel shuffle and one matrix, Llama decoder.
 * Frames stand in the prompt one by one, each after its time.
 *
 * The tower places patches by the fraction of the side they start at; for the sides of published
 * checkpoints (27 and 32 patches) a patch's place is its number, as it is taken here.
 *
 * @throws ModelError naming the key and value, or the tensor, that cannot be used.
 */
export function readSmolVlm(config: ConfigReader, folder: string, weights: Weights): ModelSpec {
  const lookup = new TensorLookup(folder, weights);
  const decoder = readDecoder(config, lookup, {
    prefixes: ["model.text_model."],
    heads: ["lm_head"],
    kind: "llama",
  });
  const section = config.section("vision_config");
  const vision = readSiglip(section, lookup, {
    prefixes: ["model.vision_model."],
    layersRun: (layers) => layers,
    postNorm: true,
  });
  const factor = config.size("scale_factor", 2, LIMITS.gridSide);
  if (patchSide(vision) % factor !== 0) {
    throw config.refuse(
      "scale_factor",
      `the ${patchSide(vision)} patches of a side must be cut into whole squares`,
    );
  }
  const shuffled = vision.hiddenSize * factor * factor;
  return {
    family: "smolvlm",
    modelType: config.text("model_type"),
    root: weights.root,
    tensors: weights.tensors,
    notices: lookup.notices,
    vision,
    connector: {
      kind: "shuffle-linear",
      factor,
      linear: lookup.linear(
        "model.connector.modality_projection.proj",
        decoder.hiddenSize,
        shuffled,
      ),
    },
    frames: PAPER_FRAMES,
    processor: SMOLVLM_PROCESSOR,
    prompt: {
      template: "smolvlm",
      videoTokenId: config.id("image_token_id", 128_257),
      wording: { kind: "timed", around: "<fake_token_around_image>", lead: "<global-img>" },
    },
    endTokenIds: readEndTokens(config, 2),
    decoder,
  };
}
