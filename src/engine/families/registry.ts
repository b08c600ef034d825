import { readConfig } from "../checkpoint/config.ts";
import { locateWeights } from "../checkpoint/weights.ts";
import { LLAVA_MODEL_TYPES, readLlava } from "./llava.ts";
import { LLAVA_NEXT_VIDEO_MODEL_TYPES, readLlavaNextVideo } from "./llava-next-video.ts";
import type { ModelSpec } from "./spec.ts";

const READERS = [
  { modelTypes: LLAVA_MODEL_TYPES, read: readLlava },
  { modelTypes: LLAVA_NEXT_VIDEO_MODEL_TYPES, read: readLlavaNextVideo },
] as const;

/**
 * Reads a model folder in Hugging Face's layout: its configuration, and where its weights lie.
 *
 * @throws ModelError when the folder, its family or a tensor cannot be used.
 */
export async function readModelSpec(folder: string): Promise<ModelSpec> {
  const config = await readConfig(folder, "config.json");
  if (config.has("quantization_config")) {
    throw config.refuse(
      "quantization_config",
      "quantized checkpoints are not supported; use the unquantized one (bf16, f16 or f32)",
    );
  }
  const modelType = config.text("model_type");
  const reader = READERS.find(({ modelTypes }) => modelTypes.includes(modelType));
  if (reader === undefined) {
    const known = READERS.flatMap(({ modelTypes }) => modelTypes).join(", ");
    throw config.refuse("model_type", `supported families are ${known}`);
  }
  return reader.read(config, folder, await locateWeights(folder));
}
