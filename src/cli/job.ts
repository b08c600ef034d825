import { statSync } from "node:fs";
import { resolve } from "node:path";
import { InputError } from "../common/errors.ts";
import { featureFolder } from "../engine/vision-cache/place.ts";
import { loadPromptFile, promptFileBeside } from "../prompts/files.ts";
import { withoutLabels } from "../prompts/labels.ts";
import { ownQuestions, questionsAbout, selectQuestion } from "../prompts/select.ts";
import type { PromptItem } from "../protocol/prompt-item.ts";
import {
  type AnalysisJob,
  DEFAULT_MEMORY_BUDGET_GB,
  type EngineSettings,
  PRECISIONS,
  PROVIDERS,
} from "../protocol/requests.ts";
import { COUNTERFACTUAL_ORDERS } from "../protocol/vocabulary.ts";
import { MAX_FRAMES, MAX_RATE } from "../video/frame-indices.ts";
import { type Flags, type ParsedArguments, UsageError } from "./arguments.ts";
import { embeddedModel } from "./places.ts";

const GIGABYTE = 1e9;

/** Flags of the engine process. */
export const ENGINE_FLAGS: Flags = {
  model: { kind: "text", value: "DIR", help: "model folder; the embedded model without it" },
  tokenizer: {
    kind: "text",
    value: "DIR",
    help: "folder to take the tokenizer from, where the model's has none",
  },
  processor: {
    kind: "text",
    value: "DIR",
    help: "folder to take the processor's files from, where the model's has none",
  },
  provider: { kind: "text", oneOf: PROVIDERS, help: "execution provider (auto)" },
  precision: {
    kind: "text",
    oneOf: PRECISIONS,
    help: "of products with the decoder's weights, where not on the CPU (auto)",
  },
  threads: {
    kind: "whole",
    value: "N",
    most: 1024,
    help: "threads; 0 lets ONNX Runtime choose (0)",
  },
  "memory-budget": {
    kind: "number",
    value: "GB",
    most: 4096,
    help: `memory beside the mapped weights (${DEFAULT_MEMORY_BUDGET_GB})`,
  },
};

/** Flags that choose the clip and the question. */
export const CLIP_FLAGS: Flags = {
  prompt: { kind: "text", value: "FILE[#ID]", help: "prompt file, and the question in it" },
  question: { kind: "text", value: "Q", help: "a question, instead of a prompt file" },
  option: { kind: "list", value: "A", help: "an option of it; once for each" },
  answer: { kind: "text", value: "A", help: "the right answer: an option's text or letter" },
  frames: {
    kind: "whole",
    value: "N",
    most: MAX_FRAMES,
    help: "frames to sample; as the model says without it",
  },
  start: { kind: "number", value: "S", help: "first second of the clip to look at" },
  end: { kind: "number", value: "S", help: "last second of the clip to look at" },
  fps: {
    kind: "number",
    value: "R",
    most: MAX_RATE,
    help: "frames per second of a folder of images, which --start and --end need",
  },
  order: {
    kind: "text",
    oneOf: COUNTERFACTUAL_ORDERS,
    help: "a counterfactual clip: the sampled frames in another order (as filmed)",
  },
  ...ENGINE_FLAGS,
};

/** The engine's settings from flags. */
export function engineSettings(args: ParsedArguments): EngineSettings {
  const provider = PROVIDERS.find((known) => known === args.text("provider")) ?? "auto";
  return {
    provider,
    precision: PRECISIONS.find((known) => known === args.text("precision")),
    threads: args.number("threads") ?? 0,
    memoryBudgetBytes: (args.number("memory-budget") ?? DEFAULT_MEMORY_BUDGET_GB) * GIGABYTE,
    borrowed: { tokenizer: folderOf(args, "tokenizer"), processor: folderOf(args, "processor") },
    featureFolder: featureFolder(),
  };
}

function folderOf(args: ParsedArguments, flag: string): string | undefined {
  const given = args.text(flag);
  return given === undefined ? undefined : resolve(given);
}

/** The model folder from flags. */
export function modelFolder(args: ParsedArguments): { folder: string; embedded: boolean } {
  const given = args.text("model");
  return given === undefined
    ? { folder: embeddedModel(), embedded: true }
    : { folder: resolve(given), embedded: false };
}

/**
 * The clip and question of a job; what is observed and tried is the command's to add.
 *
 * @param note receives what is left out of the prompt file, or is odd in it.
 */
export async function clipAndQuestion(
  args: ParsedArguments,
  note: (message: string) => void,
): Promise<Pick<AnalysisJob, "model" | "embedded" | "clip" | "prompt">> {
  const [video, ...more] = args.positionals;
  if (video === undefined) throw new UsageError("the video is missing");
  if (more.length > 0) throw new UsageError(`one video at a time; found also ${more.join(" ")}`);
  const frames = args.number("frames");
  if (frames === 0) throw new UsageError("--frames is 0; at least one frame is needed");
  const path = resolve(video);
  const { folder, embedded } = modelFolder(args);
  return {
    model: folder,
    embedded,
    prompt: await questionOf(args, path, note),
    clip: {
      path,
      frames,
      startSeconds: args.number("start"),
      endSeconds: args.number("end"),
      fps: args.number("fps"),
      order: COUNTERFACTUAL_ORDERS.find((known) => known === args.text("order")),
    },
  };
}

async function questionOf(
  args: ParsedArguments,
  video: string,
  note: (message: string) => void,
): Promise<PromptItem> {
  const question = args.text("question");
  if (question !== undefined) {
    if (args.has("prompt")) throw new UsageError("--question and --prompt exclude each other");
    const options = args.list("option");
    const written = { question, options, answer: args.text("answer"), keywords: [] };
    const item = withoutLabels(written);
    if (item !== written) {
      const [first = ""] = options;
      note(
        `the options' own letters (${JSON.stringify(first)}) are left out: the prompt writes "(A)"`,
      );
    }
    return { ...item, answer: answerOf(item.answer, item.options) };
  }
  const stray = ["option", "answer"].find((name) => args.has(name));
  if (stray !== undefined)
    throw new UsageError(`--${stray} belongs to --question, which is missing`);
  const given = args.text("prompt");
  const [file, id] = splitPrompt(given);
  const path = file === undefined ? await promptFileBeside(video) : resolve(file);
  if (path === undefined) {
    throw new InputError(
      `${video}: there is no prompt file beside it; give --question with --option, or --prompt`,
    );
  }
  const questions = await loadPromptFile(path, { needVideos: false, note });
  const own = ownQuestions(questions, video);
  const named = new Set(questions.map((found) => found.videoPath));
  if (own.length === 0 && id === undefined && named.size > 1) {
    throw new InputError(
      `${path}: has questions about ${named.size} clips, and none about ${video}; ` +
        "choose the one to ask with --prompt FILE#ID",
    );
  }
  return selectQuestion(questionsAbout(questions, video), id).item;
}

/** An option's text, also when its letter was given. */
function answerOf(answer: string | undefined, options: readonly string[]): string | undefined {
  if (answer === undefined || options.length === 0 || options.includes(answer)) return answer;
  const byLetter = /^[A-Z]$/i.test(answer)
    ? options[answer.toUpperCase().charCodeAt(0) - "A".charCodeAt(0)]
    : undefined;
  if (byLetter === undefined) {
    throw new InputError(`the answer "${answer}" is not among the options: ${options.join(", ")}`);
  }
  return byLetter;
}

/**
 * `FILE#ID`. What names a file as a whole is one, a # in it included; else the id follows the last #
 * that has a file before it.
 */
function splitPrompt(
  given: string | undefined,
): [file: string | undefined, id: string | undefined] {
  if (given === undefined || !given.includes("#") || isFile(given)) return [given, undefined];
  const places = [...given.matchAll(/#/g)].map(({ index }) => index);
  const at = places.findLast((place) => isFile(given.slice(0, place))) ?? given.lastIndexOf("#");
  return [given.slice(0, at), given.slice(at + 1)];
}

function isFile(path: string): boolean {
  return statSync(resolve(path), { throwIfNoEntry: false })?.isFile() === true;
}
