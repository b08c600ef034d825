import type { ConfigReader } from "../../common/config-reader.ts";
import type { ModelError } from "../../common/errors.ts";
import { QUANTIZED_ADVICE } from "../checkpoint/layout.ts";

/** A checkpoint that can be used where a relative of it cannot. */
interface Alternative {
  /** `model_type` of the relatives. */
  readonly of: RegExp;
  readonly modelType: string;
  readonly checkpoint: string;
}

/** The first whose own family is supported is named. */
const ALTERNATIVES: readonly Alternative[] = [
  { of: /^qwen/, modelType: "qwen2_5_vl", checkpoint: "Qwen/Qwen2.5-VL-7B-Instruct" },
  { of: /^internvl/, modelType: "internvl", checkpoint: "OpenGVLab/InternVL3-8B-hf" },
  {
    of: /^video_?llama/,
    modelType: "videollama3_qwen2",
    checkpoint: "DAMO-NLP-SG/VideoLLaMA3-7B",
  },
  {
    of: /^(idefics|smol)/,
    modelType: "smolvlm",
    checkpoint: "HuggingFaceTB/SmolVLM2-2.2B-Instruct",
  },
  {
    of: /^llava_(qwen|onevision)/,
    modelType: "llava_onevision",
    checkpoint: "llava-hf/llava-onevision-qwen2-7b-ov-hf",
  },
  {
    of: /./,
    modelType: "llava_next_video",
    checkpoint: "llava-hf/LLaVA-NeXT-Video-7B-hf",
  },
];

/** Keys under which quantizing tools leave their settings. */
const QUANTIZATION_KEYS = ["quantization_config", "quantization", "compression_config"] as const;

/** Sections whose model may be quantized by itself. */
const SECTIONS = ["text_config", "llm_config", "vision_config"] as const;

/** @throws ModelError when the configuration says that the weights are quantized. */
export function refuseQuantized(config: ConfigReader): void {
  const nested = SECTIONS.filter((name) => config.has(name)).map((name) => config.section(name));
  for (const section of [config, ...nested]) {
    for (const key of QUANTIZATION_KEYS) {
      if (section.has(key)) throw section.refuse(key, QUANTIZED_ADVICE);
    }
  }
}

/**
 * @throws ModelError when the configuration is in the layout of LLaVA's own code, whose tower is named
 *   and not described, and whose `model_type` may be that of transformers' class.
 */
export function refuseOriginalLlava(config: ConfigReader): void {
  if (!config.has("mm_vision_tower") || config.has("vision_config")) return;
  throw config.refuse(
    "mm_vision_tower",
    "this is the layout of LLaVA's own code; use the checkpoint as converted for transformers " +
      "(its name ends in -hf as a rule), or convert it (transformers' convert_llava_weights_to_hf)",
  );
}

/**
 * The refusal of a family without a reader: what it is, that code which comes with a checkpoint is
 * never run, the supported families, and a checkpoint of one that is close to it.
 *
 * @param known values of `model_type` that are supported.
 */
export function unsupportedFamily(config: ConfigReader, known: readonly string[]): ModelError {
  const modelType = config.raw("model_type");
  const code = codeFile(config.raw("auto_map"));
  const own =
    code === undefined
      ? ""
      : `this family is made of code that comes with the checkpoint (auto_map: ${code}; ` +
        "trust_remote_code), and nothing from a checkpoint is ever run; ";
  const alternative = ALTERNATIVES.find(
    (one) =>
      typeof modelType === "string" && one.of.test(modelType) && known.includes(one.modelType),
  );
  const instead =
    alternative === undefined ? "" : `; ${alternative.checkpoint} would work, for one`;
  return config.refuse("model_type", `${own}supported families are ${known.join(", ")}${instead}`);
}

/** The Python file that `auto_map` points to: `{ AutoModel: "modeling_x.Model" }`. */
function codeFile(map: unknown): string | undefined {
  if (typeof map !== "object" || map === null) return undefined;
  const entries = Object.entries(map);
  const [, target] = entries.find(([name]) => name.startsWith("AutoModel")) ?? entries[0] ?? [];
  const text = Array.isArray(target) ? target[0] : target;
  return typeof text === "string" ? `${text.split(".")[0]}.py`.slice(0, 100) : undefined;
}
