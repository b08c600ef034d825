import type { ConfigReader } from "../../../common/config-reader.ts";
import { LIMITS } from "../../../common/limits.ts";
import type { ChoiceWording, PromptSpec } from "../../../prompts/prompt-spec.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { PAPER_FRAMES } from "../llava/llava.ts";
import { readActivation } from "../shared/activation.ts";
import { readDecoder, readEndTokens } from "../shared/decoder.ts";
import { axialRope, MOST_THETA } from "../shared/rope.ts";
import type { MergerSpec, NativeModelSpec, NativeVisionSpec } from "../shared/spec.ts";
import { TensorLookup } from "../shared/tensors.ts";
import { clipLayer, readSquare } from "../shared/vision.ts";
import { PUBLISHED_VIDEOLLAMA3_PROCESSOR, VIDEOLLAMA3_PROCESSOR } from "./processor.ts";

/** As its authors publish it, with code of its own, and as transformers knows it. */
const PUBLISHED = "videollama3_qwen2";
export const VIDEOLLAMA3_MODEL_TYPES: readonly string[] = ["video_llama_3", PUBLISHED];

/** Patches along the side of a token's square in a video; stills keep theirs. No file says it. */
const MERGE = 2;

/** How the paper's reference asks this model to choose. */
const CHOICE: ChoiceWording = {
  request:
    "\nAnswer with the option's letter from the given choices directly and only give the best option.",
  answer: "",
};

/**
 * VideoLLaMA3: a SigLIP-shaped tower for pictures of any size without windows, the mean of each 2 x 2
 * patches (bilinear down-sampling by two is that), a two-layer projector, Qwen2.5 decoder. Tokens that
 * show what the frame before showed may be left out (arXiv 2501.13106, section 3.2).
 *
 * Read are transformers' layout (`video_llama_3`) and the one of its authors (`videollama3_qwen2`),
 * whose code is known here and never run: one level of settings and other names for the same weights.
 *
 * @throws ModelError naming the key and value, or the tensor, that cannot be used.
 */
export function readVideoLlama3(
  config: ConfigReader,
  folder: string,
  weights: Weights,
): NativeModelSpec {
  const lookup = new TensorLookup(folder, weights);
  const modelType = config.text("model_type");
  const published = modelType === PUBLISHED;
  const settings = published ? config : config.section("text_config");
  if (published) checkPublished(config);
  const decoder = readDecoder(config, lookup, {
    settings,
    prefixes: [published ? "model." : "model.language_model."],
    heads: ["lm_head"],
    kind: "qwen2",
  });
  const section = config.section(published ? "vision_encoder_config" : "vision_config");
  const tower = published ? "model.vision_encoder." : "model.vision_model.";
  const projector = published ? "model.mm_projector." : "model.projector.";
  const vision = readTower(section, lookup, tower);
  const connector: MergerSpec = {
    kind: "mean-mlp",
    norm: lookup.layerNorm(`${tower}post_layernorm`, vision.hiddenSize),
    projector: {
      first: lookup.linear(`${projector}readout.0`, decoder.hiddenSize, vision.hiddenSize),
      activation: "gelu",
      second: lookup.linear(`${projector}readout.2`, decoder.hiddenSize, decoder.hiddenSize),
    },
  };
  return {
    family: published ? "videollama3" : "video-llama-3",
    modelType,
    root: weights.root,
    tensors: weights.tensors,
    notices: lookup.notices,
    vision,
    connector,
    frames: PAPER_FRAMES,
    processor: published ? PUBLISHED_VIDEOLLAMA3_PROCESSOR : VIDEOLLAMA3_PROCESSOR,
    prompt: published ? publishedPrompt(config) : libraryPrompt(config),
    endTokenIds: readEndTokens(config, 151_645, settings),
    decoder,
    useTokenCompression: published ? config.flag("use_token_compression", true) : undefined,
  };
}

function checkPublished(config: ConfigReader): void {
  if (config.has("vision_encoder")) {
    throw config.refuse(
      "vision_encoder",
      "a tower of another checkpoint is not supported; one whose weights are in this folder is " +
        "(vision_encoder null, vision_encoder_config given)",
    );
  }
  if (config.text("mm_projector_type", "mlp2x_gelu") !== "mlp2x_gelu") {
    throw config.refuse("mm_projector_type", '"mlp2x_gelu" is supported');
  }
}

function readTower(section: ConfigReader, lookup: TensorLookup, prefix: string): NativeVisionSpec {
  const hiddenSize = section.size("hidden_size", 768, LIMITS.width);
  const heads = section.size("num_attention_heads", 12, LIMITS.heads);
  const headDim = hiddenSize / heads;
  if (headDim % 4 !== 0) {
    throw section.refuse("num_attention_heads", `${hiddenSize} over it must be a multiple of 4`);
  }
  if (section.size("num_channels", 3) !== 3) {
    throw section.refuse("num_channels", "pictures have 3 colours");
  }
  const rope = section.section("rope_parameters");
  if (rope.text("rope_type", "axial") !== "axial") {
    throw rope.refuse("rope_type", '"axial" is supported');
  }
  const patchSize = readSquare(section, "patch_size", 16, LIMITS.patchSide);
  const inner = section.size("intermediate_size", 3072, LIMITS.inner);
  const patches = `${prefix}embeddings.patch_embedding`;
  return {
    hiddenSize,
    heads,
    patchSize,
    patchFrames: 1,
    merge: MERGE,
    normEps: section.within("layer_norm_eps", 0, 1, 1e-6),
    activation: readActivation(section, "hidden_act", "gelu_pytorch_tanh"),
    rope: axialRope(headDim, rope.within("rope_theta", 1, MOST_THETA, 10_000)),
    patchEmbedding: {
      weight: lookup.tensor(`${patches}.weight`, [hiddenSize, 3, patchSize, patchSize]),
      bias: lookup.tensor(`${patches}.bias`, [hiddenSize]),
    },
    layers: Array.from(
      { length: section.size("num_hidden_layers", 12, LIMITS.layers) },
      (_, i) => ({
        ...clipLayer(lookup, `${prefix}encoder.layers.${i}.`, hiddenSize, inner),
        windowed: false,
      }),
    ),
  };
}

function libraryPrompt(config: ConfigReader): PromptSpec {
  return {
    template: "chat",
    videoTokenId: config.id("video_token_id", 151_656),
    wording: { kind: "stamped", clock: "frame" },
    choice: CHOICE,
    chat: { placeholderNames: ["video_token"] },
  };
}

/**
 * The published chat template writes the frames' times and tokens itself. Told of one frame without
 * a time it writes one token, in whose place the frames' text is put, which is the same.
 */
function publishedPrompt(config: ConfigReader): PromptSpec {
  return {
    template: "chat",
    videoTokenId: config.id("image_token_index"),
    wording: { kind: "stamped", clock: "span" },
    choice: CHOICE,
    chat: { placeholderNames: ["image_token"], videoKeys: { num_frames: 1 } },
  };
}
