import { fileExists, type JsonFile, readConfig, readJsonFile } from "../common/config-reader.ts";
import { checkMerge } from "./any-size.ts";
import type { FrameProcessor } from "./frame-processor.ts";
import { type ImageProcessorSpec, parseImageProcessor } from "./image-processor.ts";

/** The processor of processors, which newer library versions nest all settings in. */
const NESTED = "processor_config.json";

/**
 * How a checkpoint prepares frames, from the file its library would read: for a video processor the
 * part `video_processor` of processor_config.json, else video_preprocessor_config.json, else the
 * still-image settings of preprocessor_config.json; for CLIP's image processor the latter, else the
 * part `image_processor` of processor_config.json; for the one VideoLLaMA3 is published with, which
 * serves stills and videos, preprocessor_config.json.
 *
 * @throws ModelError when there is no such file, or naming the key and value that cannot be used.
 */
export async function readFrameProcessor(
  folder: string,
  processor: FrameProcessor,
): Promise<ImageProcessorSpec> {
  const { value, file } = await findFile(folder, processor);
  if (processor === "videollama3" && (await fileExists(folder, NESTED))) {
    checkMerge(await readConfig(folder, NESTED), "video_merge_size");
  }
  return parseImageProcessor(value, file, processor);
}

async function findFile(folder: string, processor: FrameProcessor): Promise<JsonFile> {
  const stills = "preprocessor_config.json";
  if (processor === "videollama3") return readJsonFile(folder, stills);
  if (processor === "clip" || processor === "pllava") {
    if (await fileExists(folder, stills)) return readJsonFile(folder, stills);
    return (await nested(folder, "image_processor")) ?? readJsonFile(folder, stills);
  }
  const inside = await nested(folder, "video_processor");
  if (inside !== undefined) return inside;
  const videos = "video_preprocessor_config.json";
  return readJsonFile(folder, (await fileExists(folder, videos)) ? videos : stills);
}

async function nested(folder: string, key: string): Promise<JsonFile | undefined> {
  if (!(await fileExists(folder, NESTED))) return undefined;
  const { file, value } = await readJsonFile(folder, NESTED);
  const part = value[key];
  if (typeof part !== "object" || part === null || Array.isArray(part)) return undefined;
  return { file: `${file}, ${key}`, value: part as Record<string, unknown> };
}
