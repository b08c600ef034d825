import type { ConfigReader } from "../../../common/config-reader.ts";
import { LIMITS } from "../../../common/limits.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { LLAMA, PAPER_FRAMES, readClipTower, readProjector } from "../llava/llava.ts";
import { readDecoder, readEndTokens } from "../shared/decoder.ts";
import { type ModelSpec, patchSide } from "../shared/spec.ts";
import { TensorLookup } from "../shared/tensors.ts";
import { LLAVA_NEXT_VIDEO_PROCESSOR } from "./processor.ts";

export const LLAVA_NEXT_VIDEO_MODEL_TYPES: readonly string[] = ["llava_next_video"];

/**
 * LLaVA-NeXT-Video: CLIP tower, spatial pooling of each frame's features before the two-layer
 * projector, Llama decoder; the video is one run of tokens.
 *
 * @throws ModelError naming the key and value, or the tensor, that cannot be used.
 */
export function readLlavaNextVideo(
  config: ConfigReader,
  folder: string,
  weights: Weights,
): ModelSpec {
  const lookup = new TensorLookup(folder, weights);
  const decoder = readDecoder(config, lookup, LLAMA);
  const vision = readClipTower(config, lookup, ["default"]);
  const mode = config.text("spatial_pool_mode", "average");
  if (mode !== "average" && mode !== "max") {
    throw config.refuse("spatial_pool_mode", '"average" and "max" are supported');
  }
  const stride = config.size("spatial_pool_stride", 2, LIMITS.gridSide);
  if (stride > patchSide(vision)) {
    throw config.refuse("spatial_pool_stride", `a frame has ${patchSide(vision)} patches a side`);
  }
  return {
    family: "llava-next-video",
    modelType: config.text("model_type"),
    root: weights.root,
    tensors: weights.tensors,
    notices: lookup.notices,
    vision,
    connector: {
      kind: "pool-mlp",
      mode,
      stride,
      projector: readProjector(config, lookup, vision.hiddenSize, decoder.hiddenSize),
    },
    frames: PAPER_FRAMES,
    processor: LLAVA_NEXT_VIDEO_PROCESSOR,
    prompt: {
      template: "chat",
      videoTokenId: readTokenId(config, "video_token_id", "video_token_index", 32_000),
      wording: { kind: "run" },
    },
    endTokenIds: readEndTokens(config, 2),
    decoder,
  };
}

/** A token's id under the name of this library version or of an older one. */
export function readTokenId(
  config: ConfigReader,
  key: string,
  older: string,
  fallback: number,
): number {
  return config.has(key) ? config.id(key) : config.id(older, fallback);
}
