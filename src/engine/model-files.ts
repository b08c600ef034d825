import { type JsonFile, readJsonFile } from "../common/config-reader.ts";
import { ModelError } from "../common/errors.ts";
import { readChatTemplate } from "../prompts/chat.ts";
import type { PromptItem } from "../protocol/prompt-item.ts";
import type { BorrowedFolders } from "../protocol/requests.ts";
import { openTokenizer, type Tokenizer } from "../tokenizer/tokenizer.ts";
import type { ImageProcessorSpec } from "../video/image-processor.ts";
import { readFrameProcessor } from "../video/processor-file.ts";
import { readModelSpec } from "./families/registry.ts";
import { checkProcessorFits } from "./families/shared/processor-fit.ts";
import type { ModelSpec } from "./families/shared/spec.ts";
import { preparePrompt } from "./prepare.ts";

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

/** A part of a checkpoint that cannot be used: without it nothing can be asked of the model. */
export interface MissingPart {
  readonly part: "tokenizer" | "processor" | "prompt";
  readonly why: string;
  /** What the user can do. */
  readonly help: string;
}

/** What a model folder holds: its model, and which of the other parts can be used. */
export interface InspectedModel {
  readonly spec: ModelSpec;
  /** Undefined when it is among the missing. */
  readonly images: ImageProcessorSpec | undefined;
  /** Empty when everything opens. */
  readonly missing: readonly MissingPart[];
}

const TOKENIZER_HELP =
  "copy the tokenizer's files of the checkpoint that it was trained from into the folder, or name that " +
  "checkpoint's folder on the command line (--tokenizer DIR)";
const PROCESSOR_HELP =
  "copy the processor's files and chat template of the checkpoint that it was trained from into the " +
  "folder, or name that checkpoint's folder on the command line (--processor DIR)";

/** A question that every prompt can be made with. */
const TRIAL: PromptItem = { question: "What moves?", options: ["A", "B"], keywords: [] };

/**
 * Reads a model folder.
 *
 * @throws ModelError naming the file that cannot be used, or the processor that is not the model's.
 */
export async function readModelFiles(
  folder: string,
  borrowed: BorrowedFolders = {},
): Promise<ModelFiles> {
  const spec = await readModelSpec(folder);
  const [{ value: config }, tokenizer, images, chatTemplate] = await Promise.all([
    readJsonFile(folder, "config.json"),
    openTokenizer(borrowed.tokenizer ?? folder),
    readFrameProcessor(borrowed.processor ?? folder, spec.processor),
    findChatTemplate(folder, borrowed),
  ]);
  checkProcessorFits(borrowed.processor ?? folder, spec, images);
  return { spec, config, tokenizer, images, chatTemplate };
}

/** The model's own chat template, else a borrowed one. */
async function findChatTemplate(
  folder: string,
  { processor, tokenizer }: BorrowedFolders,
): Promise<string | undefined> {
  for (const place of [folder, processor, tokenizer]) {
    const found = place === undefined ? undefined : await readChatTemplate(place);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * Looks at everything in a model folder that a run needs, and makes a prompt on trial.
 *
 * @throws ModelError when the model itself, its configuration or its weights, cannot be used.
 */
export async function inspectModel(
  folder: string,
  borrowed: BorrowedFolders = {},
): Promise<InspectedModel> {
  const spec = await readModelSpec(folder);
  const missing: MissingPart[] = [];
  const attempt = async <T>(
    part: MissingPart["part"],
    help: string,
    work: () => Promise<T>,
  ): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      missing.push({ part, why: error.message, help });
      return undefined;
    }
  };
  const tokenizer = await attempt("tokenizer", TOKENIZER_HELP, () =>
    openTokenizer(borrowed.tokenizer ?? folder),
  );
  const images = await attempt("processor", PROCESSOR_HELP, async () => {
    const place = borrowed.processor ?? folder;
    const found = await readFrameProcessor(place, spec.processor);
    checkProcessorFits(place, spec, found);
    return found;
  });
  if (tokenizer !== undefined) {
    await attempt("prompt", PROCESSOR_HELP, async () => {
      const chatTemplate = await findChatTemplate(folder, borrowed);
      const clip = { path: "" };
      const job = { model: folder, clip, prompt: TRIAL };
      preparePrompt({ folder, tokenizer, chatTemplate, open: { spec } }, job);
    });
  }
  return { spec, images, missing };
}
