import type { ConfigReader } from "../../../common/config-reader.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import {
  LLAVA_DECODER,
  LLAVA_VISION,
  PAPER_FRAMES,
  readProjector,
  readStrategy,
} from "../llava/llava.ts";
import { readTokenId } from "../llava-next-video/llava-next-video.ts";
import { readDecoder, readEndTokens } from "../shared/decoder.ts";
import type { ModelSpec } from "../shared/spec.ts";
import { TensorLookup } from "../shared/tensors.ts";
import { featureLayer, readSiglip } from "../shared/vision.ts";
import { LLAVA_ONEVISION_PROCESSOR } from "./processor.ts";

export const LLAVA_ONEVISION_MODEL_TYPES: readonly string[] = ["llava_onevision"];

/**
 * LLaVA-OneVision: SigLIP tower without the norm at its end, two-layer projector, each frame resized
 * bilinearly to half its grid, one newline token after the last frame, Qwen2 decoder.
 *
 * @throws ModelError naming the key and value, or the tensor, that cannot be used.
 */
export function readLlavaOnevision(
  config: ConfigReader,
  folder: string,
  weights: Weights,
): ModelSpec {
  const lookup = new TensorLookup(folder, weights);
  const decoder = readDecoder(config, lookup, { ...LLAVA_DECODER, kind: "qwen2" });
  const section = config.section("vision_config");
  if (section.text("model_type", "siglip_vision_model") !== "siglip_vision_model") {
    throw section.refuse("model_type", "a SigLIP vision tower (siglip_vision_model) is supported");
  }
  readStrategy(config, "full", ["full"]);
  const vision = readSiglip(section, lookup, {
    prefixes: LLAVA_VISION,
    layersRun: featureLayer(config, -1),
    postNorm: false,
  });
  const newline = lookup.prefix(["model.", ""], "image_newline");
  return {
    family: "llava-onevision",
    modelType: config.text("model_type"),
    root: weights.root,
    tensors: weights.tensors,
    notices: lookup.notices,
    vision,
    connector: {
      kind: "mlp-resize",
      projector: readProjector(config, lookup, vision.hiddenSize, decoder.hiddenSize),
      newline: lookup.tensor(`${newline}image_newline`, [decoder.hiddenSize]),
    },
    frames: PAPER_FRAMES,
    processor: LLAVA_ONEVISION_PROCESSOR,
    prompt: {
      template: "chat",
      videoTokenId: readTokenId(config, "video_token_id", "video_token_index", 151_647),
      wording: { kind: "run" },
    },
    endTokenIds: readEndTokens(config, 151_645),
    decoder,
  };
}
