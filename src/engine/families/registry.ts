import { readdir } from "node:fs/promises";
import { type ConfigReader, readConfig } from "../../common/config-reader.ts";
import { refuseOtherLayouts } from "../checkpoint/layout.ts";
import { locateWeights, type Weights } from "../checkpoint/weights.ts";
import { INTERNVL_MODEL_TYPES, readInternVl } from "./internvl/internvl.ts";
import { INTERNVL_CHAT_MODEL_TYPES, readInternVlChat } from "./internvl-chat/internvl-chat.ts";
import { LLAVA_MODEL_TYPES, readLlava } from "./llava/llava.ts";
import {
  LLAVA_NEXT_VIDEO_MODEL_TYPES,
  readLlavaNextVideo,
} from "./llava-next-video/llava-next-video.ts";
import {
  LLAVA_ONEVISION_MODEL_TYPES,
  readLlavaOnevision,
} from "./llava-onevision/llava-onevision.ts";
import { QWEN2_5_VL_MODEL_TYPES, readQwen25Vl } from "./qwen2-5-vl/qwen2-5-vl.ts";
import { QWEN2_VL_MODEL_TYPES, readQwen2Vl } from "./qwen2-vl/qwen2-vl.ts";
import { generationEndTokens } from "./shared/end-tokens.ts";
import type { ModelSpec } from "./shared/spec.ts";
import { tiedHeadNotice } from "./shared/tied-head.ts";
import { readSmolVlm, SMOLVLM_MODEL_TYPES } from "./smolvlm/smolvlm.ts";
import { refuseOriginalLlava, refuseQuantized, unsupportedFamily } from "./unsupported.ts";
import { readVideoLlama3, VIDEOLLAMA3_MODEL_TYPES } from "./videollama3/videollama3.ts";

const READERS = [
  { modelTypes: LLAVA_MODEL_TYPES, read: readLlava },
  { modelTypes: LLAVA_NEXT_VIDEO_MODEL_TYPES, read: readLlavaNextVideo },
  { modelTypes: LLAVA_ONEVISION_MODEL_TYPES, read: readLlavaOnevision },
  { modelTypes: INTERNVL_MODEL_TYPES, read: readInternVl },
  { modelTypes: SMOLVLM_MODEL_TYPES, read: readSmolVlm },
  { modelTypes: INTERNVL_CHAT_MODEL_TYPES, read: readInternVlChat },
  { modelTypes: QWEN2_5_VL_MODEL_TYPES, read: readQwen25Vl },
  { modelTypes: QWEN2_VL_MODEL_TYPES, read: readQwen2Vl },
  { modelTypes: VIDEOLLAMA3_MODEL_TYPES, read: readVideoLlama3 },
] as const;

/** Values of config.json's `model_type` that can be read. */
export const MODEL_TYPES: readonly string[] = READERS.flatMap(({ modelTypes }) => modelTypes);

/**
 * Reads a model folder in Hugging Face's layout: its configuration, and where its weights lie.
 *
 * @throws ModelError when the folder, its family or a tensor cannot be used.
 */
export async function readModelSpec(folder: string): Promise<ModelSpec> {
  // An adapter's or another program's folder has no config.json: better told what it is.
  const names = await readdir(folder).catch((): string[] => []);
  if (names.length > 0 && !names.includes("config.json")) refuseOtherLayouts(folder, names);
  const config = await readConfig(folder, "config.json");
  const spec = chooseReader(config)(folder, await locateWeights(folder));
  const endTokenIds = (await generationEndTokens(folder)) ?? spec.endTokenIds;
  const untied = await tiedHeadNotice(spec.decoder);
  const notices = untied === undefined ? spec.notices : [...spec.notices, untied];
  return { ...spec, endTokenIds, notices };
}

/**
 * Chooses the family of a configuration, before anything is known of its weights.
 *
 * @returns reads the model, given the folder (or repository) for messages, and its weights.
 * @throws ModelError when the weights are said to be quantized, or the family is not supported.
 */
export function chooseReader(
  config: ConfigReader,
): (folder: string, weights: Weights) => ModelSpec {
  refuseQuantized(config);
  refuseOriginalLlava(config);
  const modelType = config.text("model_type");
  const reader = READERS.find(({ modelTypes }) => modelTypes.includes(modelType));
  if (reader === undefined) throw unsupportedFamily(config, MODEL_TYPES);
  return (folder, weights) => reader.read(config, folder, weights);
}
