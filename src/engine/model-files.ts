import { type JsonFile, readJsonFile } from "../common/config-reader.ts";
import { readChatTemplate } from "../prompts/chat.ts";
import { openTokenizer, type Tokenizer } from "../tokenizer/tokenizer.ts";
import type { ImageProcessorSpec } from "../video/image-processor.ts";
import { readFrameProcessor } from "../video/processor-file.ts";
import { readModelSpec } from "./families/registry.ts";
import { checkProcessorFits } from "./families/shared/processor-fit.ts";
import type { ModelSpec } from "./families/shared/spec.ts";

/** Everything that is read from a model folder before its graphs are opened. */
export interface ModelFiles {
  readonly spec: ModelSpec;
  /** config.json as it stands. */
  readonly config: JsonFile["value"];
  readonly tokenizer: Tokenizer;
  readonly images: ImageProcessorSpec;
  /** The checkpoint's own chat template, in Jinja; undefined when it has none. */
  readonly chatTemplate: string | undefined;
}

/**
 * Reads a model folder.
 *
 * @throws ModelError naming the file that cannot be used, or the processor that is not the model's.
 */
export async function readModelFiles(folder: string): Promise<ModelFiles> {
  const spec = await readModelSpec(folder);
  const [{ value: config }, tokenizer, images, chatTemplate] = await Promise.all([
    readJsonFile(folder, "config.json"),
    openTokenizer(folder),
    readFrameProcessor(folder, spec.processor),
    readChatTemplate(folder),
  ]);
  checkProcessorFits(folder, spec, images);
  return { spec, config, tokenizer, images, chatTemplate };
}
