import { fileExists, type JsonFile, readConfig, readJsonFile } from "../common/config-reader.ts";
import {
  type ImageProcessorSpec,
  type ProcessorRules,
  parseImageProcessor,
} from "./image-processor.ts";

/** The processor of processors, which newer library versions nest all settings in. */
const NESTED = "processor_config.json";

/**
 * How a checkpoint prepares frames, from the file its library would read: for a video processor the
 * part `video_processor` of processor_config.json, else video_preprocessor_config.json, else the
 * still-image settings of preprocessor_config.json; for one of still images the latter, else the part
 * `image_processor` of processor_config.json.
 *
 * @throws ModelError when there is no such file, or naming the key and value that cannot be used.
 */
export async function readFrameProcessor(
  folder: string,
  rules: ProcessorRules,
): Promise<ImageProcessorSpec> {
  const { value, file } = await findFile(folder, rules);
  if (rules.checkBeside !== undefined && (await fileExists(folder, NESTED))) {
    rules.checkBeside(await readConfig(folder, NESTED));
  }
  return parseImageProcessor(value, file, rules);
}

async function findFile(folder: string, { settings, alone }: ProcessorRules): Promise<JsonFile> {
  const stills = "preprocessor_config.json";
  if (alone === true) return readJsonFile(folder, stills);
  if (settings === "stills") {
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
